//! Ids of rows that were taken for customers: a column `id` that nobody named as the key, and that names others than customers.

use super::EngineError;
use super::fold::Fold;
use super::prepare::Prepared;
use crate::component::{Component, ComponentError};
use crate::error::ErrorKind;
use crate::plan::key;
use crate::scorecard::InputName;

/// Refuses a table whose customers are for the most part rows of something else, as subscriptions, tickets and events have ids
/// too. Where the key is named, it is what it is said to be.
///
/// # Errors
/// Where an input other than the customers' own has its bare `id` for a key that was not named, and most of its customers are in
/// no other input.
pub fn refuse(component: &Component, prepared: &Prepared, fold: &Fold) -> Result<(), EngineError> {
    let mut problems = Vec::new();
    for ((name, input), tally) in prepared.opening.bound.inputs.iter().zip(&fold.by_input) {
        let named = component.inputs().get(name).is_some_and(|input| input.key.is_some());
        if *name == InputName::Customer || named || !key::is_of_rows(&input.key_column) {
            continue;
        }
        let strangers = prepared.profiles.get(name).map_or(0, |profile| profile.strangers.customers);
        let (alone, all) = (tally.alone.saturating_add(strangers), tally.customers.saturating_add(strangers));
        let others = fold.customers > tally.alone;
        if !others || alone <= all / 2 {
            continue;
        }
        let message = format!(
            "input `{name}` ({}): {alone} of its {all} keys are in no other input: no key was named, and the column `{}` seems to \
             be the id of a row and not of a customer",
            input.table.path, input.key_column
        );
        let schema = input.table.source.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let hint = format!(
            "name the column that holds the customer's id with `inputs.{name}.key`, even where it is `{}`; where the table has \
             rows of several things, choose with `where`; the columns are: {}",
            input.key_column,
            columns.join(", ")
        );
        problems.push(component.problem(&format!("inputs.{name}.key"), message, Some(hint)));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(EngineError::Inputs { problems: ComponentError::new(problems), kind: ErrorKind::InvalidInput })
}
