//! What an engineer edits: `component.yaml`, read with places, checked as a whole, and then known to be valid.

mod advice;
mod card;
mod card_flags;
mod card_scale;
mod document;
mod expression;
mod format;
pub mod functions;
mod level;
mod nesting;
mod outputs;
mod overlay;
mod parse;
mod position;
pub mod problem;
mod repeat;
mod schema;
pub mod spec;
mod syntax;
mod template;
mod threshold;
mod time_format;
mod timestamp;
mod validate;
pub mod value;
mod vet;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

pub use format::Format;
pub use problem::{ComponentError, Fault, Problem, nearest, suggest};
pub use schema::{json_schema, scorecard_schema};
pub use template::{Variables, variables_in};
pub use time_format::{TimeFormat, TimePart};
pub use validate::check_pinned;
pub use value::PinnedStatistics;
pub use vet::read_text;

use crate::scorecard::{Expression, InputName, Scorecard};

/// What a component is made from: its text and what belongs around it.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// Name of the file, for messages.
    pub file: String,
    /// The YAML.
    pub text: String,
    /// Folder that relative paths in the YAML start from; empty for the working directory.
    pub base_dir: PathBuf,
    /// Environment variables for `{{ env.NAME }}`.
    pub variables: Variables,
    /// What the caller gives in place of the YAML's own.
    pub overrides: Overrides,
}

impl Recipe {
    /// Reads a `component.yaml` and the environment variables that it refers to.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, ComponentError> {
        let file = path.display().to_string();
        let text = vet::read_named(path).map_err(|error| {
            let hint = "name a component.yaml; `customer-health init` writes one".to_owned();
            ComponentError::of_file(&file, format!("cannot read it: {error}"), Some(hint))
        })?;
        let base_dir = path.parent().map(Path::to_owned).unwrap_or_default();
        let value = |name: &str| match name {
            template::PROJECT_ROOT => project_root(&base_dir),
            name => std::env::var(name).ok(),
        };
        let variables =
            variables_in(&text).into_iter().filter_map(|name| Some((name.clone(), value(&name)?))).collect();
        Ok(Self { file, text, base_dir, variables, overrides: Overrides::default() })
    }
}

/// The nearest folder above that has a pyproject.toml, which is what Dagster calls the project's root; else the file's own.
fn project_root(folder: &Path) -> Option<String> {
    let folder = std::path::absolute(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }).ok()?;
    let root = folder.ancestors().find(|folder| folder.join("pyproject.toml").is_file()).unwrap_or(&folder);
    Some(root.display().to_string())
}

/// What a caller gives in place of the YAML's own.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Inputs.
    pub inputs: BTreeMap<InputName, InputOverride>,
    /// Path of the output.
    pub output: Option<String>,
    /// Paths of the tables beside it, which are then written even where the YAML does not ask for them.
    pub fan_out: BTreeMap<FanOut, String>,
    /// Path of the earlier scores.
    pub history: Option<String>,
    /// Length of the analysis period.
    pub analysis_period_days: Option<u32>,
}

/// What a caller gives in place of an input's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputOverride {
    /// Path.
    pub path: Option<String>,
    /// Format of the files, where the path does not tell.
    pub format: Option<Format>,
    /// Predicate that a row must fulfil beside the YAML's own.
    pub filter: Option<String>,
}

impl InputOverride {
    /// Another path, and nothing else.
    pub fn path(path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }
}

/// A table that is written beside the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FanOut {
    /// The customers at churn risk, lowest score first.
    ChurnRisk,
    /// The customers that are expansion opportunities, highest score first.
    Expansion,
}

impl FanOut {
    /// Every such table.
    pub const ALL: [Self; 2] = [Self::ChurnRisk, Self::Expansion];

    /// Its name in `fan_out:`, and what its asset's name ends in.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChurnRisk => "churn_risk",
            Self::Expansion => "expansion",
        }
    }
}

/// Facts about the asset that are carried to the orchestrator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asset {
    /// Name of the asset.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// Group that it is shown in.
    pub group_name: Option<String>,
    /// E-mail addresses or `team:NAME`.
    pub owners: Vec<String>,
    /// Tags.
    pub tags: IndexMap<String, String>,
    /// Kinds.
    pub kinds: Vec<String>,
    /// Keys of the assets that inputs come from.
    pub upstream: BTreeMap<InputName, String>,
}

/// A connected table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// File, folder, glob or URI; relative to [`Component::base_dir`].
    pub path: String,
    /// Format of the files.
    pub format: Option<Format>,
    /// Column that holds the customer's id, where it was named.
    pub key: Option<String>,
    /// Date or timestamp column that decides whether a row lies in the analysis period.
    pub timestamp: Option<Timestamp>,
    /// Whether the input has every event, so that a customer without rows has none of them.
    pub without_rows_is_zero: bool,
    /// Predicates that a row must fulfil: the component's, and the caller's.
    pub filters: Vec<Expression>,
    /// Fields as SQL over the columns.
    pub fields: IndexMap<String, Expression>,
}

/// The column that tells when a row was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// Its name, where it was named.
    pub column: String,
    /// How its text writes times; as ISO 8601 does where none was given.
    pub format: Option<TimeFormat>,
}

/// Where population statistics come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Population {
    /// From the run's own customers.
    FromRun,
    /// From here; what is not here from the run's own customers.
    Pinned(PinnedStatistics),
    /// From what an earlier output recorded.
    FromOutput(String),
}

