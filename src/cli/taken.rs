//! Which of the tables that `init` was given become which input, and why others do not.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::datatypes::{DataType, SchemaRef};

use super::exit::Failure;
use super::folder::{self, Found};
use super::init::InitArgs;
use super::starter::{self, Evidence, Note, Table};
use crate::component::Recipe;
use crate::engine::{Description, Engine, EngineConfig, EngineError, FieldOrigin};
use crate::error::ErrorKind;
use crate::scorecard::{InputName, Scorecard};
use crate::shown::shown;

/// Files of a folder whose columns are compared.
const COMPARED: usize = 8;

/// The tables that are taken, and why others are not.
pub struct Taken {
    /// What makes a component that is valid.
    pub tables: BTreeMap<InputName, Table>,
    /// What is left out.
    pub notes: Vec<Note>,
}

/// A table that may become an input.
struct Candidate {
    path: String,
    told: Option<InputName>,
    ranked: Vec<(Evidence, InputName)>,
    table: Table,
}

/// Looks at all tables.
///
/// # Errors
/// Where a path that was given leads nowhere, a table whose input was told cannot be taken, or none can.
pub async fn take(args: &InitArgs, card: &Scorecard) -> Result<Taken, Failure> {
    let taking = Taking { engine: Engine::new(EngineConfig::default())?, card, args };
    let (mut candidates, mut notes, mut first) = (Vec::new(), Vec::new(), None);
    for (told, found) in taking.found().await {
        match taking.candidate(told, &found.path).await {
            Ok(candidate) => candidates.push(candidate),
            // What is said to be an input must be one; of files that merely lie there some may be broken.
            Err(error) if told.is_some() || (found.given && error.kind() == ErrorKind::NotFound) => {
                return Err(error.into());
            }
            Err(error) => {
                notes.push(note(&found.path, &error));
                first.get_or_insert(error);
            }
        }
    }
    let mut tables = assign(candidates, &mut notes);
    taking.settle(&mut tables, &mut notes).await?;
    if !tables.is_empty() {
        return Ok(Taken { tables, notes });
    }
    Err(match (first, notes.as_slice()) {
        (Some(error), [_]) => error.into(),
        (None, [note]) => Failure::new(ErrorKind::InvalidInput, note.text()),
        (first, _) => {
            let kind = first.map_or(ErrorKind::InvalidInput, |error| error.kind());
            let told: Vec<String> = notes.iter().map(Note::text).collect();
            Failure::new(kind, format!("none of the tables can be taken\n{}", told.join("\n")))
        }
    })
}

/// Why a table cannot be read.
fn note(path: &str, error: &EngineError) -> Note {
    let (message, hint) = error.message_and_hint();
    Note { path: path.to_owned(), message, hint }
}

struct Taking<'a> {
    engine: Engine,
    card: &'a Scorecard,
    args: &'a InitArgs,
}

