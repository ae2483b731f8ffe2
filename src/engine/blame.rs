//! Whether it is a component's SQL that fails on an input's rows rather than the file, and which.

use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::{EngineError, culprit};
use crate::component::{Component, ComponentError};
use crate::plan::Bound;
use crate::plan::bind::{BoundInput, Origin};
use crate::plan::expression::project_aggregated;
use crate::plan::input::{Window, counting, scan};
use crate::plan::names;

/// The error as one of the component's SQL, where an input's columns can be read and one of its expressions fails on them.
pub async fn sql(
    error: EngineError,
    (component, bound): (&Component, &Bound),
    window: Window,
    state: &SessionState,
) -> EngineError {
    let EngineError::Unreadable { role, source: Some(_), .. } = &error else { return error };
    let Some(input) = bound.inputs.values().find(|input| *role == format!("input `{}`", input.name)) else {
        return error;
    };
    match failing(input, window, state).await {
        Ok(Some((path, own))) => {
            let (reason, hint) = reason(&own);
            let message = format!("this SQL fails on the rows of {}: {reason}", input.table.path);
            let problem = component.problem(&format!("inputs.{}.{path}", input.name), message, hint);
            ComponentError::new(vec![problem]).into()
        }
        // The columns cannot be read, or nothing fails any more.
        Ok(None) | Err(_) => error,
    }
}

/// The first expression that fails although its columns can be read, by its place in the input's settings.
async fn failing(
    input: &BoundInput,
    window: Window,
    state: &SessionState,
) -> Result<Option<(String, DataFusionError)>> {
    if let Some(filter) = &input.filter {
        culprit::read(&columns(input, filter)?, state).await?;
        if let Err(own) = culprit::read(&scan(input)?.project([filter.clone()])?.build()?, state).await {
            return Ok(of_computing(own).map(|own| ("where".to_owned(), own)));
        }
    }
    for field in &input.fields {
        let (Origin::Expression(_), Some(reading)) = (&field.origin, &field.reading) else { continue };
        culprit::read(&columns(input, &reading.expr)?, state).await?;
        let (rows, value) = (counting(input, window)?, reading.expr.clone().alias("value"));
        let plan = match reading.is_aggregate {
            true => project_aggregated(rows, vec![input.key.clone().alias(names::CUSTOMER_ID)], vec![value], &[])?,
            false => rows.project([value])?.build()?,
        };
        if let Err(own) = culprit::read(&plan, state).await {
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
    let computed = match error.find_root() {
        DataFusionError::Execution(_) => true,
        DataFusionError::ArrowError(arrow, _) => {
            !matches!(**arrow, ArrowError::IoError(..) | ArrowError::ParquetError(_) | ArrowError::MemoryError(_))
        }
        _ => false,
    };
    computed.then_some(error)
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
