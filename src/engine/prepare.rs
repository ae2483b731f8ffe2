//! From a component to everything a plan needs: tables opened and bound, rows profiled, statistics found.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use datafusion::error::DataFusionError;
use futures::future::join_all;
use tokio::task::JoinSet;

use super::grouped::Grouped;
use super::profile::{Profile, Strangers, number};
use super::report::Stage;
use super::stages::Stages;
use super::uniqueness::{self, Assumption};
use super::work::Work;
use super::{EngineError, blame, culprit, grouped, no_observer, population, query, session, trend, version};
use crate::accel::fuse::Fusing;
use crate::accel::gather::Gathering;
use crate::component::{Component, Format, PinnedStatistics};
use crate::error::ErrorKind;
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::io::source::{Files, Opened, Place, Source, resolve};
use crate::plan::bind::{BoundField, BoundInput};
use crate::plan::input::Window;
use crate::plan::population::wanted;
use crate::plan::profile::Count;
use crate::plan::{Bound, Cutoffs, Planner, Statistics, bind, needs_text};
use crate::scorecard::InputName;

/// The share of all runs' memory that an operator may take whose data do not go to disk, as its inverse.
const GROUPED: usize = 4;

/// Bytes of rows that a grouping brings together at once.
const AT_ONCE: usize = 48 << 20;

/// A component with its tables open.
pub struct Opening {
    /// Tables and columns.
    pub bound: Bound,
    /// Number and size of the files, by input.
    pub files: BTreeMap<InputName, (u64, u64)>,
    /// Where the files are, by input.
    pub places: BTreeMap<InputName, Place>,
    /// What was read, by what it is for.
    pub read: BTreeMap<String, Files>,
    /// What was missing, though no error.
    pub warnings: Vec<String>,
}

/// Opens a component's inputs and history and checks that they fit.
///
/// # Errors
/// Whatever is wrong with an input, or with the component in the light of its inputs.
pub async fn open(component: &Component, as_of: DateTime<Utc>, context: &RunContext) -> Result<Opening, EngineError> {
    let (mut tables, mut files, mut places) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut read = BTreeMap::new();
    let mut warnings = component.warnings().to_vec();
    let mut unopened = Vec::new();
    for (name, input) in component.inputs() {
        let path = resolve(component.base_dir(), &input.path);
        let role = format!("input `{name}`");
        let source = Source { role: &role, path: &path, format: input.format, key: input.key.as_deref() };
        let Opened { table, files: count, bytes, place, objects, warnings: of_files } =
            match source.open(context).await.map_err(EngineError::from) {
                Ok(opened) => opened,
                // What can be mended in the component is told with all that the other inputs show.
                Err(error) if mendable(&error) => {
                    unopened.push((format!("inputs.{name}.path"), error));
                    continue;
                }
                Err(error) => return Err(error),
            };
        warnings.extend(of_files);
        read.insert(role, objects);
        tables.insert(*name, table);
        files.insert(*name, (count, bytes));
        places.insert(*name, place);
    }
    let mut history = None;
    if let Some(path) = component.history() {
        let path = resolve(component.base_dir(), path);
        let source = Source { role: "history", path: &path, format: Format::told_by(&path), key: None };
        match source.open(context).await.map_err(EngineError::from) {
            Ok(opened) => {
                match trend::compared(component, &opened.objects, as_of, context).await {
                    Ok(told) => warnings.extend(told),
                    Err(error) if mendable(&error) => unopened.push(("history".to_owned(), error)),
                    Err(error) => return Err(error),
                }
                read.insert("history".to_owned(), opened.objects);
                history = Some(opened.table);
            }
            // The first run of an asset has no earlier materialization.
            Err(EngineError::Io(IoError::NotFound { path, .. })) => {
                warnings.push(format!("history: there is nothing at {path} yet; the trend columns are null"));
            }
            Err(error) if mendable(&error) => unopened.push(("history".to_owned(), error)),
            Err(error) => return Err(error),
        }
    }
    if !unopened.is_empty() {
        let others = bind(component, &tables, history, context.session(), as_of).err().map(EngineError::from);
        return Err(EngineError::unopened(component, unopened, others));
    }
    let bound = bind(component, &tables, history, context.session(), as_of)?;
    warnings.extend(
        bound
            .inputs
            .values()
            .filter(|input| !input.fields.is_empty() && input.fields.iter().all(|f| f.reading.is_none()))
            .map(|input| {
                let fields: Vec<&str> = input.fields.iter().map(|f| f.indicator.field.as_str()).collect();
                format!(
                    "input `{}` has none of the scorecard's fields ({}); map them under `inputs.{}.fields`",
                    input.name,
                    fields.join(", "),
                    input.name
                )
            }),
    );
    warnings.extend(bound.guesses.iter().cloned());
    Ok(Opening { bound, files, places, read, warnings })
}

/// Whether an error can be mended in the component or by another file: it is told with all that the rest shows.
fn mendable(error: &EngineError) -> bool {
    let kinds = [ErrorKind::NotFound, ErrorKind::InvalidInput, ErrorKind::Denied];
    kinds.contains(&error.kind()) || !error.problems().is_empty()
}

