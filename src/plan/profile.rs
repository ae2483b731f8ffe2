//! Counts of an input's rows by what happens to them, where nothing cheaper tells.

use datafusion::error::Result;
use datafusion::functions_aggregate::count::count;
use datafusion::functions_aggregate::sum::sum;
use datafusion::logical_expr::{Expr, LogicalPlan, lit, when};

use super::bind::{BoundInput, counts};
use super::clean;
use super::expression::project_aggregated;
use super::input::{Window, has_key, scan};

/// What one column of a profile's only row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// All rows.
    Rows,
    /// Rows whose key is null or blank.
    NoKey,
    /// Rows with a key whose timestamp is missing or cannot be read.
    NoTimestamp,
    /// Rows with a key and a timestamp that lies outside the analysis period.
    OutsidePeriod,
    /// Rows that would count but for `where:`.
    Filtered,
    /// Values of the field at that place in [`BoundInput::fields`].
    Values(usize),
    /// Texts of the field at that place that cannot be read as a number.
    Unparsable(usize),
}

/// What can be counted about an input.
///
/// # Errors
/// Where an expression cannot be built, which is a fault of the program.
pub fn possible(input: &BoundInput) -> Result<Vec<Count>> {
    let mut possible = vec![Count::Rows, Count::NoKey];
    if input.timestamp.is_some() {
        possible.extend([Count::NoTimestamp, Count::OutsidePeriod]);
    }
    if input.filter.is_some() {
        possible.push(Count::Filtered);
    }
    for (at, field) in input.fields.iter().enumerate() {
        let Some(reading) = field.reading.as_ref().filter(|reading| !reading.is_aggregate) else { continue };
        possible.push(Count::Values(at));
        let numeric = !field.indicator.scale.is_map() && !counts(&field.indicator);
        if numeric && clean::unparsable(reading.expr.clone(), &reading.data_type)?.is_some() {
            possible.push(Count::Unparsable(at));
        }
    }
    Ok(possible)
}

/// A plan of one row with a column for each of the counts.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn plan(input: &BoundInput, window: Window, counts: &[Count]) -> Result<LogicalPlan> {
    let keyed = has_key(input);
    let dated = |yes: Expr| match &input.timestamp {
        Some(instant) => yes.and(instant.expr.clone().is_not_null()),
        None => yes,
    };
    let inside = |yes: Expr| match &input.timestamp {
        Some(instant) => yes.and(window.contains(instant)),
        None => yes,
    };
    let kept = match &input.filter {
        Some(filter) => inside(keyed.clone()).and(filter.clone()),
        None => inside(keyed.clone()),
    };
    let mut aggregates = Vec::new();
    for (at, wanted) in counts.iter().enumerate() {
        let counted = match wanted {
            Count::Rows => count(lit(1_i64)),
            Count::NoKey => tally(keyed.clone().is_not_true())?,
            Count::NoTimestamp => tally(keyed.clone().and(dated(lit(true)).is_not_true()))?,
            Count::OutsidePeriod => tally(dated(keyed.clone()).and(inside(lit(true)).is_not_true()))?,
            Count::Filtered => tally(inside(keyed.clone()).and(kept.clone().is_not_true()))?,
            Count::Values(field) => match &input.fields[*field].reading {
                Some(reading) => count(reading.expr.clone()),
                None => count(lit(datafusion::common::ScalarValue::Null)),
            },
            Count::Unparsable(field) => {
                let reading = input.fields[*field].reading.as_ref();
                let unparsable =
                    reading.map(|r| clean::unparsable(r.expr.clone(), &r.data_type)).transpose()?.flatten();
                tally(kept.clone().and(unparsable.unwrap_or(lit(false))))?
            }
        };
        aggregates.push(counted.alias(format!("count {at}")));
    }
    project_aggregated(scan(input)?, vec![], vec![], &aggregates)
}

/// Number of rows for which a condition is true.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn tally(condition: Expr) -> Result<Expr> {
    Ok(sum(when(condition, lit(1_i64)).otherwise(lit(0_i64))?))
}
