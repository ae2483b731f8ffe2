//! How much was written to disk because memory did not suffice.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::physical_plan::ExecutionPlan;

use super::context::RunContext;

/// Bytes that the plans of an engine have spilled.
#[derive(Debug, Default)]
pub struct Spilled(AtomicU64);

impl Spilled {
    /// So far, by plans that have ended.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts what a plan has spilled when this is dropped: whether the plan succeeds, fails or is given up.
pub struct Watched {
    plan: Arc<dyn ExecutionPlan>,
    spilled: Arc<Spilled>,
}

impl Watched {
    /// The plan.
    pub fn plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.plan
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

/// Watches a plan that is about to run.
pub fn watch(plan: &Arc<dyn ExecutionPlan>, context: &RunContext) -> Watched {
    Watched { plan: plan.clone(), spilled: context.spilled().clone() }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.spilled.0.fetch_add(bytes(self.plan.as_ref()), Ordering::Relaxed);
    }
}

fn bytes(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or_default();
    own as u64 + plan.children().into_iter().map(|child| bytes(child.as_ref())).sum::<u64>()
}
