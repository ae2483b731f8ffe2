//! The columns of the scores, each said once: its field, what it is computed by, where it comes from and what it means.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::{Planner, drivers, flag_rules, input, names, score};
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
        Column::carried(text(names::CUSTOMER_ID, false), Sources::Keys, "The customer; each has one row."),
        Column::carried(
            number(names::HEALTH_SCORE, false),
            Sources::AllComponents,
            format!(
                "Health of the customer, {} to {}: the scores of the components by their weights.",
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
            format!("Category of the health score, from low to high: {}.", card.risk_categories.names().join(", ")),
            move |planner| score::category(planner.component.scorecard(), planner.cutoffs, health()),
        ),
        Column::new(
            flag(names::IS_CHURN_RISK),
            Sources::AllComponents,
            format!("Whether the customer is at churn risk: {}.", flag_rules::churn_risk(card)),
            move |planner| Ok(planner.cutoffs.churn_risk(health())),
        ),
        Column::new(
            flag(names::IS_EXPANSION_OPPORTUNITY),
            Sources::AllComponents,
            format!("Whether the customer is an expansion opportunity: {}.", flag_rules::expansion_opportunity(card)),
            move |planner| Ok(planner.cutoffs.expansion_opportunity(health())),
        ),
        Column::new(
            Field::new("calculated_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
            Sources::Run,
            "When the run started; the same in all rows.",
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
        format!("Score of the component {}, 0 to 100.", part.name),
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
            "Health score in the table of before; null for a customer that is not in it.",
            move |planner| Ok(previous(planner)),
        ),
        Column::new(
            number("health_score_change", true),
            Sources::AllComponents,
            "Health score less the one of before, in points.",
            move |planner| Ok(change(planner)),
        ),
        Column::new(
            text("trend", true),
            Sources::AllComponents,
            format!("improving, stable (within {tolerance} points of the score of before) or declining."),
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
            "The component that costs the most points: its weight by what its score lacks to 100.",
            |planner| drivers::weakest(planner.component.scorecard()),
        ),
        Column::new(
            number(names::DATA_COVERAGE, false),
            Sources::AllComponents,
            "Share of the weight that data of the customer backs, 0 to 1.",
            |planner| drivers::coverage(planner.component.scorecard()),
        ),
        Column::new(
            Field::new("drivers", DataType::List(Arc::new(item)), false),
            Sources::AllComponents,
            "What each indicator contributes: its value, its score of 0 to 100, its weight, and its points.",
            drivers::all,
        ),
    ]
}

/// The schema of such columns.
pub fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Recipe;

    fn columns(attributes: &str) -> Vec<Column> {
        let text = format!("inputs: {{customer: c.parquet}}\noutput: o.parquet\n{attributes}");
        of_scores(&Component::new(&Recipe { text, ..Recipe::default() }).unwrap())
    }

    #[test]
    fn every_column_says_what_it_means() {
        for attributes in [
            "",
            "include_drivers: true\ncalculate_trend: true\nhistory: h.parquet\n",
            "include_factor_breakdown: false\n",
        ] {
            for column in columns(attributes) {
                assert!(column.doc.len() > 20, "{}", column.field.name());
            }
        }
    }

    #[test]
    fn the_component_s_own_numbers_and_names_are_told() {
        let columns = columns(
            "churn_risk_threshold: 35.5\nexpansion_opportunity_threshold: {best: 20 %}\nmax_health_score: 90\n",
        );
        let doc = |name: &str| columns.iter().find(|column| column.field.name() == name).unwrap().doc.as_str();
        assert_eq!(doc("is_churn_risk"), "Whether the customer is at churn risk: below 35.5.");
        assert!(doc("is_expansion_opportunity").ends_with(": the best 20 %."));
        assert!(doc("health_score").contains("0 to 90"));
        assert!(doc("engagement_score").contains("engagement"));
        assert!(doc("risk_category").contains("high_risk, moderate, healthy"));
    }
}
