//! Which operator joins the inputs in a physical plan, and why it is not the faster one.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};

use super::exec::GatherExec;
use super::rule::unfit_column;

/// What brings the rows of a customer from several inputs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinOperator {
    /// Nothing: there is one input.
    None,
    /// [`GatherExec`].
    Gather,
    /// DataFusion's own grouping.
    Aggregate {
        /// The first column for which [`GatherExec`] cannot do it; `None` where no column is at fault.
        column: Option<String>,
    },
}

impl JoinOperator {
    /// The operator in a plan that is ready to run.
    pub fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let mut found = Self::None;
        // A plan that was made has no node that cannot be visited.
        let _ = plan.apply(|node| {
            if node.downcast_ref::<GatherExec>().is_some() && node.children().into_iter().any(reads_union) {
                found = Self::Gather;
                return Ok(TreeNodeRecursion::Stop);
            }
            if let Some(grouping) = node.downcast_ref::<AggregateExec>()
                && reads_union(grouping.input())
            {
                found = Self::Aggregate { column: unfit_column(grouping) };
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
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
