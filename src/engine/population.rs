//! Statistics of the population: pinned, recorded by an earlier output, told by footers, or found in a pass of their own.

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;

use super::EngineError;
use super::footer::plain_column;
use super::profile::{Profile, number};
use super::query;
use super::work::Work;
use crate::component::{Component, ComponentError, PinnedStatistics, Population, check_pinned};
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::io::earlier_table::Earlier;
use crate::io::output::keys;
use crate::io::source;
use crate::plan::bind::{BoundField, BoundInput};
use crate::plan::input::Window;
use crate::plan::population::{self, Wanted};
use crate::plan::{Bound, Statistics};
use crate::scorecard::{Aggregate, InputName, Statistic};

/// The pinned statistics of a component.
///
/// # Errors
/// Where an earlier output is named that is not there or recorded nothing.
pub async fn pinned(component: &Component, context: &RunContext) -> Result<PinnedStatistics, EngineError> {
    let path = match component.population() {
        Population::FromRun => return Ok(PinnedStatistics::new()),
        Population::Pinned(values) => return Ok(values.clone()),
        Population::FromOutput(path) => source::resolve(component.base_dir(), path),
    };
    let role = "population";
    let hint = "name an earlier output of this component, or give the statistics as a mapping";
    let unreadable = |reason| IoError::refused(role, &path, reason, hint);
    let earlier = Earlier::read(role, &path, context).await?;
    let Some(text) = earlier.as_ref().and_then(|earlier| earlier.fact(keys::POPULATION)) else {
        return Err(unreadable("records no population statistics".to_owned()).into());
    };
    let values: PinnedStatistics = serde_json::from_str(text)
        .map_err(|error| unreadable(format!("its population statistics cannot be read: {error}")))?;
    let mut problems = Vec::new();
    check_pinned(&values, component.scorecard(), &mut |_, message, hint| {
        let message = format!("the statistics that {path} recorded do not fit: {message}");
        problems.push(component.problem("population", message, hint));
    });
    if problems.is_empty() { Ok(values) } else { Err(ComponentError::new(problems).into()) }
}

/// The statistics that are known without reading a row.
pub fn known(pinned: &PinnedStatistics, bound: &Bound, profiles: &BTreeMap<InputName, Profile>) -> Statistics {
    let mut found = Statistics::default();
    for (name, input) in &bound.inputs {
        for field in &input.fields {
            for statistic in field.indicator.scale.statistics() {
                if let Some(value) = look_up(pinned, field, statistic) {
                    found.set(field, statistic, Some(value));
                } else if let Some(profile) = profiles.get(name)
                    && !bound.aligns(input)
                    && let Some(value) = told_by_footer(input, field, statistic, profile)
                {
                    found.set(field, statistic, Some(value));
                }
            }
        }
    }
    found
}

/// All statistics that the scorecard needs of the connected inputs, from those that are known.
///
/// # Errors
/// Where an input cannot be read.
pub async fn find(
    mut found: Statistics,
    bound: &Bound,
    window: Window,
    (work, context): (&Work, &RunContext),
) -> Result<Statistics, EngineError> {
    for (name, input) in &bound.inputs {
        let wanted = population::wanted(input, &found);
        if wanted.is_empty() {
            continue;
        }
        let plan = population::plan(bound, input, window, &wanted)
            .map_err(|error| EngineError::internal("planning the population statistics", error))?;
        let role = format!("input `{name}`");
        // A percentile has all values in one list, which no message between machines can hold.
        let exact = |wanted: &Wanted| matches!(wanted, Wanted::Statistic(_, Statistic::Percentile(_)));
        let context = if wanted.iter().any(exact) { context } else { &work.context };
        let row = query::single_row(context, &plan)
            .await
            .map_err(|error| EngineError::unreadable(&role, &input.table.path, error))?;
        for (wanted, value) in wanted.iter().zip(&row) {
            match (wanted, value) {
                (Wanted::Count(at), value) => found.set_count(&input.fields[*at], number(value)),
                (Wanted::Statistic(at, statistic), ScalarValue::Float64(value)) => {
                    found.set(&input.fields[*at], *statistic, value.filter(|value| value.is_finite()));
                }
                (Wanted::Statistic(at, statistic), _) => found.set(&input.fields[*at], *statistic, None),
            }
        }
    }
    Ok(found)
}

/// A pinned statistic.
pub fn look_up(pinned: &PinnedStatistics, field: &BoundField, statistic: Statistic) -> Option<f64> {
    let statistics = pinned.get(&field.component.name)?.get(&field.indicator.name)?;
    statistics.iter().find(|(name, _)| Statistic::parse(name) == Some(statistic)).map(|(_, value)| *value)
}

/// The least of all customers' least values is the column's least value; likewise the largest.
fn told_by_footer(input: &BoundInput, field: &BoundField, statistic: Statistic, profile: &Profile) -> Option<f64> {
    let column = plain_column(&field.reading.as_ref()?.expr)?;
    if !profile.keeps_every_row(input) {
        return None;
    }
    let (min, max) = profile.footer.extremes(column)?;
    match (field.indicator.aggregate, statistic) {
        (Aggregate::Count | Aggregate::CountDistinct, _) => None,
        (Aggregate::Min, Statistic::Min) => Some(min),
        (Aggregate::Max, Statistic::Max) => Some(max),
        // Where every customer has one row, its value is every aggregate's.
        (_, Statistic::Min) if input.rows.one_each => Some(min),
        (_, Statistic::Max) if input.rows.one_each => Some(max),
        _ => None,
    }
}
