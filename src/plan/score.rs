//! Indicator scores to components, components to the health score, its category, flags and trend.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_window::rank::rank;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, lit, when};

use super::{Cutoffs, Planner, cap, columns, drivers, names, scale};
use crate::scorecard::{Combine, Indicator, MissingComponent, RiskCategories, Scale, ScoreComponent, Scorecard};

/// Null of type Float64.
pub fn nothing() -> Expr {
    lit(ScalarValue::Float64(None))
}

/// Adds up expressions.
pub fn sum_of(parts: impl IntoIterator<Item = Expr>) -> Expr {
    parts.into_iter().reduce(|sum, part| sum + part).unwrap_or(lit(0.0))
}

/// Replaces null.
pub fn or(value: Expr, otherwise: Expr) -> Result<Expr> {
    when(value.clone().is_not_null(), value).otherwise(otherwise)
}

/// Scores components from the values in a plan, keeping the columns of those names.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn components(
    planner: &Planner<'_>,
    plan: LogicalPlan,
    components: &[&ScoreComponent],
    kept: Vec<String>,
) -> Result<LogicalPlan> {
    let kept: Vec<Expr> = kept.into_iter().map(names::column).collect();
    let (mut scores, mut means, mut ends) = (kept.clone(), kept.clone(), kept);
    let mut ranks = Vec::new();
    for component in components {
        let present = planner.present(component);
        let mut details = Vec::new();
        for indicator in &present {
            scores.push(indicator_score(planner, component, indicator, &mut ranks)?);
            let own = planner.measures(component, indicator);
            let others = own.into_iter().filter(|(name, _)| *name != names::score(component, indicator));
            let others: Vec<Expr> = others.map(|(name, _)| names::column(name)).collect();
            scores.extend(others.iter().cloned());
            details.extend(others);
            details.push(names::column(names::score(component, indicator)));
        }
        means.push(weighted_mean(planner, component, &present)?.alias(names::uncapped(component)));
        means.extend(details.iter().cloned());

        let value = |indicator: &Indicator| {
            planner.field(component, indicator)?;
            if indicator.scale.is_map() {
                return cap::agreed_text(component, indicator).ok();
            }
            Some(names::column(names::value(component, indicator)))
        };
        let run = (planner.state, planner.window());
        let (capped, hits) = cap::apply(component, names::column(names::uncapped(component)), run, value)?;
        ends.push(capped.alias(names::raw(component)));
        if planner.detailed() {
            ends.push(names::column(names::uncapped(component)));
            ends.extend(hits.into_iter().enumerate().map(|(at, hit)| hit.alias(names::cap_hit(component, at))));
            ends.extend(details);
        }
    }
    // Each rank has an order of its own, so each is a window of its own.
    let ranked = ranks.into_iter().try_fold(LogicalPlanBuilder::from(plan), |plan, rank| plan.window([rank]))?;
    ranked.project(scores)?.project(means)?.project(ends)?.build()
}

fn indicator_score(
    planner: &Planner<'_>,
    component: &ScoreComponent,
    indicator: &Indicator,
    ranks: &mut Vec<Expr>,
) -> Result<Expr> {
    let score = names::score(component, indicator);
    if indicator.scale.is_map() {
        return Ok(names::column(score));
    }
    let value = names::column(names::value(component, indicator));
    let mut ranked = None;
    if let Scale::Percentile(direction) = indicator.scale {
        let name = format!("{score} rank");
        let order = vec![scale::ranking(value.clone(), direction)];
        ranks.push(rank().order_by(order).build()?.alias(&name));
        ranked = Some(names::column(name));
    }
    let period = planner.component.scorecard().analysis_period_days;
    Ok(scale::score(component, indicator, value, ranked, planner.statistics, period)?.alias(score))
}

/// An indicator's score where it takes part in its component, else null: what it has, or what it counts as without.
pub fn counted(planner: &Planner<'_>, component: &ScoreComponent, indicator: &Indicator) -> Result<Option<Expr>> {
    let score = planner.field(component, indicator).map(|_| names::column(names::score(component, indicator)));
    match (score, indicator.missing.map(lit)) {
        (Some(score), Some(missing)) => or(score, missing).map(Some),
        (score, missing) => Ok(score.or(missing)),
    }
}

/// sum(w*s) / sum(w) over the indicators that take part; null where none has a score of its own.
fn weighted_mean(planner: &Planner<'_>, component: &ScoreComponent, present: &[&Indicator]) -> Result<Expr> {
    if present.is_empty() {
        return Ok(nothing());
    }
    let (mut total, mut weights) = (Vec::new(), Vec::new());
    for indicator in &component.indicators {
        let Some(score) = counted(planner, component, indicator)? else { continue };
        let there = score.clone().is_not_null();
        total.push(when(there.clone(), score * lit(indicator.weight)).otherwise(lit(0.0))?);
        weights.push(when(there, lit(indicator.weight)).otherwise(lit(0.0))?);
    }
    let weight = sum_of(weights);
    let mean = sum_of(total) / weight.clone();
    let unknown = if component.indicators.iter().all(|indicator| indicator.missing.is_none()) {
        weight.lt_eq(lit(0.0))
    } else {
        let own = present.iter().map(|indicator| names::column(names::score(component, indicator)).is_null());
        own.reduce(Expr::and).unwrap_or(lit(true))
    };
    // Of some weights the mean of scores of 100 is a rounding error more than 100.
    when(unknown, nothing()).when(mean.clone().gt(lit(100.0)), lit(100.0)).otherwise(mean)
}

