//! Whether it is a component's SQL that fails on an input's rows rather than the file, and which.

use datafusion::arrow::error::ArrowError;
use datafusion::common::Column;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};
use indexmap::IndexSet;

use super::{EngineError, broken, culprit};
use crate::component::{Component, ComponentError, Problem};
use crate::error::ErrorKind;
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::plan::bind::{BoundInput, Origin};
use crate::plan::expression::project_aggregated;
use crate::plan::input::{Window, counting, scan};
use crate::plan::{Bound, Planner, names};

/// The error as one of the component's SQL, where an input's columns can be read and one of its expressions fails on them.
pub async fn sql(
    error: EngineError,
    (component, bound): (&Component, &Bound),
    window: Window,
    context: &RunContext,
) -> EngineError {
    let EngineError::Io(IoError::Unreadable { role, source: Some(_), .. }) = &error else { return error };
    let Some(input) = bound.inputs.values().find(|input| *role == format!("input `{}`", input.name)) else {
        return error;
    };
    if let Ok(Some(problem)) = unreadable_key(component, input, context).await {
        return EngineError::Inputs { problems: ComponentError::new(vec![problem]), kind: ErrorKind::InvalidInput };
    }
    match failing(input, window, context).await {
        Ok(Some((path, own))) => {
            let (reason, hint) = reason(&own);
            let message = format!("this SQL fails on the rows of {}: {reason}", input.table.path);
            let problem = component.problem(&format!("inputs.{}.{path}", input.name), message, hint);
            ComponentError::new(vec![problem]).into()
        }
        // The columns cannot be read, or nothing fails any more.
        Ok(None) | Err(_) => match used(input) {
            Ok(plan) => broken::name(error, &plan, context).await,
            Err(_) => error,
        },
    }
}

/// What is wrong with an input's key, where its column can be read and has no keys in it. Only bytes have none.
async fn unreadable_key(component: &Component, input: &BoundInput, context: &RunContext) -> Result<Option<Problem>> {
    let column = Expr::Column(Column::new(Some(input.name.as_str()), &input.key_column));
    culprit::read(&scan(input)?.project([column])?.build()?, context).await?;
    let Err(own) = culprit::read(&scan(input)?.project([input.key.clone()])?.build()?, context).await else {
        return Ok(None);
    };
    Ok(is_of_computing(&own).then(|| {
        let message = format!(
            "input `{}` ({}): the key `{}` has bytes that are neither text nor a UUID of 16 bytes",
            input.name, input.table.path, input.key_column
        );
        let hint = "cast it to text or a whole number where the file is made".to_owned();
        component.problem(&format!("inputs.{}.key", input.name), message, Some(hint))
    }))
}

/// A plan that reads all columns that are used of an input.
fn used(input: &BoundInput) -> Result<LogicalPlan> {
    let readings = input.fields.iter().filter_map(|field| field.reading.as_ref().map(|reading| &reading.expr));
    let instant = input.timestamp.as_ref().map(|instant| &instant.expr);
    let exprs = std::iter::once(&input.key).chain(instant).chain(&input.filter).chain(readings);
    let columns: IndexSet<&Column> = exprs.flat_map(Expr::column_refs).collect();
    scan(input)?.project(columns.into_iter().cloned().map(Expr::Column))?.build()
}

