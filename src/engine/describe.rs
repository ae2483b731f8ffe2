//! What a component would do, found from schemas alone; and the plan it would run.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::Utc;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};

use super::prepare::{Prepared, open};
use super::report::{Description, InputDescription};
use super::table::{self, OutputReport};
use super::{EngineError, RunRequest, lineage, places, population, query, summary};
use crate::component::{Component, FanOut};
use crate::io::context::RunContext;
use crate::io::source;
use crate::plan::bind::KnownRows;
use crate::plan::{Bound, Cutoffs, Planner, Statistics, columns};
use crate::shown::shown;

/// What a step of a plan stands in by, below the step that takes its rows.
const INDENT: &str = "  ";

/// Columns, inputs and fields of a component; no rows are read.
///
/// # Errors
/// Whatever is wrong with the component or its inputs.
pub async fn describe(component: &Component, context: &RunContext) -> Result<Description, EngineError> {
    let (opening, pinned) = (open(component, Utc::now(), context).await, population::pinned(component, context).await);
    let mut opening = match (opening, pinned) {
        (Ok(opening), Ok(_)) => opening,
        (Err(error), Err(pinned)) if !error.problems().is_empty() => {
            return Err(EngineError::unopened(component, vec![("population".to_owned(), pinned)], Some(error)));
        }
        (Ok(_), Err(pinned)) => {
            return Err(EngineError::unopened(component, vec![("population".to_owned(), pinned)], None));
        }
        (Err(error), _) => return Err(error),
    };
    places::check(component)?;
    plan_with_any_rows(component, &mut opening.bound, context)?;
    let input = |(name, input): (&crate::scorecard::InputName, &crate::plan::bind::BoundInput)| InputDescription {
        name: *name,
        path: input.table.path.clone(),
        key: input.key_column.clone(),
        fields: summary::fields(input, None),
    };
    let scores = columns::of_scores(component);
    let schema = columns::schema(&scores);
    let lineage = lineage::of(component, &opening.bound, &scores);
    let columns = table::columns(&scores);
    let output = |(fan_out, path): (Option<FanOut>, &str)| OutputReport {
        fan_out,
        asset_name: table::asset_name(&component.asset().name, fan_out),
        path: if path.is_empty() { String::new() } else { source::resolve(component.base_dir(), path) },
        rows: 0,
        bytes: 0,
        columns: columns.clone(),
        schema: schema.clone(),
        lineage: lineage.clone(),
    };
    let besides = component.fan_out().iter().map(|(table, path)| (Some(*table), path.as_str()));
    Ok(Description {
        outputs: std::iter::once((None, component.output().unwrap_or_default())).chain(besides).map(output).collect(),
        columns,
        inputs: opening.bound.inputs.iter().map(input).collect(),
        warnings: opening.warnings,
    })
}

/// Plans the scores as a run would, whatever its rows turn out to be.
fn plan_with_any_rows(component: &Component, bound: &mut Bound, context: &RunContext) -> Result<(), EngineError> {
    let (statistics, now) = (Statistics::default(), Utc::now());
    for (all_have_keys, one_each) in [(true, true), (false, false)] {
        for input in bound.inputs.values_mut() {
            input.rows = KnownRows { all_have_keys, one_each };
        }
        let (statistics, as_of, calculated_at) = (&statistics, now, now);
        let cutoffs = Cutoffs::of(component.scorecard());
        let planner = Planner {
            component,
            bound,
            statistics,
            cutoffs,
            state: context.session(),
            as_of,
            calculated_at,
            explain: false,
        };
        planner.plan().map_err(|error| EngineError::internal("planning the scores", error))?;
    }
    Ok(())
}

/// The logical and the physical plan of a run, as text.
///
/// # Errors
/// Whatever is wrong with the component or its inputs.
pub async fn plan(component: &Component, request: &RunRequest, context: &RunContext) -> Result<String, EngineError> {
    let prepared = Prepared::to_look(component, request.as_of, context).await?;
    let internal = |error| EngineError::internal("planning the scores", error);
    let plan = prepared.planner(component, context, false).plan().map_err(internal)?;
    let context = &prepared.session(context);
    let optimized = context.session().optimize(&plan).map_err(internal)?;
    let physical = query::physical(context, &plan).await.map_err(internal)?;
    let mut text = "logical plan:\n".to_owned();
    logical(&optimized, 0, &mut text);
    text += "\nphysical plan:\n";
    steps(&physical, 0, &mut text);
    Ok(text)
}

/// The nodes of a logical plan, each in a line of its own whatever names and texts are in it.
fn logical(plan: &LogicalPlan, depth: usize, text: &mut String) {
    let _ = writeln!(text, "{}{}", INDENT.repeat(depth), shown(plan.display()));
    for input in plan.inputs() {
        logical(input, depth + 1, text);
    }
}

/// The same of a physical plan.
fn steps(plan: &Arc<dyn ExecutionPlan>, depth: usize, text: &mut String) {
    let one = displayable(plan.as_ref()).one_line().to_string();
    let _ = writeln!(text, "{}{}", INDENT.repeat(depth), shown(one.trim_end()));
    for input in plan.children() {
        steps(input, depth + 1, text);
    }
}
