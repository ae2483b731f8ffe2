//! One customer's health score taken apart, from the same plan that scores everybody.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{LogicalPlanBuilder, lit};

use super::prepare::Prepared;
use super::report::{ComponentExplanation, Explanation, IndicatorExplanation};
use super::{EngineError, RunRequest, culprit, query};
use crate::component::Component;
use crate::io::context::RunContext;
use crate::plan::bind::Origin;
use crate::plan::{names, scale};
use crate::scorecard::{Combine, Indicator, MissingComponent, ScoreComponent, Scorecard};

/// Takes one customer's score apart.
///
/// # Errors
/// Whatever is wrong with the component or its inputs; [`EngineError::NoCustomer`] where no input has the customer.
pub async fn explain(
    component: &Component,
    request: &RunRequest,
    context: &RunContext,
    customer_id: &str,
) -> Result<Explanation, EngineError> {
    let prepared = Prepared::to_look(component, request.as_of, context).await?;
    let planner = prepared.planner(component, context, true);
    let internal = |error| EngineError::internal("planning the explanation", error);
    let plan = planner.plan().map_err(internal)?;
    let one = names::column(names::CUSTOMER_ID).eq(lit(customer_id.trim()));
    let plan = LogicalPlanBuilder::from(plan).filter(one).and_then(LogicalPlanBuilder::build).map_err(internal)?;
    let batches = match query::rows(context, &plan).await {
        Ok(batches) => batches,
        Err(error) => return Err(culprit::name(error, &planner, context).await),
    };
    let found = batches.iter().find(|batch| batch.num_rows() > 0);
    let batch = found.ok_or_else(|| EngineError::NoCustomer { customer: customer_id.to_owned() })?;
    Ok(Customer { component, prepared: &prepared, batch }.explanation())
}

/// A customer's row with everything it was scored from.
struct Customer<'a> {
    component: &'a Component,
    prepared: &'a Prepared,
    batch: &'a RecordBatch,
}

impl Customer<'_> {
    fn value(&self, name: &str) -> Option<ScalarValue> {
        let value = ScalarValue::try_from_array(self.batch.column_by_name(name)?, 0).ok()?;
        (!value.is_null()).then_some(value)
    }

    fn number(&self, name: &str) -> Option<f64> {
        match self.value(name)? {
            ScalarValue::Float64(number) => number,
            _ => None,
        }
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(ScalarValue::Boolean(Some(true))))
    }

    fn explanation(&self) -> Explanation {
        let card = self.component.scorecard();
        let text = |name: &str| self.value(name).map(|value| value.to_string()).unwrap_or_default();
        let weights: f64 = card.components.iter().map(|c| c.weight.abs()).sum();
        let backed: f64 =
            card.components.iter().filter(|c| self.number(&names::raw(c)).is_some()).map(|c| c.weight.abs()).sum();
        Explanation {
            customer_id: text(names::CUSTOMER_ID),
            as_of: self.prepared.as_of,
            health_score: self.number(names::HEALTH_SCORE).unwrap_or(f64::NAN),
            unclipped: self.number(names::UNCLIPPED).unwrap_or(f64::NAN),
            given_out: (card.min_health_score, card.max_health_score),
            risk_category: text(names::RISK_CATEGORY),
            is_churn_risk: self.flag(names::IS_CHURN_RISK),
            is_expansion_opportunity: self.flag(names::IS_EXPANSION_OPPORTUNITY),
            data_coverage: if weights > 0.0 { backed / weights } else { 0.0 },
            components: card.components.iter().map(|c| self.component(card, c)).collect(),
        }
    }

    /// A component's factor in this customer's health score.
    fn share(&self, card: &Scorecard, component: &ScoreComponent) -> f64 {
        if !card.excludes() {
            return card.share(component);
        }
        let present =
            |c: &ScoreComponent| c.missing != MissingComponent::Exclude || self.number(&names::raw(c)).is_some();
        if !present(component) {
            return 0.0;
        }
        match card.combine {
            Combine::WeightedSum => component.weight,
            Combine::WeightedMean => {
                let weights: f64 = card.components.iter().filter(|c| present(c)).map(|c| c.weight).sum();
                if weights > 0.0 { component.weight / weights } else { 0.0 }
            }
        }
    }

    /// An indicator's score, or what it counts as in a component that has data.
    fn score(&self, component: &ScoreComponent, indicator: &Indicator) -> Option<f64> {
        let own = self.number(&names::score(component, indicator));
        own.or_else(|| self.number(&names::raw(component)).and(indicator.missing))
    }

    fn component(&self, card: &Scorecard, component: &ScoreComponent) -> ComponentExplanation {
        let (score, uncapped) = (self.number(&names::raw(component)), self.number(&names::uncapped(component)));
        let counted_as = match (score, component.missing) {
            (Some(score), _) => Some(score),
            (None, MissingComponent::Score(neutral)) => Some(neutral),
            (None, MissingComponent::Exclude) => None,
        };
        let share = self.share(card, component);
        let has_score = |i: &&Indicator| self.score(component, i).is_some();
        let weights: f64 = component.indicators.iter().filter(has_score).map(|i| i.weight).sum();
        let lowered = match (score, uncapped) {
            (Some(score), Some(uncapped)) if uncapped > 0.0 => score / uncapped,
            _ => 1.0,
        };
        let caps = component.caps.iter().enumerate();
        let hit = caps.filter(|(at, _)| self.flag(&names::cap_hit(component, *at)));
        let indicators = component.indicators.iter();
        ComponentExplanation {
            name: component.name.clone(),
            score,
            counted_as,
            uncapped,
            share,
            contribution: share * counted_as.unwrap_or(0.0),
            caps_hit: hit.map(|(_, cap)| (cap.when.0.clone(), cap.at_most)).collect(),
            indicators: indicators.map(|i| self.indicator(component, i, share / weights, lowered)).collect(),
        }
    }

    fn indicator(
        &self,
        component: &ScoreComponent,
        indicator: &Indicator,
        part: f64,
        lowered: f64,
    ) -> IndicatorExplanation {
        let score = self.score(component, indicator);
        let weight = if score.is_some() { part * indicator.weight } else { 0.0 };
        let period = self.component.scorecard().analysis_period_days;
        IndicatorExplanation {
            name: indicator.name.clone(),
            input: indicator.input,
            origin: self.origin(component, indicator),
            value: self.text(component, indicator),
            scale: scale::describe(component, indicator, &self.prepared.statistics, period),
            score,
            weight,
            contribution: weight * score.unwrap_or(0.0) * lowered,
        }
    }

    fn text(&self, component: &ScoreComponent, indicator: &Indicator) -> Option<String> {
        if !indicator.scale.is_map() {
            return self.value(&names::value(component, indicator)).map(|value| value.to_string());
        }
        let low = self.value(&names::low_text(component, indicator))?.to_string();
        let high = self.value(&names::high_text(component, indicator))?.to_string();
        Some(if low == high { low } else { format!("{low} ... {high}") })
    }

    fn origin(&self, component: &ScoreComponent, indicator: &Indicator) -> String {
        let Some(input) = self.prepared.opening.bound.inputs.get(&indicator.input) else {
            return "not connected".to_owned();
        };
        let same = |f: &&crate::plan::bind::BoundField| {
            f.component.name == component.name && f.indicator.name == indicator.name
        };
        match input.fields.iter().find(same).map(|field| &field.origin) {
            Some(Origin::Column(name)) => format!("column `{name}`"),
            Some(Origin::Expression(sql)) => format!("`{sql}`"),
            Some(Origin::Absent) | None => "no such column".to_owned(),
        }
    }
}
