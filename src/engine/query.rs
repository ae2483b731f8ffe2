//! Small plans run to their only row, and any plan made physical.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use futures::StreamExt;

use crate::accel::gather::{GatherExec, JoinReport};
#[cfg(feature = "ballista")]
use crate::cluster::{ballista, split};
use crate::io::context::RunContext;
use crate::io::spill;

/// A plan, optimized and ready to run.
///
/// # Errors
/// What the planner says.
pub async fn physical(context: &RunContext, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    #[cfg(feature = "ballista")]
    if ballista::is_remote(context.session()) {
        return split::physical(context, plan).await;
    }
    context.session().create_physical_plan(plan).await
}

/// A plan at work; dropping it ends the work, wherever it is done.
pub struct Running {
    batches: SendableRecordBatchStream,
    watched: spill::Watched,
    #[cfg(feature = "ballista")]
    job: Option<ballista::Job>,
}

impl Running {
    /// Starts a plan.
    ///
    /// # Errors
    /// What the planner says, or a reader at its first look.
    pub async fn start(context: &RunContext, plan: &LogicalPlan) -> Result<Self> {
        let plan = physical(context, plan).await?;
        Ok(Self {
            #[cfg(feature = "ballista")]
            job: ballista::Job::of(&plan, context),
            watched: spill::watch(&plan, context),
            batches: execute_stream(plan, context.session().task_ctx())?,
        })
    }

    /// Whether a [`GatherExec`] joins the inputs that fails where a customer has several rows in one of them.
    pub fn refuses_repeats(&self) -> bool {
        let refuses =
            |node: &Arc<dyn ExecutionPlan>| node.downcast_ref::<GatherExec>().map(GatherExec::refuses_repeats);
        self.watched.plan().exists(|node| Ok(refuses(node) == Some(true))).unwrap_or(false)
    }

    /// What joins the inputs in it.
    pub fn join(&self) -> JoinReport {
        JoinReport::of(self.watched.plan())
    }

    /// The next batch, where there is one.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        #[cfg(feature = "ballista")]
        if let Some(job) = &self.job {
            return job.next(&mut self.batches).await;
        }
        self.batches.next().await
    }
}

/// All batches of a plan whose result is small.
///
/// # Errors
/// What the planner or a reader says.
pub async fn rows(context: &RunContext, plan: &LogicalPlan) -> Result<Vec<RecordBatch>> {
    let mut running = Running::start(context, plan).await?;
    let mut batches = Vec::new();
    while let Some(batch) = running.next().await {
        batches.push(batch?);
    }
    Ok(batches)
}

/// The only row of a plan that aggregates everything.
///
/// # Errors
/// What the planner or a reader says.
pub async fn single_row(context: &RunContext, plan: &LogicalPlan) -> Result<Vec<ScalarValue>> {
    let batches = rows(context, plan).await?;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    let batch = batch.ok_or_else(|| DataFusionError::Internal("an aggregate without a row".to_owned()))?;
    batch.columns().iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
}
