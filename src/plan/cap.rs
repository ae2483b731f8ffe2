//! Caps: conditions over a component's fields that limit its score.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, lit, when};

use super::expression::{Scope, facts_of};
use super::input::Window;
use super::names;
use crate::component::{Component, Fault, Problem};
use crate::scorecard::{Cap, Indicator, ScoreComponent};

/// Checks the conditions of all caps.
pub fn check(component: &Component, state: &SessionState, window: Window, problems: &mut Vec<Problem>) {
    for part in &component.scorecard().components {
        for (at, cap) in part.caps.iter().enumerate() {
            if let Err(fault) = condition(part, cap, (state, window), |_| None) {
                let path = format!("components.{}.caps.{at}.when", part.name);
                problems.push(component.problem(&path, fault.message, fault.hint));
            }
        }
    }
}

/// A cap's condition over the values that a component's indicators have in a plan.
///
/// # Errors
/// What is wrong with the condition, in words for whoever wrote it.
pub fn condition(
    component: &ScoreComponent,
    cap: &Cap,
    (state, window): (&SessionState, Window),
    value: impl Fn(&Indicator) -> Option<Expr>,
) -> Result<Expr, Fault> {
    let (mut fields, mut stand_ins) = (Vec::<Field>::new(), Vec::new());
    let by_name = component.indicators.iter().map(|i| (i.name.as_str(), i));
    let by_field = component.indicators.iter().map(|i| (i.field.as_str(), i));
    for (name, indicator) in by_name.chain(by_field) {
        if fields.iter().any(|field| field.name() == name) {
            continue;
        }
        let text = indicator.scale.is_map();
        let nothing = if text { ScalarValue::Utf8(None) } else { ScalarValue::Float64(None) };
        fields.push(Field::new(name, if text { DataType::Utf8 } else { DataType::Float64 }, true));
        stand_ins.push((Column::new_unqualified(name), value(indicator).unwrap_or(lit(nothing))));
    }
    let mut constants = Vec::new();
    for (name, constant) in facts_of(window) {
        if fields.iter().all(|field| field.name() != name) {
            fields.push(Field::new(name, constant.data_type(), false));
            constants.push((Column::new_unqualified(name), constant));
        }
    }
    let columns = DFSchema::from_unqualified_fields(fields.into(), Default::default())
        .map_err(|e| Fault { message: e.to_string(), hint: None })?;
    let owner = format!("component `{}`", component.name);
    let scope = Scope { state, columns: columns.into(), constants, stand_ins, owner, noun: "field" };
    scope.condition(&cap.when)
}

/// The text of a mapped indicator where all of a customer's rows agree, else null.
///
/// # Errors
/// Where the expression cannot be built, which is a fault of the program.
pub fn agreed_text(component: &ScoreComponent, indicator: &Indicator) -> Result<Expr> {
    let (low, high) = (names::low_text(component, indicator), names::high_text(component, indicator));
    when(names::column(&low).eq(names::column(high)), names::column(low)).end()
}

/// Whether any of a component's caps may look at an indicator's text.
pub fn reads_text(component: &ScoreComponent, indicator: &Indicator) -> bool {
    let named = |cap: &Cap| cap.when.0.contains(&indicator.name) || cap.when.0.contains(&indicator.field);
    indicator.scale.is_map() && component.caps.iter().any(named)
}

/// A component's caps laid over its score: the capped score, and for each cap whether it lowered the score.
///
/// # Errors
/// Where a condition does not fit its component, which [`check`] has ruled out.
pub fn apply(
    component: &ScoreComponent,
    score: Expr,
    (state, window): (&SessionState, Window),
    value: impl Fn(&Indicator) -> Option<Expr>,
) -> Result<(Expr, Vec<Expr>)> {
    let (mut capped, mut hits) = (score, Vec::new());
    for cap in &component.caps {
        let condition = condition(component, cap, (state, window), &value)
            .map_err(|fault| DataFusionError::Plan(format!("cap `{}`: {}", cap.when.0, fault.message)))?;
        let hit = condition.and(capped.clone().gt(lit(cap.at_most)));
        capped = when(hit.clone(), lit(cap.at_most)).otherwise(capped)?;
        hits.push(hit);
    }
    Ok((capped, hits))
}
