//! The output contract: names, order, types and nullability of the table's columns.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::names;
use crate::component::Component;

/// The start of the run.
const CALCULATED_AT: &str = "calculated_at";

/// Fields of one entry of `drivers`; nullable as the engine's struct functions make them, though only `value` and `score`
/// ever are null.
pub fn driver_fields() -> Fields {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let number = |name| Field::new(name, DataType::Float64, true);
    Fields::from(vec![
        text("component"),
        text("indicator"),
        text("value"),
        number("score"),
        number("weight"),
        number("contribution"),
    ])
}

/// Whether a column comes from the run itself, and not from any input.
pub fn of_the_run(column: &str) -> bool {
    column == CALCULATED_AT
}

/// Schema of `customer_health_scores` for a component.
pub fn output(component: &Component) -> SchemaRef {
    let mut fields = vec![
        Field::new(names::CUSTOMER_ID, DataType::Utf8, false),
        Field::new("health_score", DataType::Float64, false),
    ];
    if component.include_factor_breakdown() {
        fields
            .extend(component.scorecard().components.iter().map(|c| Field::new(c.column(), DataType::Float64, false)));
    }
    fields.extend([
        Field::new("risk_category", DataType::Utf8, false),
        Field::new("is_churn_risk", DataType::Boolean, false),
        Field::new("is_expansion_opportunity", DataType::Boolean, false),
        Field::new(CALCULATED_AT, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]);
    if component.trend_tolerance().is_some() {
        fields.extend([
            Field::new(names::PREVIOUS, DataType::Float64, true),
            Field::new("health_score_change", DataType::Float64, true),
            Field::new("trend", DataType::Utf8, true),
        ]);
    }
    if component.include_drivers() {
        let item = Field::new("item", DataType::Struct(driver_fields()), true);
        fields.extend([
            Field::new("weakest_factor", DataType::Utf8, true),
            Field::new("data_coverage", DataType::Float64, false),
            Field::new("drivers", DataType::List(Arc::new(item)), false),
        ]);
    }
    Arc::new(Schema::new(fields))
}