/// How much is done before the scores are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Large inputs whose first keys differ are taken to have one row for each customer; the plan has to notice where
    /// that is not so. What is grouped for the population's sake is kept for the scores.
    Quick,
    /// As quick, but that all keys differ is made sure of.
    Proven,
    /// Proven, and nothing is kept.
    Plain,
}

/// Everything that a plan needs.
pub struct Prepared {
    /// Tables, files and warnings.
    pub opening: Opening,
    /// Counts of rows, by input.
    pub profiles: BTreeMap<InputName, Profile>,
    /// Statistics that `population:` gave.
    pub pinned: PinnedStatistics,
    /// All statistics.
    pub statistics: Statistics,
    /// Where the flags begin.
    pub cutoffs: Cutoffs,
    /// End of the analysis period.
    pub as_of: DateTime<Utc>,
    /// Start of the run.
    pub calculated_at: DateTime<Utc>,
    /// Whether an input is only taken to have one row for each customer.
    pub assumption: Assumption,
    /// The data version, which is found while the run goes on; it ends with the run.
    pub version: JoinSet<Result<String, EngineError>>,
    // Their memory is given back with this.
    _kept: Vec<Grouped>,
}

/// What makes a plan over inputs of so many rows faster.
fn rules(context: &RunContext, rows: &[u64], refuse_repeats: bool) -> Vec<session::Rule> {
    if !context.accel() {
        return Vec::new();
    }
    let room = session::share_of_memory(context, GROUPED);
    vec![Arc::new(Gathering { rows: rows.iter().sum(), room, at_once: AT_ONCE, refuse_repeats }), Arc::new(Fusing)]
}

/// Groups the inputs that population statistics have to be found of, so that this is not done again for the scores.
async fn keep_groups(
    component: &Component,
    bound: &mut Bound,
    known: &Statistics,
    (profiles, window): (&BTreeMap<InputName, Profile>, Window),
    context: &RunContext,
) -> Result<Vec<Grouped>, EngineError> {
    let wanted = |input: &BoundInput| !input.rows.one_each && !wanted(input, known).is_empty();
    let inputs: Vec<&mut BoundInput> = bound.inputs.values_mut().filter(|input| wanted(input)).collect();
    let mut kept = Vec::new();
    if inputs.is_empty() {
        return Ok(kept);
    }
    let rows: Vec<u64> = inputs.iter().filter_map(|input| Some(profiles.get(&input.name)?.kept())).collect();
    let context = &session::with_rules(context, session::for_groupings(context, &rows), rules(context, &rows, false));
    // One after the other, as rows take memory until they are grouped; each keeps all partitions busy.
    for input in inputs {
        let texts = |field: &BoundField| {
            field.is_aggregate() && field.may_be_unmapped() || needs_text(component, &field.component, &field.indicator)
        };
        let grouped = grouped::group(input, window, texts, context).await;
        let role = format!("input `{}`", input.name);
        if let Some(grouped) = grouped.map_err(|error| EngineError::unreadable(&role, &input.table.path, error))? {
            input.grouped = Some(grouped.table.clone());
            kept.push(grouped);
        }
    }
    Ok(kept)
}

