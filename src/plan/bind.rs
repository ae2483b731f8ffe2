//! Ties a component to the schemas of its inputs: which column is what, every name and type checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::Column;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, TableSource, lit};

use super::clean::{self, Instant};
use super::error::PlanError;
use super::expression::{Scope, Typed, columns_of};
use super::input::Window;
use super::key;
use super::lookup::{self, Found};
use crate::component::{Component, ComponentError, Fault, Input, Problem, Timestamp, suggest};
use crate::scorecard::{Aggregate, Indicator, InputName, ScoreComponent};

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
/// All problems with the component's SQL and column names at once, else the first input that cannot be used.
pub fn bind(
    component: &Component,
    tables: &BTreeMap<InputName, Table>,
    history: Option<Table>,
    state: &SessionState,
    as_of: DateTime<Utc>,
) -> Result<Bound, PlanError> {
    let (mut problems, mut guesses) = (Vec::new(), Vec::new());
    let mut inputs = BTreeMap::new();
    let window = Window { as_of, days: component.scorecard().analysis_period_days };
    for (name, table) in tables {
        if let Some(input) = component.inputs().get(name) {
            let binder = Binder { component, name: *name, input, table, state, window };
            inputs.insert(*name, binder.bind(&mut problems, &mut guesses)?);
        }
    }
    super::cap::check(component, state, window, &mut problems);
    if !problems.is_empty() {
        return Err(ComponentError::new(problems).into());
    }
    if let Some(table) = &history {
        let columns: Vec<String> = table.source.schema().fields().iter().map(|f| f.name().clone()).collect();
        if !["customer_id", "health_score"].iter().all(|name| columns.iter().any(|column| column == name)) {
            return Err(PlanError::History { path: table.path.clone(), columns });
        }
    }
    Ok(Bound { inputs, customers_from: component.customers_from(), history, guesses })
}

struct Binder<'a> {
    component: &'a Component,
    name: InputName,
    input: &'a Input,
    table: &'a Table,
    state: &'a SessionState,
    window: Window,
}

