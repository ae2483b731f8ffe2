//! Whether the places that a component names for its tables can take them, found without writing anything.

use std::collections::BTreeSet;

use super::EngineError;
use crate::component::{Component, ComponentError, Population, Problem};
use crate::io::output::{check_place, place_of};
use crate::io::source::resolve;
use crate::io::uri::is_uri;

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
    let (mut problems, mut taken) = (Vec::new(), BTreeSet::new());
    for (key, path) in tables(component) {
        // What cannot be a place is told by whoever claims it.
        let Ok(place) = place_of(&path) else { continue };
        if !taken.insert(place) {
            let hint = Some("give each table a place of its own".to_owned());
            problems.push(component.problem(&key, format!("another table is written to {path} too"), hint));
        }
    }
    all_well(problems)
}

/// Refuses tables beside the scores that would take the place of earlier ones, which the next run reads.
///
/// # Errors
/// Each that would.
pub fn refuse_earlier(component: &Component) -> Result<(), EngineError> {
    let population = match component.population() {
        Population::FromOutput(path) => Some(path.as_str()),
        Population::FromRun | Population::Pinned(_) => None,
    };
    let mut problems = Vec::new();
    for (what, path) in [("history", component.history()), ("population", population)] {
        let Some(read) = path.and_then(|path| place_of(&resolve(component.base_dir(), path)).ok()) else { continue };
        // The scores themselves may be the history of the run after.
        for (key, path) in tables(component).into_iter().filter(|(key, _)| key != "output") {
            let Some(place) = place_of(&path).ok().filter(|place| *place == read) else { continue };
            let output = if is_uri(&path) { path } else { place.display().to_string() };
            let hint = Some("give the table a place of its own".to_owned());
            problems.push(component.problem(&key, format!("the output {output} is what `{what}` reads"), hint));
        }
    }
    all_well(problems)
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
    refuse_earlier(component)
}

fn all_well(problems: Vec<Problem>) -> Result<(), EngineError> {
    if problems.is_empty() { Ok(()) } else { Err(ComponentError::new(problems).into()) }
}