impl Prepared {
    /// Opens, profiles and finds statistics.
    ///
    /// # Errors
    /// Whatever is wrong with the component or its inputs.
    pub async fn new(
        component: &Component,
        as_of: Option<DateTime<Utc>>,
        (context, work): (&RunContext, &Work),
        effort: Effort,
        stages: &mut Stages<'_>,
    ) -> Result<Self, EngineError> {
        // As exact as the table's timestamps are.
        let calculated_at = Utc::now().trunc_subsecs(6);
        let as_of = as_of.unwrap_or(calculated_at);
        let window = Window { as_of, days: component.scorecard().analysis_period_days };
        stages.begin(Stage::Open);
        let mut opening = open(component, as_of, context).await?;
        let pinned = population::pinned(component, context).await?;
        let mut version = JoinSet::new();
        let settings = version::Settings::new(&opening.bound, &pinned, as_of);
        let (hashed, read, session) = (component.clone(), opening.read.clone(), context.clone());
        version.spawn(async move { version::of(&hashed, settings, read, &session).await });
        for (name, (count, bytes)) in &opening.files {
            let files = if *count == 1 { "1 file".to_owned() } else { format!("{count} files") };
            stages.log(format!("input `{name}`: {files}, {bytes} bytes"));
        }
        stages.begin(Stage::Profile);
        work.sees(&opening.bound, context).await?;
        let unscored = Statistics::default();
        let bound = &opening.bound;
        let cutoffs = Cutoffs::of(component.scorecard());
        let planner = Planner {
            component,
            bound,
            statistics: &unscored,
            cutoffs,
            state: context.session(),
            as_of,
            calculated_at,
            explain: false,
        };
        let assume = effort == Effort::Quick && uniqueness::may_be_assumed(&planner, context);
        // Side by side, as each of them has parts that keep one processor busy and no more.
        let looked_at = opening.bound.inputs.iter_mut().map(|(name, input)| async move {
            let profile = Profile::of(input, window, context, work).await?;
            input.rows.all_have_keys = profile.count(Count::NoKey) == Some(0);
            let unique = uniqueness::of_input(input, window, &profile, work, assume).await?;
            input.rows.one_each = unique.is_one_row_each();
            Ok(((*name, profile), unique))
        });
        // All of them to their ends, so that of several errors it is always the same one that is told.
        let looked_at = match join_all(looked_at).await.into_iter().collect::<Result<Vec<_>, EngineError>>() {
            Ok(looked_at) => looked_at,
            Err(error) => return Err(blame::sql(error, (component, &opening.bound), window, context).await),
        };
        let assumption = Assumption::of(looked_at.iter().map(|(_, unique)| *unique));
        let mut profiles: BTreeMap<_, _> = looked_at.into_iter().map(|(profile, _)| profile).collect();
        for (name, input) in &opening.bound.inputs {
            let plan = opening.bound.strangers(input, window);
            let plan = plan.map_err(|error| EngineError::internal("planning who is not scored", error))?;
            if let (Some(plan), Some(profile)) = (plan, profiles.get_mut(name)) {
                let row = query::single_row(&work.context, &plan).await;
                let role = format!("input `{name}`");
                let row = row.map_err(|error| EngineError::unreadable(&role, &input.table.path, error))?;
                let at = |column: usize| row.get(column).map_or(0, number);
                profile.strangers = Strangers { customers: at(0), rows: at(1) };
            }
        }
        for (name, profile) in &profiles {
            stages.log(format!("input `{name}`: {} rows, of which {} count", profile.rows(), profile.kept()));
        }
        stages.begin(Stage::Population);
        let known = population::known(&pinned, &opening.bound, &profiles);
        let mut kept = Vec::new();
        if effort != Effort::Plain && !work.remote {
            kept = match keep_groups(component, &mut opening.bound, &known, (&profiles, window), context).await {
                Ok(kept) => kept,
                Err(error) => return Err(blame::sql(error, (component, &opening.bound), window, context).await),
            };
        }
        let statistics = match population::find(known, &opening.bound, window, (work, context)).await {
            Ok(statistics) => statistics,
            Err(error) => return Err(blame::sql(error, (component, &opening.bound), window, context).await),
        };
        let mut prepared = Self {
            opening,
            profiles,
            pinned,
            statistics,
            cutoffs,
            as_of,
            calculated_at,
            assumption,
            version,
            _kept: kept,
        };
        if Cutoffs::need_counting(component.scorecard()) {
            prepared.cutoffs = prepared.counted(component, context).await?;
        }
        Ok(prepared)
    }

    /// Where the flags begin, by numbers of customers.
    async fn counted(&self, component: &Component, context: &RunContext) -> Result<Cutoffs, EngineError> {
        let session = self.session(context);
        let plan = self.planner(component, &session, false).counting();
        let plan = plan.map_err(|error| EngineError::internal("planning where the flags begin", error))?;
        match query::single_row(&session, &plan).await {
            Ok(row) => Ok(self.cutoffs.counted(component.scorecard(), &row)),
            Err(error) => Err(culprit::name(error, &self.planner(component, context, false), context).await),
        }
    }

    /// The same for whoever looks and writes nothing.
    ///
    /// # Errors
    /// Whatever is wrong with the component or its inputs.
    pub async fn to_look(
        component: &Component,
        as_of: Option<DateTime<Utc>>,
        context: &RunContext,
    ) -> Result<Self, EngineError> {
        let (here, observer) = (Work::here(context), no_observer());
        Self::new(component, as_of, (context, &here), Effort::Plain, &mut Stages::new(&observer)).await
    }

    /// The data version, once it is known.
    ///
    /// # Errors
    /// Where a file could not be read once more.
    pub async fn data_version(&mut self) -> Result<String, EngineError> {
        let panicked = |error| EngineError::internal("hashing the inputs", DataFusionError::External(Box::new(error)));
        match self.version.join_next().await {
            Some(outcome) => outcome.map_err(panicked)?,
            None => Err(EngineError::internal("hashing", DataFusionError::Internal("done twice".to_owned()))),
        }
    }

    /// A session for the plan of the scores in this process.
    pub fn session(&self, context: &RunContext) -> RunContext {
        let mut rows = self.rows();
        let config = session::for_rows(context, &rows);
        if self.opening.bound.history.is_some() {
            // About as many as there are customers.
            rows.push(rows.iter().copied().max().unwrap_or(0));
        }
        session::with_rules(context, config, rules(context, &rows, self.assumption.needs_guard()))
    }

    /// Rows of each input that count.
    pub fn rows(&self) -> Vec<u64> {
        self.profiles.values().map(Profile::kept).collect()
    }

    /// What makes the plan.
    pub fn planner<'a>(&'a self, component: &'a Component, context: &'a RunContext, explain: bool) -> Planner<'a> {
        Planner {
            component,
            bound: &self.opening.bound,
            statistics: &self.statistics,
            cutoffs: self.cutoffs,
            state: context.session(),
            as_of: self.as_of,
            calculated_at: self.calculated_at,
            explain,
        }
    }
}
