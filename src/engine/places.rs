//! Whether the places that a component names for its tables can take them, found without writing anything.

use std::collections::BTreeMap;

use super::EngineError;
use crate::component::{Component, Population, Problem};
use crate::io::output::{check_place, place_of};
use crate::io::source::resolve;

/// The tables of a component with the keys of their places in it, the scores first.
fn tables(component: &Component) -> Vec<(String, String)> {
    let scores = component.output().map(|path| ("output".to_owned(), path));
    let besides = component.fan_out().iter().map(|(table, path)| (format!("fan_out.{}", table.name()), path.as_str()));
    scores.into_iter().chain(besides).map(|(key, path)| (key, resolve(component.base_dir(), path))).collect()
}

/// Refuses tables that would take one another's place, however differently their paths are written.
///
/// # Errors
/// Each that is at the place of one before it.
pub fn refuse_shared(component: &Component) -> Result<(), EngineError> {
    let mut problems = Vec::new();
    let mut taken = BTreeMap::new();
    for (key, path) in tables(component) {
        // What cannot be a place is told by whoever claims it.
        let Ok(place) = place_of(&path) else { continue };
        if taken.insert(place, ()).is_some() {
            let hint = Some("give each table a place of its own".to_owned());
            problems.push(component.problem(&key, format!("another table is written to {path} too"), hint));
        }
    }
    wrong(problems)
}

/// Refuses places that no table can be written to, or that have what the next run reads.
///
/// # Errors
/// All that is wrong with them.
pub fn check(component: &Component) -> Result<(), EngineError> {
    refuse_shared(component)?;
    let errors: Vec<(String, EngineError)> =
        tables(component).into_iter().filter_map(|(key, path)| Some((key, check_place(&path).err()?.into()))).collect();
    if !errors.is_empty() {
        return Err(EngineError::unopened(component, errors, None));
    }
    let population = match component.population() {
        Population::FromOutput(path) => Some(path.as_str()),
        Population::FromRun | Population::Pinned(_) => None,
    };
    let mut problems = Vec::new();
    for (what, path) in [("history", component.history()), ("population", population)] {
        let Some(read) = path.and_then(|path| place_of(&resolve(component.base_dir(), path)).ok()) else { continue };
        for (key, path) in tables(component).into_iter().filter(|(key, _)| key != "output") {
            if place_of(&path).is_ok_and(|place| place == read) {
                let hint = Some("give the table a place of its own".to_owned());
                problems.push(component.problem(&key, format!("the output {path} is what `{what}` reads"), hint));
            }
        }
    }
    wrong(problems)
}

fn wrong(problems: Vec<Problem>) -> Result<(), EngineError> {
    if problems.is_empty() { Ok(()) } else { Err(crate::component::ComponentError::new(problems).into()) }
}
