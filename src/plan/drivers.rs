//! What moved a customer's score: the weakest factor, how much data backs it, and every indicator's part.

use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::named_struct;
use datafusion::functions_nested::make_array::make_array;
use datafusion::logical_expr::{Expr, cast, lit, when};

use super::score::{counted, share, sum_of};
use super::{Planner, names};
use crate::scorecard::{Indicator, ScoreComponent, Scorecard};

/// Value of a mapped indicator for which a customer's rows disagree.
pub const MIXED: &str = "mixed";

/// Fields of one entry of `drivers`; nullable as the engine's struct functions make them, though only `value` and `score`
/// ever are null.
pub fn fields() -> Fields {
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

/// An entry for each indicator, in scorecard order.
///
/// # Errors
/// Where an expression cannot be built, which is a fault of the program.
pub fn all(planner: &Planner<'_>) -> Result<Expr> {
    let card = planner.component.scorecard();
    let entries = card.indicators().map(|(component, indicator)| driver(planner, card, component, indicator));
    Ok(make_array(entries.collect::<Result<Vec<_>>>()?))
}

/// Share of the total weight that real data backed, 0-1.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn coverage(card: &Scorecard) -> Result<Expr> {
    let total: f64 = card.components.iter().map(|c| c.weight.abs()).sum();
    if total == 0.0 {
        return Ok(lit(0.0));
    }
    let parts = card
        .components
        .iter()
        .map(|c| when(names::column(names::raw(c)).is_not_null(), lit(c.weight.abs() / total)).otherwise(lit(0.0)));
    Ok(sum_of(parts.collect::<Result<Vec<_>>>()?))
}

/// Name of the component that costs the customer the most points: of those with data and a weight above 0 the one with the
/// largest weight x (100 - score), of equal ones the first.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn weakest(card: &Scorecard) -> Result<Expr> {
    let none = lit(ScalarValue::try_from(&DataType::Utf8)?);
    let raw = |component: &ScoreComponent| names::column(names::raw(component));
    let cost = |component: &ScoreComponent| lit(component.weight) * (lit(100.0) - raw(component));
    let weighed: Vec<&ScoreComponent> = card.components.iter().filter(|component| component.weight > 0.0).collect();
    weighed.iter().enumerate().rev().try_fold(none, |otherwise, (at, component)| {
        let dearest = weighed.iter().enumerate().filter(|(other, _)| *other != at).map(|(other, c)| {
            let beaten = if other < at { cost(component).gt(cost(c)) } else { cost(component).gt_eq(cost(c)) };
            raw(c).is_null().or(beaten)
        });
        let is_weakest = dearest.fold(raw(component).is_not_null(), Expr::and);
        when(is_weakest, lit(component.name.as_str())).otherwise(otherwise)
    })
}

fn driver(planner: &Planner<'_>, card: &Scorecard, component: &ScoreComponent, indicator: &Indicator) -> Result<Expr> {
    let counts_as = counted(planner, component, indicator)?;
    let (mut value, mut score) = (lit(ScalarValue::Utf8(None)), lit(ScalarValue::Float64(None)));
    let (mut weight, mut contribution) = (lit(0.0), lit(0.0));
    if let Some(counts_as) = counts_as {
        if planner.field(component, indicator).is_some() {
            value = cast(text_of(component, indicator)?, DataType::Utf8);
        }
        // What an indicator without data counts as is a part of a component that has data.
        let backed = names::column(names::raw(component)).is_not_null();
        score = when(backed, counts_as).otherwise(score)?;
        let known = score.clone().is_not_null();
        let part = share(card, component)? * lit(indicator.weight) / weight_present(planner, component)?;
        weight = when(known.clone(), part.clone()).otherwise(lit(0.0))?;
        contribution = when(known, part * score.clone() * lowered(component)?).otherwise(lit(0.0))?;
    }
    Ok(named_struct(vec![
        lit("component"),
        lit(component.name.as_str()),
        lit("indicator"),
        lit(indicator.name.as_str()),
        lit("value"),
        value,
        lit("score"),
        score,
        lit("weight"),
        weight,
        lit("contribution"),
        contribution,
    ]))
}

/// An indicator's value as text.
fn text_of(component: &ScoreComponent, indicator: &Indicator) -> Result<Expr> {
    if !indicator.scale.is_map() {
        return Ok(names::column(names::value(component, indicator)));
    }
    let low = names::column(names::low_text(component, indicator));
    let high = names::column(names::high_text(component, indicator));
    let mixed = cast(lit(MIXED), DataType::Utf8View);
    when(low.clone().not_eq(high), mixed).otherwise(low)
}

/// Sum of the weights of the indicators that take part in a component.
fn weight_present(planner: &Planner<'_>, component: &ScoreComponent) -> Result<Expr> {
    let mut weights = Vec::new();
    for indicator in &component.indicators {
        let Some(score) = counted(planner, component, indicator)? else { continue };
        weights.push(when(score.is_not_null(), lit(indicator.weight)).otherwise(lit(0.0))?);
    }
    Ok(sum_of(weights))
}

/// The part of a component's score that its caps left.
fn lowered(component: &ScoreComponent) -> Result<Expr> {
    let uncapped = names::column(names::uncapped(component));
    when(uncapped.clone().gt(lit(0.0)), names::column(names::raw(component)) / uncapped).otherwise(lit(1.0))
}
