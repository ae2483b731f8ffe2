//! Names of the columns inside a plan; those with a blank in them never reach the output.

use datafusion::prelude::{Expr, ident};

use crate::scorecard::{Indicator, InputName, ScoreComponent};

/// The key of every table after its input was read.
pub const CUSTOMER_ID: &str = "customer_id";
/// The health score, clipped to the range given out.
pub const HEALTH_SCORE: &str = "health_score";
/// The category of the health score.
pub const RISK_CATEGORY: &str = "risk_category";
/// Whether the customer may leave.
pub const IS_CHURN_RISK: &str = "is_churn_risk";
/// Whether the customer may buy more.
pub const IS_EXPANSION_OPPORTUNITY: &str = "is_expansion_opportunity";
/// Share of the weight that data back.
pub const DATA_COVERAGE: &str = "data_coverage";
/// The health score of the earlier materialization.
pub const PREVIOUS: &str = "previous_health_score";
/// The health score before it is clipped to the range given out.
pub const UNCLIPPED: &str = "unclipped score";

/// A row's key, as trimmed text.
pub const KEY_OF_ROW: &str = "key of the row";
/// The inputs that have a customer, one bit each ([`bit`]); null where only the history has.
pub const PRESENT: &str = "present in";

/// An input's bit in [`PRESENT`].
pub fn bit(input: InputName) -> u8 {
    1 << InputName::ALL.iter().position(|name| *name == input).unwrap_or_default()
}

/// A customer's value of an indicator's field.
pub fn value(component: &ScoreComponent, indicator: &Indicator) -> String {
    format!("{}.{} value", component.name, indicator.name)
}

/// The smallest text that a customer's rows have for a mapped indicator.
pub fn low_text(component: &ScoreComponent, indicator: &Indicator) -> String {
    format!("{}.{} low", component.name, indicator.name)
}

/// The largest text that a customer's rows have for a mapped indicator.
pub fn high_text(component: &ScoreComponent, indicator: &Indicator) -> String {
    format!("{}.{} high", component.name, indicator.name)
}

/// How many texts of a customer's rows in an input are in none of the maps that score them.
pub fn unmapped(input: InputName) -> String {
    format!("unmapped in {input}")
}

/// An indicator's score, 0-100 or null.
pub fn score(component: &ScoreComponent, indicator: &Indicator) -> String {
    format!("{}.{} score", component.name, indicator.name)
}

/// A component's score before caps, 0-100 or null.
pub fn uncapped(component: &ScoreComponent) -> String {
    format!("{} uncapped", component.name)
}

/// A component's score, 0-100 or null where it is missing.
pub fn raw(component: &ScoreComponent) -> String {
    format!("{} raw", component.name)
}

/// Whether a cap of a component lowered it.
pub fn cap_hit(component: &ScoreComponent, at: usize) -> String {
    format!("{} cap {at}", component.name)
}

/// One of the values that an aggregate wants distinct.
pub fn distinct_value(at: usize) -> String {
    format!("distinct value {at}")
}

/// An aggregate that was computed beside others, over values or rows of its own.
pub fn of_set(at: usize) -> String {
    format!("aggregate {at}")
}

/// The column of that exact name.
pub fn column(name: impl Into<String>) -> Expr {
    ident(name.into())
}
