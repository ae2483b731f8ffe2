//! Ties a component to the schemas of its inputs: which column is what, every name and type checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::Column;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, TableSource};

use super::clean::{self, Instant};
use super::error::PlanError;
use super::expression::{Scope, Typed, columns_of};
use super::input::Window;
use super::lookup::{self, Found};
use super::{history, key, key_text, names};
use crate::component::{Component, ComponentError, Fault, Input, Problem, Timestamp, suggest};
use crate::scorecard::{Indicator, InputName, Scale, ScoreComponent};

/// A table that was opened.
#[derive(Clone)]
pub struct Table {
    /// Its path, for messages.
    pub path: String,
    /// What a plan scans.
    pub source: Arc<dyn TableSource>,
}

/// An input whose columns are known to fit the component.
pub struct BoundInput {
    /// Which input.
    pub name: InputName,
    /// The table.
    pub table: Table,
    /// Name of the key column.
    pub key_column: String,
    /// The key as trimmed text.
    pub key: Expr,
    /// The timestamp of a row, where the input has one.
    pub timestamp: Option<Instant>,
    /// The predicate of `where:`.
    pub filter: Option<Expr>,
    /// One for each of the scorecard's indicators that read this input, in scorecard order.
    pub fields: Vec<BoundField>,
    /// Whether the input has every event, so that a customer without rows has none of them.
    pub without_rows_is_zero: bool,
    /// What is known of the rows, so that a plan need not do what would change nothing.
    pub rows: KnownRows,
    /// The input's customers, where they were grouped before: a table with the columns of [`super::input::customers`].
    pub grouped: Option<Arc<dyn TableSource>>,
}

/// What is known of an input's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownRows {
    /// Every row has a key, so that none needs to be looked for.
    pub all_have_keys: bool,
    /// No customer has two rows that count, so that there is nothing to group.
    pub one_each: bool,
}

/// Where the values of an indicator come from.
pub struct BoundField {
    /// The component.
    pub component: ScoreComponent,
    /// The indicator.
    pub indicator: Indicator,
    /// What was found.
    pub origin: Origin,
    /// How to read it; `None` where the input does not have it.
    pub reading: Option<Typed>,
}

impl BoundField {
    /// Whether there may be texts that the field's map does not know.
    pub fn may_be_unmapped(&self) -> bool {
        let (Some(reading), Scale::Map { scores, .. }) = (&self.reading, &self.indicator.scale) else { return false };
        let knows = |text: &str| scores.iter().any(|(known, _)| known == text);
        !(clean::is_flag(&reading.data_type) && knows("true") && knows("false"))
    }

    /// Whether its value is one for each customer already.
    pub fn is_aggregate(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.is_aggregate)
    }
}

impl BoundInput {
    /// Column of the scores' plan that counts the texts that no map knows; `None` where there cannot be any.
    pub fn unmapped_column(&self) -> Option<String> {
        self.fields.iter().any(BoundField::may_be_unmapped).then(|| names::unmapped(self.name))
    }
}

/// What supplies a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The column of the field's name, or under one of its aliases.
    Column(String),
    /// SQL of `fields:`.
    Expression(String),
    /// Nothing.
    Absent,
}

/// A component with its tables.
pub struct Bound {
    /// The connected inputs.
    pub inputs: BTreeMap<InputName, BoundInput>,
    /// The input whose customers alone are scored; those of all inputs where none is named.
    pub customers_from: Option<InputName>,
    /// The earlier scores.
    pub history: Option<Table>,
    /// What was guessed, and what was not for want of one meaning.
    pub guesses: Vec<String>,
}

/// Ties a component to its opened tables.
///
/// # Errors
/// All problems with the component's SQL and column names, and all columns that do not do, at once.
pub fn bind(
    component: &Component,
    tables: &BTreeMap<InputName, Table>,
    history: Option<Table>,
    state: &SessionState,
    as_of: DateTime<Utc>,
) -> Result<Bound, PlanError> {
    let mut told = Told::default();
    let mut inputs = BTreeMap::new();
    let window = Window { as_of, days: component.scorecard().analysis_period_days };
    for (name, table) in tables {
        if let Some(input) = component.inputs().get(name) {
            let binder = Binder { component, name: *name, input, table, state, window };
            inputs.extend(binder.bind(&mut told)?.map(|input| (*name, input)));
        }
    }
    super::cap::check(component, state, window, &mut told.problems);
    if let Some(table) = &history {
        told.unfit.extend(history::check(component, table)?);
    }
    let Told { mut problems, unfit, guesses } = told;
    if !problems.is_empty() {
        problems.extend(unfit);
        return Err(ComponentError::new(problems).into());
    }
    if !unfit.is_empty() {
        return Err(PlanError::Unfit(ComponentError::new(unfit)));
    }
    Ok(Bound { inputs, customers_from: component.customers_from(), history, guesses })
}