impl Taking<'_> {
    /// The tables that the paths stand for, with what was said of them.
    async fn found(&self) -> Vec<(Option<InputName>, Found)> {
        let mut all = Vec::new();
        for (name, path) in &self.args.inputs {
            all.push((Some(*name), Found { path: path.clone(), parts: Vec::new(), given: true }));
        }
        for found in self.args.paths.iter().flat_map(|path| folder::tables(path)) {
            match self.alike(&found.parts).await {
                true => all.push((None, found)),
                false => {
                    let apart = found.parts.into_iter().map(|path| Found { path, parts: Vec::new(), given: false });
                    all.extend(apart.map(|part| (None, part)));
                }
            }
        }
        all
    }

    /// Whether files that are called alike have columns that are: whichever one has fewer has most of them in common with the
    /// first. What cannot be read is told when the table is.
    async fn alike(&self, parts: &[String]) -> bool {
        let step = parts.len().div_ceil(COMPARED).max(1);
        let mut first: Option<BTreeSet<String>> = None;
        for path in parts.iter().step_by(step) {
            let Ok(schema) = self.engine.read_schema(&folder::absolute(path)).await else { continue };
            let columns: BTreeSet<String> = schema.fields().iter().map(|field| field.name().to_lowercase()).collect();
            let first = first.get_or_insert_with(|| columns.clone());
            let common = first.intersection(&columns).count();
            if common * 2 <= first.len().min(columns.len()) && *first != columns {
                return false;
            }
        }
        true
    }

    async fn candidate(&self, told: Option<InputName>, path: &str) -> Result<Candidate, EngineError> {
        let schema = self.engine.read_schema(&folder::absolute(path)).await?;
        let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let ranked = starter::ranked(self.card, path, &columns);
        let table = Table {
            path: folder::from_component(path, self.args.output()),
            key: None,
            columns,
            types: schema.fields().iter().map(|field| kind(field.data_type())).collect(),
            times: times(&schema),
            instead: BTreeMap::new(),
            found: Vec::new(),
        };
        Ok(Candidate { path: path.to_owned(), told, ranked, table })
    }

    /// Leaves out what a run could not use, until the component is valid.
    async fn settle(&self, tables: &mut BTreeMap<InputName, Table>, notes: &mut Vec<Note>) -> Result<(), Failure> {
        let base_dir = self.args.output().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        while !tables.is_empty() {
            let (text, base_dir) = (starter::yaml(self.card, tables, notes), base_dir.clone());
            let recipe = Recipe { text, base_dir, ..Recipe::default() };
            let outcome = match self.engine.component(&recipe).await {
                Ok(component) => self.engine.describe(&component).await,
                Err(error) => Err(error),
            };
            let error = match outcome {
                Ok(description) => {
                    bind(tables, description);
                    return Ok(());
                }
                Err(error) => error,
            };
            if !self.mend(&error, tables, notes)? {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Gives fields of the wrong type SQL in place of their columns, and leaves out tables that have other problems, unless
    /// their inputs were told. Whether anything changed.
    fn mend(
        &self,
        error: &EngineError,
        tables: &mut BTreeMap<InputName, Table>,
        notes: &mut Vec<Note>,
    ) -> Result<bool, Failure> {
        let (mut changed, mut fresh) = (false, BTreeSet::new());
        for problem in error.problems() {
            let mut path = problem.path.split('.').skip(1);
            let Some(name) = path.next().and_then(|name| name.parse::<InputName>().ok()) else { continue };
            let Some(table) = tables.get_mut(&name) else { continue };
            changed = true;
            let field = (path.next() == Some("fields")).then(|| path.next()).flatten();
            if let Some(field) = field {
                // Several indicators may read it.
                if !table.instead.contains_key(field) {
                    table.instead.insert(field.to_owned(), instead(self.card, table, field));
                    fresh.insert((name, field.to_owned()));
                }
                if fresh.contains(&(name, field.to_owned())) {
                    continue;
                }
            }
            let (path, message, hint) = (table.path.clone(), problem.message.clone(), problem.hint.clone());
            let note = Note { path, message, hint };
            if self.args.inputs.iter().any(|(told, _)| *told == name) {
                return Err(Failure::new(error.kind(), note.text()));
            }
            notes.push(note);
            tables.remove(&name);
        }
        Ok(changed)
    }
}

/// Notes what the engine reads of each table.
fn bind(tables: &mut BTreeMap<InputName, Table>, description: Description) {
    for input in description.inputs {
        let Some(table) = tables.get_mut(&input.name) else { continue };
        table.key = Some(input.key);
        for field in input.fields {
            let column = match field.origin {
                FieldOrigin::Column => field.field.clone(),
                FieldOrigin::Alias(column) => column,
                FieldOrigin::Expression(_) | FieldOrigin::Absent => continue,
            };
            // Several indicators may read it.
            if table.found.iter().all(|(known, _)| *known != field.field) {
                table.found.push((field.field, column));
            }
        }
    }
}

/// Gives each input the table for which most speaks, and tells of the rest.
fn assign(mut candidates: Vec<Candidate>, notes: &mut Vec<Note>) -> BTreeMap<InputName, Table> {
    let mut taken: BTreeMap<InputName, (String, Table)> = BTreeMap::new();
    // Of two that fit alike the one of the plainer name: `company.csv` rather than `ticket_company.csv`.
    candidates.sort_by_key(|candidate| {
        let strength = candidate.ranked.first().map(|((strength, _), _)| *strength);
        (Reverse((candidate.told.is_some(), strength)), candidate.path.len())
    });
    for Candidate { path, told, ranked, table } in candidates {
        let best = ranked.first().map(|(evidence, _)| *evidence);
        let likeliest = ranked.iter().filter(|(evidence, _)| Some(*evidence) == best).map(|(_, name)| *name);
        let may_be: Vec<InputName> = told.map_or_else(|| likeliest.collect(), |name| vec![name]);
        let free: Vec<InputName> = may_be.iter().copied().filter(|name| !taken.contains_key(name)).collect();
        let message = match (free.as_slice(), may_be.as_slice()) {
            ([name], _) => {
                taken.insert(*name, (path, table));
                continue;
            }
            ([], []) => "nothing in it, nor its name, tells which input it is".to_owned(),
            ([], _) => {
                let others: Vec<&str> = may_be.iter().filter_map(|name| Some(taken.get(name)?.0.as_str())).collect();
                format!("it looks like the input {}, and so does {}", either(&may_be), others.join(" or "))
            }
            _ => format!("it may be the input {}", either(&free)),
        };
        let name = may_be.first().copied().unwrap_or(InputName::Usage);
        let hint = format!("say which one it is, as in `--input {name}={path}`");
        notes.push(Note { path, message, hint: Some(hint) });
    }
    taken.into_iter().map(|(name, (_, table))| (name, table)).collect()
}

fn either(names: &[InputName]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

/// SQL for a field whose column is of no use as it is: the days since a date where the field counts days, else nothing until
/// somebody says what.
fn instead(card: &Scorecard, table: &Table, field: &str) -> String {
    let own = card.indicators().filter(|(_, indicator)| indicator.field == field);
    let mut names = own.flat_map(|(_, indicator)| std::iter::once(&indicator.field).chain(&indicator.aliases));
    match names.find(|name| table.times.contains(name)).filter(|_| field.contains("days")) {
        Some(column) => format!("CAST(as_of AS DATE) - CAST(\"{}\" AS DATE)", column.replace('"', "\"\"")),
        None => "CAST(NULL AS DOUBLE)".to_owned(),
    }
}

/// What a column holds, in a word.
fn kind(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Boolean => "true or false".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, _) => "time".to_owned(),
        DataType::Null => "no value".to_owned(),
        DataType::Dictionary(_, values) => kind(values),
        integer if integer.is_integer() => "whole number".to_owned(),
        number if number.is_numeric() => "number".to_owned(),
        other => shown(other),
    }
}

fn times(schema: &SchemaRef) -> Vec<String> {
    let is_time =
        |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64);
    schema.fields().iter().filter(|field| is_time(field.data_type())).map(|field| field.name().clone()).collect()
}
