//! Finds the grouping that joins the inputs, and puts the operator made for it in its place.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::{PhysicalExpr, expressions};
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
        let Simple { key, bits, values, folds, columns } = Simple::of(first).ok()?;
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

/// A grouping by one text, of simple aggregates of numbers and `bit_or` of one column.
struct Simple {
    /// Place of the key among the input's columns.
    key: usize,
    /// Place of the bits.
    bits: Option<usize>,
    /// Places of the numbers.
    values: Vec<usize>,
    /// What becomes of each number.
    folds: Vec<Fold>,
    /// The aggregates, in their order.
    columns: Vec<Column>,
}

impl Simple {
    /// What a grouping asks for; an error with the name of the first column that the operator does not take.
    fn of(grouping: &AggregateExec) -> Result<Self, String> {
        let input = grouping.input_schema();
        let column = |expr: &Arc<dyn PhysicalExpr>, wanted: &DataType| {
            let Some(column) = expr.downcast_ref::<expressions::Column>() else { return Err(expr.to_string()) };
            match input.field(column.index()).data_type() == wanted {
                true => Ok(column.index()),
                false => Err(column.name().to_owned()),
            }
        };
        let [(key, name)] = grouping.group_expr().expr() else { return Err("its keys".to_owned()) };
        let key = column(key, &DataType::Utf8View).map_err(|_| name.clone())?;
        let mut simple = Self { key, bits: None, values: Vec::new(), folds: Vec::new(), columns: Vec::new() };
        for aggregate in grouping.aggr_expr() {
            let other = || aggregate.name().to_owned();
            let arguments = aggregate.expressions();
            let [argument] = arguments.as_slice() else { return Err(other()) };
            if aggregate.is_distinct() || !aggregate.order_bys().is_empty() {
                return Err(other());
            }
            let fold = match aggregate.fun().name() {
                "bit_or" if simple.bits.is_none() => {
                    simple.bits = Some(column(argument, &DataType::UInt8)?);
                    simple.columns.push(Column::Bits);
                    continue;
                }
                "max" => Fold::Largest,
                "min" => Fold::Smallest,
                "sum" => Fold::Sum,
                "avg" => Fold::Average,
                "count" => Fold::Count,
                _ => return Err(other()),
            };
            simple.columns.push(Column::Value(simple.values.len()));
            simple.values.push(column(argument, &DataType::Float64)?);
            simple.folds.push(fold);
        }
        Ok(simple)
    }
}

/// The column for which a plan's join of its inputs is none that [`GatherExec`] takes; `None` where no column is at fault.
pub fn unfit_column(join: &AggregateExec) -> Option<String> {
    Simple::of(join).err()
}

fn parts(rows: u64) -> usize {
    let wanted = usize::try_from(rows / ROWS_OF_A_PART).unwrap_or(MOST_PARTS);
    wanted.clamp(1, MOST_PARTS).next_power_of_two()
}