/// The error as one of a cap, where the scores can be computed without the component's caps and one of them fails alone.
pub async fn cap(error: DataFusionError, planner: &Planner<'_>, context: &RunContext) -> EngineError {
    let internal = |error| EngineError::internal("scoring", error);
    let parts = &planner.component.scorecard().components;
    if !is_of_computing(&error) || parts.iter().all(|part| part.caps.is_empty()) {
        return internal(error);
    }
    let scored = |kept: Option<(usize, usize)>| {
        let component = planner.component.with_cap(kept);
        let plan = Planner { component: &component, ..*planner }.plan();
        async move { culprit::read(&plan?, context).await }
    };
    if scored(None).await.is_err() {
        return internal(error);
    }
    let all = parts.iter().enumerate().flat_map(|(part, own)| (0..own.caps.len()).map(move |at| (part, at, &own.name)));
    for (part, at, name) in all {
        let Err(own) = scored(Some((part, at))).await else { continue };
        let (reason, hint) = reason(&own);
        let message = format!("this condition fails on a customer's values: {reason}");
        let problem = planner.component.problem(&format!("components.{name}.caps.{at}.when"), message, hint);
        return ComponentError::new(vec![problem]).into();
    }
    internal(error)
}

/// The first expression that fails although its columns can be read, by its place in the input's settings.
async fn failing(
    input: &BoundInput,
    window: Window,
    context: &RunContext,
) -> Result<Option<(String, DataFusionError)>> {
    if let Some(filter) = &input.filter {
        culprit::read(&columns(input, filter)?, context).await?;
        if let Err(own) = culprit::read(&scan(input)?.project([filter.clone()])?.build()?, context).await {
            return Ok(of_computing(own).map(|own| ("where".to_owned(), own)));
        }
    }
    for field in &input.fields {
        let (Origin::Expression(_), Some(reading)) = (&field.origin, &field.reading) else { continue };
        culprit::read(&columns(input, &reading.expr)?, context).await?;
        let (rows, value) = (counting(input, window)?, reading.expr.clone().alias("value"));
        let plan = match reading.is_aggregate {
            true => project_aggregated(rows, vec![input.key.clone().alias(names::CUSTOMER_ID)], vec![value], &[])?,
            false => rows.project([value])?.build()?,
        };
        if let Err(own) = culprit::read(&plan, context).await {
            return Ok(of_computing(own).map(|own| (format!("fields.{}", field.indicator.field), own)));
        }
    }
    Ok(None)
}

/// A plan that reads an expression's columns and computes nothing.
fn columns(input: &BoundInput, expr: &Expr) -> Result<LogicalPlan> {
    let mut columns: Vec<Expr> = expr.column_refs().into_iter().cloned().map(Expr::Column).collect();
    columns.push(input.key.clone().alias(names::KEY_OF_ROW));
    scan(input)?.project(columns)?.build()
}

/// The error, where it comes of values rather than of memory, files or stores.
fn of_computing(error: DataFusionError) -> Option<DataFusionError> {
    is_of_computing(&error).then_some(error)
}

fn is_of_computing(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::Execution(_) => true,
        DataFusionError::ArrowError(arrow, _) => {
            !matches!(**arrow, ArrowError::IoError(..) | ArrowError::ParquetError(_) | ArrowError::MemoryError(_))
        }
        _ => false,
    }
}

/// What happened, and the way out.
fn reason(error: &DataFusionError) -> (String, Option<String>) {
    let root = error.find_root();
    let hint = match root {
        DataFusionError::ArrowError(arrow, _) => match **arrow {
            ArrowError::DivideByZero => Some("divide by `nullif(x, 0)`, which is null where x is 0"),
            ArrowError::CastError(_) | ArrowError::ParseError(_) => {
                Some("write `TRY_CAST(x AS TYPE)`, which is null where a value cannot be read as that type")
            }
            ArrowError::ArithmeticOverflow(_) => {
                Some("compute with `CAST(x AS DOUBLE)`, which has room for large numbers")
            }
            _ => None,
        },
        _ => None,
    };
    let text = root.strip_backtrace();
    let text = text.lines().next().unwrap_or_default();
    let text = ["Arrow error: ", "Execution error: ", "Cast error: ", "Parser error: ", "Compute error: "]
        .iter()
        .fold(text, |text, layer| text.strip_prefix(layer).unwrap_or(text));
    (text.trim_end_matches('.').to_owned(), hint.map(ToOwned::to_owned))
}
