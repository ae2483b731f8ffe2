//! Whether a field's values are such as its indicator can use.

use datafusion::logical_expr::lit;

use super::bind::{Binder, Origin, Told};
use super::clean;
use super::error::PlanError;
use super::expression::Typed;
use crate::component::Fault;
use crate::scorecard::{Aggregate, Indicator};

impl Binder<'_> {
    /// Tells of a value that the indicator cannot use.
    ///
    /// # Errors
    /// Where the engine does not know a type: a fault of this program.
    pub(super) fn check_fit(
        &self,
        indicator: &Indicator,
        origin: &Origin,
        typed: &Typed,
        told: &mut Told,
    ) -> Result<(), PlanError> {
        let fits = if indicator.scale.is_map() {
            clean::text(lit(true), &typed.data_type)?.is_some()
        } else {
            counts(indicator) || clean::number(lit(true), &typed.data_type)?.is_some()
        };
        if !typed.is_aggregate && indicator.aggregate == Aggregate::Last && self.input.timestamp.is_none() {
            let message =
                format!("`{}` takes the last row's value, but `{}` has no `timestamp`", indicator.name, self.name);
            let hint = Some("give the input `timestamp: COLUMN`".to_owned());
            told.problems.push(self.component.problem(&format!("inputs.{}", self.name), message, hint));
        }
        if fits {
            return Ok(());
        }
        let is_date = clean::is_date(&typed.data_type);
        let expected = match is_date {
            _ if indicator.scale.is_map() => "something with a text form",
            true => "a number, such as the days before the run",
            false => "a number, or something that becomes one",
        };
        let days = |of: &str| format!("`{}: CAST(as_of AS DATE) - CAST({of} AS DATE)`", indicator.field);
        match origin {
            Origin::Expression(_) => {
                let message = format!("expected {expected}, found a value of type {}", typed.data_type);
                let hint = is_date.then(|| format!("count the days: {}", days("...")));
                told.problems.push(self.problem(&format!("fields.{}", indicator.field), Fault { message, hint }));
            }
            Origin::Column(name) => {
                let hint = match is_date {
                    true => format!("count the days, under `fields:`: {}", days(&quoted(name))),
                    false => format!("map the field with SQL: `fields: {{{}: ...}}`", indicator.field),
                };
                let path = format!("fields.{}", indicator.field);
                told.unfit.push(self.unfit_type(&path, (name, &typed.data_type), expected, &hint));
            }
            Origin::Absent => {}
        }
        Ok(())
    }
}

/// Whether an indicator counts values, whatever they are.
pub fn counts(indicator: &Indicator) -> bool {
    matches!(indicator.aggregate, Aggregate::Count | Aggregate::CountDistinct)
}

/// A column's name as SQL takes it.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
