//! Texts that no map knows: the scores show whether an input has some, and only then they are counted and looked up.

use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;

use super::fold::Fold;
use super::prepare::Prepared;
use super::profile::{SHOWN_TEXTS, number, texts};
use super::work::Work;
use super::{EngineError, query};
use crate::component::Component;
use crate::plan::bind::BoundInput;
use crate::plan::input::Window;
use crate::plan::profile::{self, Count};

/// Texts of a field by its place among an input's, how many of them there are, and the most frequent.
type Found = (usize, u64, Vec<(String, u64)>);

/// Adds to the profiles of the inputs which texts their maps do not know.
///
/// # Errors
/// Where an input cannot be read once more.
pub async fn look_up(
    component: &Component,
    prepared: &mut Prepared,
    fold: &Fold,
    work: &Work,
) -> Result<(), EngineError> {
    let inputs = prepared.opening.bound.inputs.values().zip(&fold.by_input);
    let mut all = Vec::new();
    for (input, _) in inputs.filter(|(_, tally)| tally.has_unmapped) {
        let found = of_input(component, prepared, input, work).await;
        let role = format!("input `{}`", input.name);
        all.push((input.name, found.map_err(|error| EngineError::unreadable(&role, &input.table.path, error))?));
    }
    for (name, found) in all {
        let Some(profile) = prepared.profiles.get_mut(&name) else { continue };
        for (field, count, texts) in found {
            profile.add_unmapped(field, count, texts);
        }
    }
    Ok(())
}

async fn shown(plan: &LogicalPlan, work: &Work) -> Result<Vec<(String, u64)>, DataFusionError> {
    texts(&query::rows(&work.context, plan).await?)
}

async fn of_input(
    component: &Component,
    prepared: &Prepared,
    input: &BoundInput,
    work: &Work,
) -> Result<Vec<Found>, DataFusionError> {
    let window = Window { as_of: prepared.as_of, days: component.scorecard().analysis_period_days };
    let bound = &prepared.opening.bound;
    let fields = || input.fields.iter().enumerate().filter(|(_, field)| field.may_be_unmapped());
    let mut found = Vec::new();
    // Those of rows are counted in one go.
    let of_rows: Vec<usize> = fields().filter(|(_, field)| !field.is_aggregate()).map(|(at, _)| at).collect();
    if !of_rows.is_empty() {
        let wanted: Vec<Count> = of_rows.iter().map(|at| Count::Unmapped(*at)).collect();
        let counts = query::single_row(&work.context, &profile::plan(input, window, &wanted)?).await?;
        for (at, count) in of_rows.iter().zip(counts.iter().map(number)).filter(|(_, count)| *count > 0) {
            let Some(plan) = profile::unmapped_texts(input, window, &input.fields[*at], SHOWN_TEXTS)? else { continue };
            found.push((*at, count, shown(&plan, work).await?));
        }
    }
    for (at, field) in fields().filter(|(_, field)| field.is_aggregate()) {
        let plan = profile::unmapped_aggregates(bound, input, window, field)?;
        let count = query::single_row(&work.context, &plan).await?.first().map_or(0, number);
        if count > 0 {
            let plan = profile::unmapped_aggregate_texts(bound, input, window, field, SHOWN_TEXTS)?;
            found.push((at, count, shown(&plan, work).await?));
        }
    }
    Ok(found)
}
