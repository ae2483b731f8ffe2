//! The columns of the scores, each said once: its field, what it is computed by, where it comes from and what it means.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::{Planner, drivers, input, names, score};
use crate::component::Component;
use crate::scorecard::ScoreComponent;

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sources {
    /// The column of each input that holds the customer's id.
    Keys,
    /// The fields of the component of this name.
    Component(String),
    /// The fields of all components.
    AllComponents,
    /// The run itself.
    Run,
}

type Expression = Box<dyn Fn(&Planner<'_>) -> Result<Expr> + Send + Sync>;

/// A column of a table.
pub struct Column {
    /// Name, type and whether it may be null.
    pub field: Field,
    /// Where its values come from.
    pub sources: Sources,
    /// What it means, with unit and range, in one or two sentences.
    pub doc: String,
    /// Over joined customers whose health score is computed.
    expression: Expression,
}

impl Column {
    fn new(
        field: Field,
        sources: Sources,
        doc: impl Into<String>,
        expression: impl Fn(&Planner<'_>) -> Result<Expr> + Send + Sync + 'static,
    ) -> Self {
        Self { field, sources, doc: doc.into(), expression: Box::new(expression) }
    }

    /// A column that customers carry from the join on.
    fn carried(field: Field, sources: Sources, doc: impl Into<String>) -> Self {
        let name = field.name().clone();
        Self::new(field, sources, doc, move |_| Ok(names::column(name.clone())))
    }

    /// The expression over joined customers whose health score is computed, under the column's name.
    ///
    /// # Errors
    /// Where it cannot be built, which is a fault of the program.
    pub fn expression(&self, planner: &Planner<'_>) -> Result<Expr> {
        Ok((self.expression)(planner)?.alias(self.field.name()))
    }
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn number(name: impl Into<String>, nullable: bool) -> Field {
    Field::new(name, DataType::Float64, nullable)
}

fn flag(name: &str) -> Field {
    Field::new(name, DataType::Boolean, false)
}

/// The columns of `customer_health_scores` for a component, in their order.
pub fn of_scores(component: &Component) -> Vec<Column> {
    let health = || names::column(names::HEALTH_SCORE);
    let card = component.scorecard();
    let mut columns = vec![
        Column::carried(
            text(names::CUSTOMER_ID, false),
            Sources::Keys,
            "The customer's id as text, trimmed; each customer is in one row.",
        ),
        Column::carried(
            number(names::HEALTH_SCORE, false),
            Sources::AllComponents,
            format!(
                "How well the customer is, in points from {} (worst) to {} (best).",
                card.min_health_score, card.max_health_score
            ),
        ),
    ];
    if component.include_factor_breakdown() {
        columns.extend(card.components.iter().map(of_component));
    }
    columns.extend([
        Column::new(
            text(names::RISK_CATEGORY, false),
            Sources::AllComponents,
            format!(
                "The category that the health score falls into, worst first: {}.",
                card.risk_categories.names().join(", ")
            ),
            move |planner| score::category(planner.component.scorecard(), planner.cutoffs, health()),
        ),
        Column::new(
            flag(names::IS_CHURN_RISK),
            Sources::AllComponents,
            "Whether the customer is among those who may leave.",
            move |planner| Ok(planner.cutoffs.churn_risk(health())),
        ),
        Column::new(
            flag(names::IS_EXPANSION_OPPORTUNITY),
            Sources::AllComponents,
            "Whether the customer is among those who may buy more.",
            move |planner| Ok(planner.cutoffs.expansion_opportunity(health())),
        ),
        Column::new(
            Field::new("calculated_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
            Sources::Run,
            "When the run began, UTC.",
            |planner| Ok(input::micros(planner.calculated_at)),
        ),
    ]);
    if let Some(tolerance) = component.trend_tolerance() {
        columns.extend(of_trend(tolerance));
    }
    if component.include_drivers() {
        columns.extend(of_drivers());
    }
    columns
}

fn of_component(part: &ScoreComponent) -> Column {
    let counts_as = part.missing.shown();
    let own = part.clone();
    Column::new(
        number(part.column(), false),
        Sources::Component(part.name.clone()),
        format!("Score of the component `{}`, 0-100; {counts_as} for a customer without data for it.", part.name),
        move |_| score::or(names::column(names::raw(&own)), datafusion::logical_expr::lit(counts_as)),
    )
}

/// The earlier score and what became of it; all are null for who was not scored before.
fn of_trend(tolerance: f64) -> [Column; 3] {
    let previous = |planner: &Planner<'_>| match planner.bound.history {
        Some(_) => names::column(names::PREVIOUS),
        None => score::nothing(),
    };
    let change = move |planner: &Planner<'_>| names::column(names::HEALTH_SCORE) - previous(planner);
    [
        Column::new(
            number(names::PREVIOUS, true),
            Sources::AllComponents,
            "The customer's health score in the earlier table, in points.",
            move |planner| Ok(previous(planner)),
        ),
        Column::new(
            number("health_score_change", true),
            Sources::AllComponents,
            "health_score less previous_health_score, in points.",
            move |planner| Ok(change(planner)),
        ),
        Column::new(
            text("trend", true),
            Sources::AllComponents,
            format!("`improving` or `declining` where the change is more than {tolerance} points, else `stable`."),
            move |planner| score::trend(change(planner), tolerance),
        ),
    ]
}

fn of_drivers() -> [Column; 3] {
    let item = Field::new("item", DataType::Struct(drivers::fields()), true);
    [
        Column::new(
            text("weakest_factor", true),
            Sources::AllComponents,
            "The component that costs the customer the most points; null for who has no data.",
            |planner| drivers::weakest(planner.component.scorecard()),
        ),
        Column::new(
            number(names::DATA_COVERAGE, false),
            Sources::AllComponents,
            "Share of the total weight that the customer's data back, 0-1.",
            |planner| drivers::coverage(planner.component.scorecard()),
        ),
        Column::new(
            Field::new("drivers", DataType::List(Arc::new(item)), false),
            Sources::AllComponents,
            "For each indicator its value, its score (0-100), its share of the weight (0-1) and the points that it gives.",
            drivers::all,
        ),
    ]
}

/// The schema of such columns.
pub fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()))
}