/// What is found on the way.
#[derive(Default)]
pub(super) struct Told {
    /// What is wrong with the component.
    pub(super) problems: Vec<Problem>,
    /// What is wrong with the inputs' columns.
    pub(super) unfit: Vec<Problem>,
    /// What was guessed.
    guesses: Vec<String>,
}

/// Ties one input.
pub(super) struct Binder<'a> {
    pub(super) component: &'a Component,
    pub(super) name: InputName,
    pub(super) input: &'a Input,
    table: &'a Table,
    state: &'a SessionState,
    window: Window,
}

impl Binder<'_> {
    /// The input, or `None` where its key is of no use, which is told.
    fn bind(&self, told: &mut Told) -> Result<Option<BoundInput>, PlanError> {
        let schema = self.table.source.schema();
        let (columns, constants) = columns_of(self.name.as_str(), &schema, self.window)?;
        let scope = Scope {
            state: self.state,
            columns: columns.into(),
            constants,
            stand_ins: Vec::new(),
            owner: format!("input `{}`", self.name),
            noun: "column",
        };

        let key = self.key_column(&schema, told);
        let key = match key {
            Some(column) => self.key(&schema, &column, told)?.map(|key| (key, column)),
            None => None,
        };
        let timestamp = self.timestamp(&schema, told)?;
        let filters = self.input.filters.iter().filter_map(|sql| {
            let fault = |fault| told.problems.push(self.problem("where", fault));
            scope.condition(sql).map_err(fault).ok()
        });
        let filter = filters.reduce(Expr::and);
        let mut fields = Vec::new();
        for (component, indicator) in self.component.scorecard().indicators().filter(|(_, i)| i.input == self.name) {
            let (origin, reading) = self.field(indicator, &scope, &schema, told);
            if let Some(typed) = &reading {
                self.check_fit(indicator, &origin, typed, told)?;
            }
            fields.push(BoundField { component: component.clone(), indicator: indicator.clone(), origin, reading });
        }
        let (name, table, rows) = (self.name, self.table.clone(), KnownRows::default());
        let bound = |(key, key_column)| BoundInput {
            name,
            table,
            key_column,
            key,
            timestamp,
            filter,
            fields,
            without_rows_is_zero: self.input.without_rows_is_zero,
            rows,
            grouped: None,
        };
        Ok(key.map(bound))
    }

    /// The key as trimmed text.
    fn key(&self, schema: &Schema, column: &str, told: &mut Told) -> Result<Option<Expr>, PlanError> {
        let key_type = column_type(schema, column);
        let key = key_text::of(self.column(column), &key_type)?;
        if key.is_none() {
            let hint = "cast it to text or a whole number where the file is made";
            told.unfit.push(self.unfit_type("key", (column, &key_type), key_text::EXPECTED, hint));
        }
        Ok(key)
    }

    fn key_column(&self, schema: &Schema, told: &mut Told) -> Option<String> {
        if let Some(named) = &self.input.key {
            let column = self.named_column(named, schema, told);
            if column.is_none() {
                told.problems.push(self.unknown_column("key", named, schema));
            }
            return column;
        }
        let candidates = key::candidates(schema);
        let Some(found) = candidates.first() else {
            let aliases: Vec<String> = key::ALIASES[1..].iter().map(|name| format!("`{name}`")).collect();
            let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            let message = format!("no key column: expected `customer_id`, or one of {}", aliases.join(", "));
            let hint = format!("name it with `key:`; the columns are: {}", columns.join(", "));
            told.unfit.push(self.unfit("key", &message, hint));
            return None;
        };
        told.guesses.extend(key::told(self.name.as_str(), &candidates));
        Some((*found).to_owned())
    }

    /// The column that YAML names.
    fn named_column(&self, name: &str, schema: &Schema, told: &mut Told) -> Option<String> {
        match lookup::find(schema, [name]) {
            Found::Exact(column) => Some(column),
            Found::Alike(column) => {
                told.guesses.push(self.taken_for(&column, name));
                Some(column)
            }
            Found::Ambiguous(_) | Found::Nothing => None,
        }
    }

    fn taken_for(&self, column: &str, name: &str) -> String {
        format!("input `{}`: the column `{column}` is taken for `{name}`", self.name)
    }

    fn timestamp(&self, schema: &Schema, told: &mut Told) -> Result<Option<Instant>, PlanError> {
        let Some(Timestamp { column: named, format }) = &self.input.timestamp else { return Ok(None) };
        let path = if format.is_some() { "timestamp.column" } else { "timestamp" };
        let Some(name) = &self.named_column(named, schema, told) else {
            told.problems.push(self.unknown_column(path, named, schema));
            return Ok(None);
        };
        let data_type = column_type(schema, name);
        if format.is_some() && clean::is_date(&data_type) {
            told.guesses.push(format!(
                "input `{}`: the column `{name}` has the type {data_type}, and its `format` is not needed",
                self.name
            ));
        }
        let instant = Instant::of(self.column(name), &data_type, format.as_ref())?;
        if instant.is_none() {
            let hint = "name a date or timestamp column; numbers do not tell their unit, but a `format` does";
            let expected = "a date, a timestamp, or text that can be read as one";
            told.unfit.push(self.unfit_type(path, (name, &data_type), expected, hint));
        }
        Ok(instant)
    }

    fn field(
        &self,
        indicator: &Indicator,
        scope: &Scope<'_>,
        schema: &Schema,
        told: &mut Told,
    ) -> (Origin, Option<Typed>) {
        if let Some(sql) = self.input.fields.get(&indicator.field) {
            let origin = Origin::Expression(sql.0.clone());
            return match scope.value(sql) {
                Ok(typed) => (origin, Some(typed)),
                Err(fault) => {
                    let problem = self.problem(&format!("fields.{}", indicator.field), fault);
                    if !told.problems.contains(&problem) {
                        told.problems.push(problem);
                    }
                    (origin, None)
                }
            };
        }
        let names = std::iter::once(&indicator.field).chain(&indicator.aliases).map(String::as_str);
        let name = match lookup::find(schema, names) {
            Found::Exact(name) => name,
            Found::Alike(name) => {
                told.guesses.push(self.taken_for(&name, &indicator.field));
                name
            }
            Found::Ambiguous(columns) => {
                told.guesses.push(format!(
                    "input `{0}`: {1} are all like `{2}`, and none is taken; map one with `inputs.{0}.fields`",
                    self.name,
                    columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(" and "),
                    indicator.field
                ));
                return (Origin::Absent, None);
            }
            Found::Nothing => return (Origin::Absent, None),
        };
        let data_type = column_type(schema, &name);
        let typed = Typed { expr: self.column(&name), data_type, is_aggregate: false };
        (Origin::Column(name), Some(typed))
    }

    fn column(&self, name: &str) -> Expr {
        Expr::Column(Column::new(Some(self.name.as_str()), name))
    }

    pub(super) fn problem(&self, path: &str, fault: Fault) -> Problem {
        self.component.problem(&format!("inputs.{}.{path}", self.name), fault.message, fault.hint)
    }

    fn unknown_column(&self, path: &str, name: &str, schema: &Schema) -> Problem {
        let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let message = format!("input `{}` has no column `{name}`", self.name);
        self.problem(path, Fault { message, hint: suggest(name, columns) })
    }

    /// What is wrong with the table, at the key that could mend it.
    fn unfit(&self, path: &str, message: &str, hint: String) -> Problem {
        let message = format!("input `{}` ({}): {message}", self.name, self.table.path);
        self.problem(path, Fault { message, hint: Some(hint) })
    }

    pub(super) fn unfit_type(
        &self,
        path: &str,
        (column, found): (&str, &DataType),
        expected: &str,
        hint: &str,
    ) -> Problem {
        let message = format!("column `{column}` has the type {found}, expected {expected}");
        self.unfit(path, &message, hint.to_owned())
    }
}

fn column_type(schema: &Schema, name: &str) -> DataType {
    schema.field_with_name(name).map_or(DataType::Null, |field| field.data_type().clone())
}
