//! Which operator joins the inputs in a physical plan, and why it is not the faster one.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};

use super::exec::GatherExec;
use super::rule::unfit_column;

/// What brings the rows of a customer from several inputs together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinReport {
    /// `GatherExec`, which is the faster one, or `AggregateExec`; `None` where one input is read and nothing is joined.
    pub operator: Option<&'static str>,
    /// The first column for which it could not be `GatherExec`.
    pub unfit_column: Option<String>,
}

impl JoinReport {
    /// The operator in a plan that is ready to run.
    pub fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let mut found = Self::default();
        // A plan that was made has no node that cannot be visited.
        let _ = plan.apply(|node| {
            if node.is::<GatherExec>() && node.children().into_iter().any(reads_union) {
                found.operator = Some("GatherExec");
            } else if let Some(grouping) = node.downcast_ref::<AggregateExec>()
                && reads_union(grouping.input())
            {
                found = Self { operator: Some("AggregateExec"), unfit_column: unfit_column(grouping) };
            }
            Ok(if found.operator.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        found
    }
}

/// Whether a plan is a UNION ALL, perhaps behind an exchange of rows between partitions.
fn reads_union(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.is::<UnionExec>() || plan.is::<InterleaveExec>() {
        true => true,
        false if plan.name().contains("Repartition") || plan.name().contains("Coalesce") => {
            plan.children().into_iter().any(reads_union)
        }
        false => false,
    }
}
