//! Groupings whose aggregates keep all of a customer's values are made in one step.
//!
//! Made in two, as others are, the first has nothing to shrink, and holds in memory once more what the second one holds;
//! where it notices that and gives up, `percentile_cont` of DataFusion 55 panics. In one step rows go to their customer's
//! partition as they are, and what does not fit into memory goes to disk.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode};

/// Aggregates that know nothing of a customer before they know all values.
const KEEP_ALL: [&str; 2] = ["median", "percentile_cont"];

/// Goes before the engine's own rules, which then bring rows to their partitions.
#[derive(Debug, Clone, Copy)]
pub struct Undivided;

impl PhysicalOptimizerRule for Undivided {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match in_one_step(&node)? {
                Some(whole) => Transformed::yes(Arc::new(whole) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Undivided"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn in_one_step(node: &Arc<dyn ExecutionPlan>) -> Result<Option<AggregateExec>> {
    let Some(last) = node.downcast_ref::<AggregateExec>() else { return Ok(None) };
    let Some(first) = last.input().downcast_ref::<AggregateExec>() else { return Ok(None) };
    let mode = match last.mode() {
        AggregateMode::FinalPartitioned => AggregateMode::SinglePartitioned,
        AggregateMode::Final => AggregateMode::Single,
        _ => return Ok(None),
    };
    let keeps_all = first.aggr_expr().iter().any(|aggregate| KEEP_ALL.contains(&aggregate.fun().name()));
    // Whatever comes in order is grouped as it comes.
    let linear = *first.input_order_mode() == InputOrderMode::Linear && last.limit_options().is_none();
    if *first.mode() != AggregateMode::Partial || !keeps_all || !linear {
        return Ok(None);
    }
    let whole = AggregateExec::try_new(
        mode,
        first.group_expr().clone(),
        first.aggr_expr().to_vec(),
        first.filter_expr().to_vec(),
        first.input().clone(),
        first.input_schema(),
    )?;
    Ok(Some(whole))
}
