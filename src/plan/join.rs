//! Inputs to one table of customers: UNION ALL of the inputs, then one GROUP BY, which can spill to disk.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::bit_and_or_xor::bit_or;
use datafusion::functions_aggregate::min_max::max;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};

use super::bind::BoundInput;
use super::{Planner, history, names, score};
use crate::scorecard::{InputName, ScoreComponent};

/// All customers of all inputs, each once, with every component's score and, with history, the score before.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn join(planner: &Planner<'_>) -> Result<LogicalPlan> {
    let components = &planner.component.scorecard().components;
    let connected = |c: &&ScoreComponent, name| c.single_input() == Some(name);
    let mut branches = Vec::new();
    for (name, bound) in &planner.bound.inputs {
        let own: Vec<&ScoreComponent> = components.iter().filter(|c| connected(c, *name)).collect();
        branches.push((branch(planner, bound, &own)?, carried(planner, *name, &own)));
    }
    if let Some(table) = &planner.bound.history {
        branches.push((history::plan(table)?, vec![(names::PREVIOUS.to_owned(), DataType::Float64)]));
    }
    let all: Vec<(String, DataType)> =
        branches.iter().flat_map(|(_, columns)| columns.clone()).fold(Vec::new(), |mut seen, column| {
            if !seen.contains(&column) {
                seen.push(column);
            }
            seen
        });
    let mut joined = union(branches, &all)?;
    if planner.bound.history.is_some() {
        let known = names::column(names::PRESENT).is_not_null();
        joined = LogicalPlanBuilder::from(joined).filter(known)?.build()?;
    }
    let late: Vec<&ScoreComponent> = components
        .iter()
        .filter(|c| c.single_input().is_none_or(|name| !planner.bound.inputs.contains_key(&name)))
        .collect();
    let kept: Vec<String> =
        std::iter::once(names::CUSTOMER_ID.to_owned()).chain(all.into_iter().map(|(name, _)| name)).collect();
    let measured: Vec<String> = late
        .iter()
        .flat_map(|c| c.indicators.iter().flat_map(|i| planner.measures(c, i)))
        .map(|(name, _)| name)
        .collect();
    let kept = kept.into_iter().filter(|name| !measured.contains(name)).collect();
    score::components(planner, joined, &late, kept)
}

/// One row per customer of an input, with the scores of the components that read nothing else.
fn branch(planner: &Planner<'_>, bound: &BoundInput, own: &[&ScoreComponent]) -> Result<LogicalPlan> {
    let texts = |field: &super::bind::BoundField| planner.wants_text(&field.component, &field.indicator);
    let customers = planner.bound.customers(bound, planner.window(), texts)?;
    let aligned = planner.bound.aligns(bound);
    let mut kept = vec![names::CUSTOMER_ID.to_owned()];
    for field in bound.fields.iter().filter(|field| !own.iter().any(|c| c.name == field.component.name)) {
        kept.extend(planner.measures(&field.component, &field.indicator).into_iter().map(|(name, _)| name));
    }
    kept.extend(bound.unmapped_column());
    kept.extend(aligned.then(|| names::PRESENT.to_owned()));
    let scored = score::components(planner, customers, own, kept)?;
    if aligned {
        return Ok(scored);
    }
    let mut columns: Vec<Expr> = scored.schema().fields().iter().map(|field| names::column(field.name())).collect();
    columns.push(lit(names::bit(bound.name)).alias(names::PRESENT));
    LogicalPlanBuilder::from(scored).project(columns)?.build()
}

/// Columns of a branch beside `customer_id`.
fn carried(planner: &Planner<'_>, name: InputName, own: &[&ScoreComponent]) -> Vec<(String, DataType)> {
    let mut columns = vec![(names::PRESENT.to_owned(), DataType::UInt8)];
    if let Some(bound) = planner.bound.inputs.get(&name) {
        for field in bound.fields.iter().filter(|field| !own.iter().any(|c| c.name == field.component.name)) {
            columns.extend(planner.measures(&field.component, &field.indicator));
        }
        columns.extend(bound.unmapped_column().map(|name| (name, DataType::Float64)));
    }
    columns.extend(own.iter().flat_map(|component| planner.scored(component)));
    columns
}

/// Whether there are several branches, with nothing but numbers in them.
pub fn is_of_numbers(planner: &Planner<'_>) -> bool {
    let components = &planner.component.scorecard().components;
    let mut columns = planner.bound.inputs.keys().flat_map(|name| {
        let own: Vec<&ScoreComponent> = components.iter().filter(|c| c.single_input() == Some(*name)).collect();
        carried(planner, *name, &own)
    });
    let branches = planner.bound.inputs.len() + usize::from(planner.bound.history.is_some());
    branches > 1 && columns.all(|(name, data_type)| name == names::PRESENT || data_type == DataType::Float64)
}

fn union(mut branches: Vec<(LogicalPlan, Vec<(String, DataType)>)>, all: &[(String, DataType)]) -> Result<LogicalPlan> {
    if branches.len() == 1 {
        return Ok(branches.remove(0).0);
    }
    let mut united: Option<LogicalPlanBuilder> = None;
    for (branch, own) in branches {
        let mut columns = vec![names::column(names::CUSTOMER_ID)];
        for (name, data_type) in all {
            // A branch has null for what another one carries.
            let value = if own.iter().any(|(column, _)| column == name) {
                cast(names::column(name), data_type.clone())
            } else {
                lit(ScalarValue::try_from(data_type)?)
            };
            columns.push(value.alias(name));
        }
        let branch = LogicalPlanBuilder::from(branch).project(columns)?.build()?;
        united = Some(match united {
            Some(others) => others.union(branch)?,
            None => LogicalPlanBuilder::from(branch),
        });
    }
    let united = united.unwrap_or_else(|| LogicalPlanBuilder::empty(false));
    // Each branch has a customer at most once, so that the largest value is the only one.
    let values = all.iter().map(|(name, _)| match name.as_str() {
        names::PRESENT => bit_or(names::column(name)).alias(name),
        _ => max(names::column(name)).alias(name),
    });
    united.aggregate([names::column(names::CUSTOMER_ID)], values)?.build()
}
