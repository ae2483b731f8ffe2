//! Rows to one row per customer: the rows that count, grouped by key, each indicator aggregated.

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::average::avg;
use datafusion::functions_aggregate::count::{count, count_distinct};
use datafusion::functions_aggregate::first_last::last_value_udaf;
use datafusion::functions_aggregate::min_max::{max, min};
use datafusion::functions_aggregate::sum::sum;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, lit, when};

use super::bind::{BoundField, BoundInput};
use super::clean::Instant;
use super::expression::{Typed, project_aggregated};
use super::fit::counts;
use super::{clean, names, scale};
use crate::scorecard::{Aggregate, Scale};

const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// The rows of an input that lie in the analysis period: `(as_of - period, as_of]`.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// End of the period, included.
    pub as_of: DateTime<Utc>,
    /// Length in days.
    pub days: u32,
}

impl Window {
    /// True for instants inside the window.
    pub fn contains(&self, instant: &Instant) -> Expr {
        // A period that begins before there is time to count takes in all that came before its end.
        let end = self.as_of.timestamp_micros();
        let start = end.saturating_sub(i64::from(self.days).saturating_mul(MICROS_OF_A_DAY));
        instant.within(start, end)
    }
}

/// An instant as a literal.
pub fn micros(at: DateTime<Utc>) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), Some("UTC".into())))
}

/// The raw table.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn scan(input: &BoundInput) -> Result<LogicalPlanBuilder> {
    LogicalPlanBuilder::scan(input.name.as_str(), input.table.source.clone(), None)
}

/// True for rows whose key is neither null nor blank.
pub fn has_key(input: &BoundInput) -> Expr {
    input.key.clone().not_eq(lit(""))
}

/// The rows that count.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn counting(input: &BoundInput, window: Window) -> Result<LogicalPlanBuilder> {
    let conditions = [
        (!input.rows.all_have_keys).then(|| has_key(input)),
        input.timestamp.as_ref().map(|instant| window.contains(instant)),
        input.filter.clone(),
    ];
    match conjunction(conditions.into_iter().flatten()) {
        Some(condition) => scan(input)?.filter(condition),
        None => scan(input),
    }
}

/// The keys of the rows that count.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn keys(input: &BoundInput, window: Window) -> Result<LogicalPlan> {
    counting(input, window)?.project([input.key.clone().alias(names::CUSTOMER_ID)])?.build()
}

/// One row per customer: `customer_id` and for each field its value, or for a mapped one its score, and
/// [`names::unmapped`] where texts may be in no map; with `texts`, mapped fields have their smallest and largest text too.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn customers(input: &BoundInput, window: Window, texts: impl Fn(&BoundField) -> bool) -> Result<LogicalPlan> {
    if let Some(grouped) = &input.grouped {
        let own = |name: &String| names::column(name).alias(name);
        let columns = grouped.schema().fields().iter().map(|field| own(field.name())).collect::<Vec<_>>();
        return LogicalPlanBuilder::scan(input.name.as_str(), grouped.clone(), None)?.project(columns)?.build();
    }
    let plan = counting(input, window)?;
    let (mut aggregates, mut projected, mut of_row) = (Vec::new(), Vec::new(), Vec::new());
    // An aggregate of the user's is one over a customer's rows, however many there are.
    let as_they_are = input.rows.one_each && !input.fields.iter().any(BoundField::is_aggregate);
    for field in &input.fields {
        let Some(reading) = &field.reading else { continue };
        if reading.is_aggregate {
            of_customer(field, reading, texts(field), &mut projected)?;
        } else {
            let timestamp = (!as_they_are).then_some(input.timestamp.as_ref());
            of_rows(field, reading, texts(field), timestamp, (&mut of_row, &mut aggregates))?;
        }
    }
    if let Some(unmapped) = unmapped(input, as_they_are, &mut of_row)? {
        // Beside the other aggregates where it is one itself, in its own expression where it is put together of several.
        let simple = as_they_are || matches!(unmapped, Expr::AggregateFunction(_));
        if simple { &mut aggregates } else { &mut projected }.push(unmapped.alias(names::unmapped(input.name)));
    }
    let key = input.key.clone().alias(names::CUSTOMER_ID);
    if as_they_are {
        return plan.project(std::iter::once(key).chain(aggregates))?.build();
    }
    // Put together below the grouping, where expressions can be evaluated faster than in it.
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let plan = plan.project(columns.into_iter().chain([input.key.clone().alias(names::KEY_OF_ROW)]).chain(of_row))?;
    let key = names::column(names::KEY_OF_ROW).alias(names::CUSTOMER_ID);
    project_aggregated(plan, vec![key], projected, &aggregates)
}

