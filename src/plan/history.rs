//! The earlier scores that a trend compares with: customers by the same keys as the inputs', each with its score before.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::Column;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::bind::Table;
use super::{clean, key_text, names};
use crate::component::{Component, Problem};

const SCORE: &str = names::HEALTH_SCORE;

/// What is wrong with the earlier scores' columns.
///
/// # Errors
/// Where an expression cannot be built, which is a fault of the program.
pub fn check(component: &Component, table: &Table) -> Result<Option<Problem>> {
    let schema = table.source.schema();
    let (key, score) = (data_type(&schema, names::CUSTOMER_ID), data_type(&schema, SCORE));
    let found = match (key, score) {
        (Some(key), Some(score)) => {
            let unfit = |name: &str, data_type: &DataType, expected: &str| {
                format!("column `{name}` has the type {data_type}, expected {expected}")
            };
            if self::key(&key)?.is_none() {
                unfit(names::CUSTOMER_ID, &key, key_text::EXPECTED)
            } else if self::score(&score)?.is_none() {
                unfit(SCORE, &score, "a number")
            } else {
                return Ok(None);
            }
        }
        _ => {
            let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            format!("expected the columns `customer_id` and `{SCORE}`, found: {}", columns.join(", "))
        }
    };
    let message = format!("history ({}): {found}", table.path);
    Ok(Some(component.problem("history", message, Some("name an earlier output of this component".to_owned()))))
}

/// The customers of earlier scores with their score before.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn plan(table: &Table) -> Result<LogicalPlan> {
    let schema = table.source.schema();
    let unfit = || DataFusionError::Plan("the history has types that were not refused".to_owned());
    let key = key(schema.field_with_name(names::CUSTOMER_ID)?.data_type())?.ok_or_else(unfit)?;
    let score = score(schema.field_with_name(SCORE)?.data_type())?.ok_or_else(unfit)?;
    LogicalPlanBuilder::scan("history", table.source.clone(), None)?
        .filter(key.clone().is_not_null())?
        .project([key.alias(names::CUSTOMER_ID), score.alias(names::PREVIOUS)])?
        .build()
}

fn key(data_type: &DataType) -> Result<Option<Expr>> {
    key_text::of(column(names::CUSTOMER_ID), data_type)
}

fn score(data_type: &DataType) -> Result<Option<Expr>> {
    clean::number(column(SCORE), data_type)
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new(Some("history"), name))
}

fn data_type(schema: &Schema, name: &str) -> Option<DataType> {
    schema.field_with_name(name).ok().map(|field| field.data_type().clone())
}
