//! Finds the grouping that joins the inputs, and puts the operator made for it in its place.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::expressions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::union::UnionExec;

use super::exec::{Column, GatherExec, Settings};
use super::key::MOST_PARTS;
use super::meeting::Fold;
use super::piece::Layout;

/// Rows of all inputs in one part: so few that its customers fit into the cache of a processor core.
const ROWS_OF_A_PART: u64 = 1 << 15;

/// Replaces `GROUP BY key` by [`GatherExec`], where all that is asked for are simple aggregates of numbers and `bit_or` of
/// one column. Goes before the engine's own rules, which then divide and order what stands below and above it.
#[derive(Debug, Clone, Copy)]
pub struct Gathering {
    /// Rows of all inputs together, as far as known.
    pub rows: u64,
    /// Bytes that the customers of one grouping may take, whose tables do not go to disk; a UNION ALL's do.
    pub room: usize,
    /// Bytes of rows that are brought together at once in such a grouping.
    pub at_once: usize,
    /// Whether to fail where two rows that say the same bits have one key.
    pub refuse_repeats: bool,
}

impl PhysicalOptimizerRule for Gathering {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match self.gathered(&node, config) {
                Some(gathered) => Transformed::yes(gathered),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Gathering"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl Gathering {
    /// Bytes that keys and values take where no two rows have one key, of keys that are no longer than most; with some room,
    /// as tables grow by doubling.
    fn most_bytes(&self, values: usize) -> u64 {
        self.rows.saturating_mul(80 + 16 * values as u64)
    }

    fn gathered(&self, node: &Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Option<Arc<dyn ExecutionPlan>> {
        let last = node.downcast_ref::<AggregateExec>()?;
        let first = last.input().downcast_ref::<AggregateExec>()?;
        let modes = matches!(last.mode(), AggregateMode::Final | AggregateMode::FinalPartitioned)
            && *first.mode() == AggregateMode::Partial;
        let plain = last.limit_options().is_none() && first.filter_expr().iter().all(Option::is_none);
        if !modes || !plain || !first.group_expr().is_single() {
            return None;
        }
        let input = first.input_schema();
        let column = |expr: &Arc<dyn datafusion::physical_expr::PhysicalExpr>, wanted: &DataType| {
            let at = expr.downcast_ref::<expressions::Column>()?.index();
            (input.field(at).data_type() == wanted).then_some(at)
        };
        let [(key, _)] = first.group_expr().expr() else { return None };
        let key = column(key, &DataType::Utf8View)?;
        let (mut bits, mut values, mut folds, mut columns) = (None, Vec::new(), Vec::new(), Vec::new());
        for aggregate in first.aggr_expr().iter().filter(|aggregate| !aggregate.is_distinct()) {
            let arguments = aggregate.expressions();
            let [argument] = arguments.as_slice() else { return None };
            let fold = match aggregate.fun().name() {
                "bit_or" if bits.is_none() => {
                    bits = Some(column(argument, &DataType::UInt8)?);
                    columns.push(Column::Bits);
                    continue;
                }
                "max" => Fold::Largest,
                "min" => Fold::Smallest,
                "sum" => Fold::Sum,
                "avg" => Fold::Average,
                "count" => Fold::Count,
                _ => return None,
            };
            columns.push(Column::Value(values.len()));
            values.push(column(argument, &DataType::Float64)?);
            folds.push(fold);
        }
        if columns.len() < first.aggr_expr().len() || aggregates_ordered(first) {
            return None;
        }
        let folding = !first.input().is::<UnionExec>();
        // Only bits that tell the inputs apart tell of repeated rows too, and those meet behind the UNION ALL.
        let refuse_repeats = self.refuse_repeats && bits.is_some() && !folding;
        if folding && self.most_bytes(values.len()) > self.room as u64 {
            return None;
        }
        // What is written to disk counts values in a byte.
        if values.len() > usize::from(u8::MAX) {
            return None;
        }
        let settings = Settings {
            layout: Layout { key, bits, values },
            folds,
            at_once: folding.then_some(self.at_once),
            columns,
            schema: last.schema(),
            parts: parts(self.rows),
            partitions: config.execution.target_partitions,
            refuse_repeats,
        };
        Some(Arc::new(GatherExec::new(first.input().clone(), settings)))
    }
}

/// Whether an aggregate depends on the order of rows.
fn aggregates_ordered(aggregate: &AggregateExec) -> bool {
    aggregate.aggr_expr().iter().any(|aggregate| !aggregate.order_bys().is_empty())
}

fn parts(rows: u64) -> usize {
    let wanted = usize::try_from(rows / ROWS_OF_A_PART).unwrap_or(MOST_PARTS);
    wanted.clamp(1, MOST_PARTS).next_power_of_two()
}