/// How many texts of a customer are in none of the maps that score them; `None` where there cannot be any.
fn unmapped(input: &BoundInput, as_they_are: bool, of_row: &mut Vec<Expr>) -> Result<Option<Expr>> {
    let (mut in_rows, mut in_all) = (Vec::new(), Vec::new());
    for field in input.fields.iter().filter(|field| field.may_be_unmapped()) {
        let (Some(reading), Scale::Map { scores, .. }) = (&field.reading, &field.indicator.scale) else { continue };
        let text = clean::text(reading.expr.clone(), &reading.data_type)?.ok_or_else(|| unusable(field))?;
        if field.is_aggregate() { &mut in_all } else { &mut in_rows }.push(scale::unmapped(text, scores)?);
    }
    let in_rows = in_rows.into_iter().reduce(|sum, part| sum + part);
    let in_rows = in_rows.map(|marks| {
        if as_they_are {
            return marks;
        }
        let name = format!("row's {}", names::unmapped(input.name));
        of_row.push(marks.alias(&name));
        sum(names::column(name))
    });
    Ok(in_rows.into_iter().chain(in_all).reduce(|sum, part| sum + part))
}

fn unusable(field: &BoundField) -> DataFusionError {
    DataFusionError::Plan(format!("field `{}` has a type that was not refused", field.indicator.field))
}

/// A field that is an aggregate itself: one value per customer.
fn of_customer(field: &BoundField, reading: &Typed, text: bool, projected: &mut Vec<Expr>) -> Result<()> {
    let (component, indicator) = (&field.component, &field.indicator);
    if let Scale::Map { scores, default } = &indicator.scale {
        let value = clean::text(reading.expr.clone(), &reading.data_type)?.ok_or_else(|| unusable(field))?;
        projected.push(scale::map(value.clone(), scores, *default)?.alias(names::score(component, indicator)));
        if text {
            projected.push(value.clone().alias(names::low_text(component, indicator)));
            projected.push(value.alias(names::high_text(component, indicator)));
        }
        return Ok(());
    }
    let value = clean::number(reading.expr.clone(), &reading.data_type)?.ok_or_else(|| unusable(field))?;
    projected.push(value.alias(names::value(component, indicator)));
    Ok(())
}

/// A field that has a value in each row; `grouped` has the rows' timestamp where there is something to group.
fn of_rows(
    field: &BoundField,
    reading: &Typed,
    text: bool,
    grouped: Option<Option<&Instant>>,
    (of_row, aggregates): (&mut Vec<Expr>, &mut Vec<Expr>),
) -> Result<()> {
    let mut aggregate = |value: Expr| match grouped {
        None => of_one(field.indicator.aggregate, value),
        Some(timestamp) => {
            let name = format!("row's {}", names::value(&field.component, &field.indicator));
            of_row.push(value.alias(&name));
            aggregate(field.indicator.aggregate, names::column(name), timestamp)
        }
    };
    let (component, indicator) = (&field.component, &field.indicator);
    if let Scale::Map { scores, default } = &indicator.scale {
        let value = clean::text(reading.expr.clone(), &reading.data_type)?.ok_or_else(|| unusable(field))?;
        let score = scale::map(value.clone(), scores, *default)?;
        aggregates.push(aggregate(score)?.alias(names::score(component, indicator)));
        if text {
            let (low, high) = if grouped.is_none() { (value.clone(), value) } else { (min(value.clone()), max(value)) };
            aggregates.push(low.alias(names::low_text(component, indicator)));
            aggregates.push(high.alias(names::high_text(component, indicator)));
        }
        return Ok(());
    }
    let number = clean::number(reading.expr.clone(), &reading.data_type)?;
    let value = match number {
        // What cannot be a number, or is text, can still be counted.
        _ if counts(indicator) && clean::is_text(&reading.data_type) => {
            clean::text(reading.expr.clone(), &reading.data_type)?.ok_or_else(|| unusable(field))?
        }
        Some(number) => number,
        None if counts(indicator) => reading.expr.clone(),
        None => return Err(unusable(field)),
    };
    let value = aggregate(value)?;
    aggregates.push(value.alias(names::value(component, indicator)));
    Ok(())
}

/// What an aggregate makes of a single row.
fn of_one(aggregate: Aggregate, value: Expr) -> Result<Expr> {
    match aggregate {
        Aggregate::Min | Aggregate::Max | Aggregate::Sum | Aggregate::Avg | Aggregate::Last => Ok(value),
        Aggregate::Count | Aggregate::CountDistinct => when(value.is_not_null(), lit(1_i64)).otherwise(lit(0_i64)),
    }
}

fn aggregate(aggregate: Aggregate, value: Expr, timestamp: Option<&Instant>) -> Result<Expr> {
    Ok(match aggregate {
        Aggregate::Min => min(value),
        Aggregate::Max => max(value),
        Aggregate::Sum => sum(value),
        Aggregate::Avg => avg(value),
        Aggregate::Count => count(value),
        Aggregate::CountDistinct => count_distinct(value),
        Aggregate::Last => {
            // Of equally late rows the largest value, so that the order of rows does not matter.
            let mut order: Vec<_> =
                timestamp.map(|instant| instant.expr.clone().sort(true, true)).into_iter().collect();
            order.push(value.clone().sort(true, true));
            last_value_udaf().call(vec![value.clone()]).order_by(order).filter(value.is_not_null()).build()?
        }
    })
}

/// Arrow type of a field's value inside a plan.
pub fn value_type(field: &BoundField) -> DataType {
    match (&field.reading, field.indicator.aggregate) {
        (Some(reading), Aggregate::Count | Aggregate::CountDistinct) if !reading.is_aggregate => DataType::Int64,
        _ => DataType::Float64,
    }
}