/// A valid component: nothing in it needs checking again.
#[derive(Debug, Clone)]
pub struct Component {
    asset: Asset,
    scorecard_name: String,
    scorecard_hash: String,
    scorecard: Scorecard,
    inputs: BTreeMap<InputName, Input>,
    customers_from: Option<InputName>,
    output: Option<String>,
    fan_out: BTreeMap<FanOut, String>,
    history: Option<String>,
    config_hash: String,
    population: Population,
    include_factor_breakdown: bool,
    include_drivers: bool,
    trend_tolerance: Option<f64>,
    warnings: Vec<String>,
    base_dir: PathBuf,
    source: parse::Source,
    layers: overlay::Layers,
}

impl Component {
    /// Reads and checks a component.
    ///
    /// # Errors
    /// All problems at once, each with its place.
    pub fn new(recipe: &Recipe) -> Result<Self, ComponentError> {
        match Self::with_problems(recipe) {
            (Some(component), problems) if problems.is_empty() => Ok(component),
            (_, problems) => Err(ComponentError::new(problems)),
        }
    }

    /// Reads and checks a component; beside its problems comes what is right about it, which may be held against the
    /// inputs to find more of them, but not be run.
    pub fn with_problems(recipe: &Recipe) -> (Option<Self>, Vec<Problem>) {
        Self::with_problems_reading(recipe, &read_text)
    }

    /// The same, with another way to read the scorecard files that it names.
    pub fn with_problems_reading(
        recipe: &Recipe,
        read_file: &dyn Fn(&Path) -> std::io::Result<String>,
    ) -> (Option<Self>, Vec<Problem>) {
        let mut problems = Vec::new();
        let component = validate::validate(recipe, read_file, &mut problems);
        (component, problems)
    }

    /// Facts for the orchestrator.
    pub fn asset(&self) -> &Asset {
        &self.asset
    }

    /// The scorecard, with the component's changes laid over.
    pub fn scorecard(&self) -> &Scorecard {
        &self.scorecard
    }

    /// The same without its caps, but for one: that of a component, both by their place among others. For whoever looks for
    /// the cap that fails.
    pub fn with_cap(&self, kept: Option<(usize, usize)>) -> Self {
        let mut component = self.clone();
        for (part, own) in component.scorecard.components.iter_mut().enumerate() {
            let all = std::mem::take(&mut own.caps).into_iter().enumerate();
            own.caps = all.filter(|(at, _)| kept == Some((part, *at))).map(|(_, cap)| cap).collect();
        }
        component
    }

    /// Name or path of the scorecard that the component started from.
    pub fn scorecard_name(&self) -> &str {
        &self.scorecard_name
    }

    /// BLAKE3 of the scorecard with all changes laid over, in hex: equal hashes score alike.
    pub fn scorecard_hash(&self) -> &str {
        &self.scorecard_hash
    }

    /// BLAKE3 of the settings that bear on the table, in hex: the scorecard, how inputs are read, which columns there are;
    /// neither paths nor facts about the asset.
    pub fn config_hash(&self) -> &str {
        &self.config_hash
    }

    /// Tables to write beside the scores, with their paths.
    pub fn fan_out(&self) -> &BTreeMap<FanOut, String> {
        &self.fan_out
    }

    /// The connected tables; one to four.
    pub fn inputs(&self) -> &BTreeMap<InputName, Input> {
        &self.inputs
    }

    /// The input whose customers alone are scored; those of all inputs where none is named.
    pub fn customers_from(&self) -> Option<InputName> {
        self.customers_from
    }

    /// Path of the file to write, where one was named.
    pub fn output(&self) -> Option<&str> {
        self.output.as_deref()
    }

    /// Path of the earlier scores for the trend, where a trend is wanted.
    pub fn history(&self) -> Option<&str> {
        self.history.as_deref()
    }

    /// Where population statistics come from.
    pub fn population(&self) -> &Population {
        &self.population
    }

    /// Whether the components' scores are columns of the output.
    pub fn include_factor_breakdown(&self) -> bool {
        self.include_factor_breakdown
    }

    /// Whether weakest_factor, data_coverage and drivers are columns of the output.
    pub fn include_drivers(&self) -> bool {
        self.include_drivers
    }

    /// Change in score within which a trend is stable, in points; `None` where no trend is wanted.
    pub fn trend_tolerance(&self) -> Option<f64> {
        self.trend_tolerance
    }

    /// The same without the tables beside the scores, for a run whose scores are published nowhere.
    pub fn without_fan_out(mut self) -> Self {
        let left_out: Vec<&str> = self.fan_out.keys().map(|table| table.name()).collect();
        if !left_out.is_empty() {
            let tables = left_out.join(", ");
            self.warnings
                .push(format!("fan_out ({tables}) is left out: the scores are sent back and published nowhere"));
        }
        self.fan_out.clear();
        self
    }

    /// What should be said although it is no error.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Folder that relative paths start from.
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// The same component, with drivers in its output.
    pub fn with_drivers(mut self) -> Self {
        self.include_drivers = true;
        self.include_factor_breakdown = true;
        self
    }

    /// Name of the file that the component was read from, as the user gave it.
    pub fn file(&self) -> &str {
        &self.source.file
    }

    /// A problem with a value of the scorecard or the component, found later, at its place.
    pub fn problem(&self, path: &str, message: String, hint: Option<String>) -> Problem {
        if path.starts_with("components.") {
            return self.layers.problem(path, message, hint);
        }
        // An input that is given as a path has no keys, and what the caller gives has no place.
        let path = if self.source.place(path).is_some() { path } else { path.trim_end_matches(".path") };
        let mut levels = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        let given_as = match path.split('.').next() {
            Some("inputs") => levels.nth(1).map(|end| &path[..end]),
            Some("history") => Some(path),
            _ => None,
        };
        if given_as.is_some_and(|given| self.source.place(given).is_none()) {
            let (file, path) = (self.source.file.clone(), path.to_owned());
            return Problem { file, line: 0, column: 0, path, message, hint };
        }
        self.source.problem(path, message, hint)
    }
}