/// Whether a component takes part in a customer's health score.
fn takes_part(component: &ScoreComponent) -> Expr {
    match component.missing {
        MissingComponent::Score(_) => lit(true),
        MissingComponent::Exclude => names::column(names::raw(component)).is_not_null(),
    }
}

/// A component's factor in a customer's health score.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn share(card: &Scorecard, component: &ScoreComponent) -> Result<Expr> {
    let fixed = lit(card.share(component));
    if !card.excludes() {
        return Ok(fixed);
    }
    if card.combine == Combine::WeightedSum {
        return when(takes_part(component), fixed).otherwise(lit(0.0));
    }
    let weights = card.components.iter().map(|c| when(takes_part(c), lit(c.weight)).otherwise(lit(0.0)));
    let weight = sum_of(weights.collect::<Result<Vec<_>>>()?);
    let backed = takes_part(component).and(weight.clone().gt(lit(0.0)));
    when(backed, lit(component.weight) / weight).otherwise(lit(0.0))
}

/// Adds the health score to joined customers, unclipped and clipped.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn clipped(planner: &Planner<'_>, joined: LogicalPlan) -> Result<LogicalPlan> {
    let card = planner.component.scorecard();
    let carried: Vec<Expr> = joined.schema().fields().iter().map(|field| names::column(field.name())).collect();
    let mut unclipped = carried.clone();
    unclipped.push(unclipped_score(card)?.alias(names::UNCLIPPED));
    let plan = LogicalPlanBuilder::from(joined).project(unclipped)?;

    let raw = names::column(names::UNCLIPPED);
    let (lowest, highest) = (card.min_health_score, card.max_health_score);
    let clipped = when(raw.clone().lt(lit(lowest)), lit(lowest))
        .when(raw.clone().gt(lit(highest)), lit(highest))
        .otherwise(raw)?;
    let mut scored = carried;
    scored.extend([names::column(names::UNCLIPPED), clipped.alias(names::HEALTH_SCORE)]);
    plan.project(scored)?.build()
}

/// Adds the health score and everything that follows from it to joined customers.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn health(planner: &Planner<'_>, joined: LogicalPlan) -> Result<LogicalPlan> {
    let scored = clipped(planner, joined)?;
    let carried: Vec<&str> = scored.schema().fields().iter().map(|field| field.name().as_str()).collect();
    let mut ends: Vec<Expr> = carried.iter().map(|name| names::column(*name)).collect();
    let columns = columns::of_scores(planner.component);
    for column in columns.iter().filter(|column| !carried.contains(&column.field.name().as_str())) {
        ends.push(column.expression(planner)?);
    }
    if planner.explain && !planner.component.include_drivers() {
        ends.push(drivers::coverage(planner.component.scorecard())?.alias(names::DATA_COVERAGE));
    }
    LogicalPlanBuilder::from(scored).project(ends)?.build()
}

/// sum(W*c) / sum(W), or their plain sum, before clipping.
fn unclipped_score(card: &Scorecard) -> Result<Expr> {
    let mut parts = Vec::new();
    for part in &card.components {
        let score = or(names::column(names::raw(part)), lit(part.missing.shown()))?;
        parts.push(share(card, part)? * score);
    }
    let sum = sum_of(parts);
    if !card.excludes() {
        return Ok(sum);
    }
    // Of a customer about whom nothing that weighs is known, nothing can be said either way.
    let known = card.components.iter().filter(|c| c.weight != 0.0).map(takes_part);
    let known = known.reduce(Expr::or).unwrap_or(lit(false));
    when(known, sum).otherwise(lit(MissingComponent::NEUTRAL))
}

/// The category of a health score.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn category(card: &Scorecard, cutoffs: Cutoffs, score: Expr) -> Result<Expr> {
    match &card.risk_categories {
        RiskCategories::FromThresholds => when(cutoffs.churn_risk(score.clone()), lit(RiskCategories::HIGH_RISK))
            .when(cutoffs.expansion_opportunity(score), lit(RiskCategories::HEALTHY))
            .otherwise(lit(RiskCategories::MODERATE)),
        RiskCategories::Named(categories) => {
            let mut rest = categories.iter().rev();
            let last = rest.next().map_or("", |category| category.name.as_str());
            rest.try_fold(lit(last), |above, category| {
                let below = lit(category.below.unwrap_or(f64::INFINITY));
                when(score.clone().lt(below), lit(category.name.as_str())).otherwise(above)
            })
        }
    }
}

/// Which way a score moves, where it moved more than the tolerance in points; null where the change is.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn trend(change: Expr, tolerance: f64) -> Result<Expr> {
    when(change.clone().gt(lit(tolerance)), lit("improving"))
        .when(change.clone().lt(lit(-tolerance)), lit("declining"))
        .when(change.is_not_null(), lit("stable"))
        .otherwise(lit(ScalarValue::try_from(&DataType::Utf8)?))
}