impl Binder<'_> {
    fn bind(&self, problems: &mut Vec<Problem>, guesses: &mut Vec<String>) -> Result<BoundInput, PlanError> {
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

        let key_column = self.key_column(&schema, problems, guesses)?;
        let key_type = column_type(&schema, &key_column);
        let key = clean::key(self.column(&key_column), &key_type);
        let timestamp = self.timestamp(&schema, problems, guesses)?;
        let filters = self.input.filters.iter().filter_map(|sql| {
            let fault = |fault| problems.push(self.problem("where", fault));
            scope.condition(sql).map_err(fault).ok()
        });
        let filter = filters.reduce(Expr::and);
        let mut fields = Vec::new();
        for (component, indicator) in self.component.scorecard().indicators().filter(|(_, i)| i.input == self.name) {
            let (origin, reading) = self.field(indicator, &scope, &schema, (&mut *problems, &mut *guesses));
            if let Some(typed) = &reading {
                self.check_type(indicator, &origin, typed, problems)?;
            }
            fields.push(BoundField { component: component.clone(), indicator: indicator.clone(), origin, reading });
        }
        let key = key.ok_or_else(|| {
            let hint = "cast it to text or a whole number where the file is made";
            self.column_type_error(&key_column, &key_type, "text or a whole number, as a customer's id", hint)
        })?;
        let (name, table, rows) = (self.name, self.table.clone(), KnownRows::default());
        let without_rows_is_zero = self.input.without_rows_is_zero;
        Ok(BoundInput {
            name,
            table,
            key_column,
            key,
            timestamp,
            filter,
            fields,
            without_rows_is_zero,
            rows,
            grouped: None,
        })
    }

    fn key_column(
        &self,
        schema: &Schema,
        problems: &mut Vec<Problem>,
        guesses: &mut Vec<String>,
    ) -> Result<String, PlanError> {
        let candidates = key::candidates(schema);
        let found = candidates.first().map(|name| (*name).to_owned());
        match (&self.input.key, found) {
            (Some(named), found) => {
                if let Some(column) = self.named_column(named, schema, guesses) {
                    return Ok(column);
                }
                problems.push(self.unknown_column("key", named, schema));
                // The problem is told; any column lets the other checks go on.
                Ok(found.or_else(|| schema.fields().first().map(|f| f.name().clone())).unwrap_or_default())
            }
            (None, Some(found)) => {
                guesses.extend(key::told(self.name.as_str(), &candidates));
                Ok(found)
            }
            (None, None) => Err(PlanError::NoKey {
                input: self.name,
                path: self.table.path.clone(),
                aliases: key::ALIASES[1..].iter().map(|name| format!("`{name}`")).collect(),
                columns: schema.fields().iter().map(|f| f.name().clone()).collect(),
            }),
        }
    }

    /// The column that YAML names.
    fn named_column(&self, name: &str, schema: &Schema, guesses: &mut Vec<String>) -> Option<String> {
        match lookup::find(schema, [name]) {
            Found::Exact(column) => Some(column),
            Found::Alike(column) => {
                guesses.push(self.taken_for(&column, name));
                Some(column)
            }
            Found::Ambiguous(_) | Found::Nothing => None,
        }
    }

    fn taken_for(&self, column: &str, name: &str) -> String {
        format!("input `{}`: the column `{column}` is taken for `{name}`", self.name)
    }

    fn timestamp(
        &self,
        schema: &Schema,
        problems: &mut Vec<Problem>,
        guesses: &mut Vec<String>,
    ) -> Result<Option<Instant>, PlanError> {
        let Some(Timestamp { column: named, format }) = &self.input.timestamp else { return Ok(None) };
        let Some(name) = &self.named_column(named, schema, guesses) else {
            let path = if format.is_some() { "timestamp.column" } else { "timestamp" };
            problems.push(self.unknown_column(path, named, schema));
            return Ok(None);
        };
        let data_type = column_type(schema, name);
        let hint = "name a date or timestamp column; numbers do not tell their unit, but a `format` does";
        if format.is_some() && clean::is_date(&data_type) {
            guesses.push(format!(
                "input `{}`: the column `{name}` has the type {data_type}, and its `format` is not needed",
                self.name
            ));
        }
        match Instant::of(self.column(name), &data_type, format.as_ref())? {
            Some(instant) => Ok(Some(instant)),
            None => Err(self.column_type_error(
                name,
                &data_type,
                "a date, a timestamp, or text that can be read as one",
                hint,
            )),
        }
    }

    fn field(
        &self,
        indicator: &Indicator,
        scope: &Scope<'_>,
        schema: &Schema,
        (problems, guesses): (&mut Vec<Problem>, &mut Vec<String>),
    ) -> (Origin, Option<Typed>) {
        if let Some(sql) = self.input.fields.get(&indicator.field) {
            let origin = Origin::Expression(sql.0.clone());
            return match scope.value(sql) {
                Ok(typed) => (origin, Some(typed)),
                Err(fault) => {
                    let problem = self.problem(&format!("fields.{}", indicator.field), fault);
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                    (origin, None)
                }
            };
        }
        let names = std::iter::once(&indicator.field).chain(&indicator.aliases).map(String::as_str);
        let name = match lookup::find(schema, names) {
            Found::Exact(name) => name,
            Found::Alike(name) => {
                guesses.push(self.taken_for(&name, &indicator.field));
                name
            }
            Found::Ambiguous(columns) => {
                guesses.push(format!(
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

    fn check_type(
        &self,
        indicator: &Indicator,
        origin: &Origin,
        typed: &Typed,
        problems: &mut Vec<Problem>,
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
            problems.push(self.component.problem(&format!("inputs.{}", self.name), message, hint));
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
                problems.push(self.problem(&format!("fields.{}", indicator.field), Fault { message, hint }));
                Ok(())
            }
            Origin::Column(name) => {
                let hint = match is_date {
                    true => format!("count the days, under `fields:`: {}", days(&quoted(name))),
                    false => format!("map the field with SQL: `fields: {{{}: ...}}`", indicator.field),
                };
                Err(self.column_type_error(name, &typed.data_type, expected, &hint))
            }
            Origin::Absent => Ok(()),
        }
    }

    fn column(&self, name: &str) -> Expr {
        Expr::Column(Column::new(Some(self.name.as_str()), name))
    }

    fn problem(&self, path: &str, fault: Fault) -> Problem {
        self.component.problem(&format!("inputs.{}.{path}", self.name), fault.message, fault.hint)
    }

    fn unknown_column(&self, path: &str, name: &str, schema: &Schema) -> Problem {
        let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let message = format!("input `{}` has no column `{name}`", self.name);
        self.problem(path, Fault { message, hint: suggest(name, columns) })
    }

    fn column_type_error(&self, column: &str, found: &DataType, expected: &'static str, hint: &str) -> PlanError {
        PlanError::ColumnType {
            input: self.name,
            path: self.table.path.clone(),
            column: column.to_owned(),
            found: found.to_string(),
            expected,
            hint: hint.to_owned(),
        }
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

fn column_type(schema: &Schema, name: &str) -> DataType {
    schema.field_with_name(name).map_or(DataType::Null, |field| field.data_type().clone())
}
