//! Counts of an input's rows by what happens to them, where nothing cheaper tells.

use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::count::count;
use datafusion::functions_aggregate::sum::sum;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit, when};

use super::bind::{Bound, BoundField, BoundInput};
use super::expression::project_aggregated;
use super::fit::counts;
use super::input::{Window, has_key, scan};
use super::names::{self, column};
use super::{clean, scale};
use crate::scorecard::Scale;

/// What one column of a profile's only row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// All rows.
    Rows,
    /// Rows whose key is null or blank.
    NoKey,
    /// Rows with a key whose timestamp is missing.
    NoTimestamp,
    /// Rows with a key whose timestamp is there, but cannot be read.
    UnreadableTimestamp,
    /// Rows with a key and a timestamp that lies outside the analysis period.
    OutsidePeriod,
    /// Rows that would count but for `where:`.
    Filtered,
    /// Values of the field at that place in [`BoundInput::fields`].
    Values(usize),
    /// Texts of the field at that place that cannot be read as a number.
    Unparsable(usize),
    /// Texts of the field at that place that no entry of its map knows; asked only where the scores show some.
    Unmapped(usize),
}

/// What can be counted about an input.
///
/// # Errors
/// Where an expression cannot be built, which is a fault of the program.
pub fn possible(input: &BoundInput) -> Result<Vec<Count>> {
    let mut possible = vec![Count::Rows, Count::NoKey];
    if let Some(instant) = &input.timestamp {
        possible.extend([Count::NoTimestamp, Count::OutsidePeriod]);
        possible.extend(instant.unreadable.is_some().then_some(Count::UnreadableTimestamp));
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
    let kept = kept(input, window);
    let dated = |yes: Expr| match &input.timestamp {
        Some(instant) => yes.and(instant.expr.clone().is_not_null()),
        None => yes,
    };
    let inside = |yes: Expr| match &input.timestamp {
        Some(instant) => yes.and(window.contains(instant)),
        None => yes,
    };
    let unreadable = input.timestamp.as_ref().and_then(|instant| instant.unreadable.clone()).unwrap_or(lit(false));
    let mut aggregates = Vec::new();
    for (at, wanted) in counts.iter().enumerate() {
        let counted = match wanted {
            Count::Rows => count(lit(1_i64)),
            Count::NoKey => tally(keyed.clone().is_not_true())?,
            Count::NoTimestamp => {
                let absent = dated(lit(true)).is_not_true().and(unreadable.clone().is_not_true());
                tally(keyed.clone().and(absent))?
            }
            Count::UnreadableTimestamp => tally(keyed.clone().and(unreadable.clone().is_true()))?,
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
            Count::Unmapped(field) => {
                let unmapped = unmapped(&input.fields[*field])?;
                tally(kept.clone().and(unmapped.map_or(lit(false), |(_, unmapped)| unmapped)))?
            }
        };
        aggregates.push(counted.alias(format!("count {at}")));
    }
    project_aggregated(scan(input)?, vec![], vec![], &aggregates)
}

/// True for the rows that count.
fn kept(input: &BoundInput, window: Window) -> Expr {
    let inside = input.timestamp.as_ref().map(|instant| window.contains(instant));
    [inside, input.filter.clone()].into_iter().flatten().fold(has_key(input), Expr::and)
}

/// The text of a field with a map, and whether it is there and no entry of the map knows it; `None` for other fields.
fn unmapped(field: &BoundField) -> Result<Option<(Expr, Expr)>> {
    let (Some(reading), Scale::Map { scores, .. }) = (&field.reading, &field.indicator.scale) else { return Ok(None) };
    let Some(text) = clean::text(reading.expr.clone(), &reading.data_type)? else { return Ok(None) };
    let unmapped = scale::unmapped(text.clone(), scores)?.gt(lit(0.0));
    Ok(Some((text, unmapped)))
}

/// A plan of the most frequent texts of a field that no entry of its map knows, with their number of rows; `None` where the
/// field has no map.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn unmapped_texts(
    input: &BoundInput,
    window: Window,
    field: &BoundField,
    most: usize,
) -> Result<Option<LogicalPlan>> {
    let Some((text, unmapped)) = unmapped(field)? else { return Ok(None) };
    let rows = scan(input)?.filter(kept(input, window).and(unmapped))?;
    frequent(rows, text, most).map(Some)
}

/// The customers of an input whose text of a field that has one for each customer is in no entry of its map, as `text`.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
fn unmapped_customers(
    bound: &Bound,
    input: &BoundInput,
    window: Window,
    field: &BoundField,
) -> Result<LogicalPlanBuilder> {
    let text = column(names::low_text(&field.component, &field.indicator));
    let Scale::Map { scores, .. } = &field.indicator.scale else {
        return Err(DataFusionError::Plan(format!("`{}` has no map", field.indicator.name)));
    };
    let customers = bound.customers(input, window, |other| std::ptr::eq(other, field))?;
    let unmapped = scale::unmapped(text.clone(), scores)?.gt(lit(0.0));
    LogicalPlanBuilder::from(customers).filter(unmapped)?.project([text.alias("text")])
}

/// A plan of one row with the number of an input's customers whose text of an aggregate is in no entry of its map.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn unmapped_aggregates(
    bound: &Bound,
    input: &BoundInput,
    window: Window,
    field: &BoundField,
) -> Result<LogicalPlan> {
    let customers = unmapped_customers(bound, input, window, field)?;
    customers.aggregate(Vec::<Expr>::new(), [count(lit(1_i64))])?.build()
}

/// A plan of the most frequent of those texts, with their number of customers.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn unmapped_aggregate_texts(
    bound: &Bound,
    input: &BoundInput,
    window: Window,
    field: &BoundField,
    most: usize,
) -> Result<LogicalPlan> {
    frequent(unmapped_customers(bound, input, window, field)?, column("text"), most)
}

/// A plan of the most frequent texts of the timestamp that cannot be read, with their number of rows; `None` where it is no
/// text.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn unreadable_timestamps(input: &BoundInput, most: usize) -> Result<Option<LogicalPlan>> {
    let Some(instant) = &input.timestamp else { return Ok(None) };
    let Some(unreadable) = instant.unreadable.clone() else { return Ok(None) };
    let text = cast(instant.column().clone(), DataType::Utf8View);
    frequent(scan(input)?.filter(has_key(input).and(unreadable))?, text, most).map(Some)
}

/// The most frequent texts of some rows, with their number.
fn frequent(rows: LogicalPlanBuilder, text: Expr, most: usize) -> Result<LogicalPlan> {
    let plan = rows.project([text.alias("text")])?;
    let rows = count(lit(1_i64)).alias("rows");
    let plan = plan.aggregate([column("text")], [rows])?;
    let order = vec![column("rows").sort(false, false), column("text").sort(true, false)];
    plan.sort_with_limit(order, Some(most))?.build()
}

/// Number of rows for which a condition is true.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn tally(condition: Expr) -> Result<Expr> {
    Ok(sum(when(condition, lit(1_i64)).otherwise(lit(0_i64))?))
}
