//! Whether each customer has one row in an input, so that a plan can do without grouping them: the only place that decides.

use datafusion::arrow::array::Array;
use datafusion::common::HashSet;
use datafusion::common::hash_utils::{QualityRandomState, create_hashes};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream_partitioned};
use futures::StreamExt;
use tokio::task::JoinSet;

use super::profile::{Profile, number};
use super::query::Running;
use super::work::Work;
use super::{EngineError, query};
use crate::accel::gather;
use crate::io::context::RunContext;
use crate::plan::bind::BoundInput;
use crate::plan::input::{Window, keys};
use crate::plan::{Cutoffs, Planner};
use crate::scorecard::{Scale, Statistic};

/// Rows among which a repeated key shows soon, where an input has events rather than customers.
const SAMPLE: usize = 32_768;

/// Any number will do; that it is fixed makes two runs over one file alike.
const SEED: u64 = 7;

/// What is known of the keys of an input's rows that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniqueness {
    /// No two rows have one key.
    Proven,
    /// No two of the first rows have one key, and the plan fails where that does not hold for all of them.
    Assumed,
    /// Some keys repeat, or there was no memory to find out.
    Repeated,
}

impl Uniqueness {
    /// Whether a plan may take each row for a customer, without grouping.
    pub fn is_one_row_each(self) -> bool {
        self != Self::Repeated
    }
}

/// Whether a run rests on uniqueness that was assumed of one of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumption(bool);

impl Assumption {
    /// What the inputs of a run come to together.
    pub fn of(inputs: impl IntoIterator<Item = Uniqueness>) -> Self {
        Self(inputs.into_iter().any(|input| input == Uniqueness::Assumed))
    }

    /// Whether the operator that joins the inputs has to fail where a key repeats.
    pub fn needs_guard(self) -> bool {
        self.0
    }

    /// Whether a plan at work fails where the assumption does not hold; true where nothing is assumed.
    pub fn is_guarded_by(self, running: &Running) -> bool {
        !self.0 || running.refuses_repeats()
    }

    /// Whether an error says that the assumption does not hold: the run has to begin again and prove it.
    pub fn is_refuted_by(self, error: &DataFusionError) -> bool {
        gather::repeats_of(error)
    }
}

/// Whether uniqueness may be assumed of a run's inputs: only the optional operator for numbers notices keys that repeat, and
/// a plan that counts scores before they are written would not come to it.
pub fn may_be_assumed(planner: &Planner<'_>, context: &RunContext) -> bool {
    let counts = Cutoffs::need_counting(planner.component.scorecard());
    context.accel() && planner.joins_numbers() && !counts && !planner.bound.aligns_any()
}

/// Whether a percentile is wanted of an input, for which all its rows would be kept where they are taken for customers.
fn wants_percentile(input: &BoundInput) -> bool {
    let percentile = |statistic: &Statistic| matches!(statistic, Statistic::Percentile(_));
    let mut scales = input.fields.iter().map(|field| &field.indicator.scale);
    scales.any(|scale| matches!(scale, Scale::Percentile(_)) || scale.statistics().iter().any(percentile))
}

/// Reads the keys of the rows that count and tells whether they all differ; with `assume`, of the first of them where that
/// is enough.
///
/// Keys are compared by a 64-bit hash: two keys with one hash are taken for a repetition, which costs a grouping that was
/// not needed and nothing else. Memory is 8 bytes a row, taken from the session's pool; where that is too much, the
/// answer is that keys repeat.
///
/// # Errors
/// Where the input cannot be read.
pub async fn of_input(
    input: &BoundInput,
    window: Window,
    profile: &Profile,
    work: &Work,
    assume: bool,
) -> Result<Uniqueness, EngineError> {
    if profile.kept() <= 1 {
        return Ok(Uniqueness::Proven);
    }
    let role = format!("input `{}`", input.name);
    let sampled = assume && !wants_percentile(input) && !work.remote && profile.kept() > SAMPLE as u64;
    let differ = match work.remote {
        true => all_differ_there(input, window, profile.kept(), work).await,
        false if sampled => differ(input, window, SAMPLE as u64, true, &work.context).await,
        false => differ(input, window, profile.kept(), false, &work.context).await,
    };
    Ok(match differ.map_err(|error| EngineError::unreadable(&role, &input.table.path, error))? {
        true if sampled => Uniqueness::Assumed,
        true => Uniqueness::Proven,
        false => Uniqueness::Repeated,
    })
}

/// The same, counted by a cluster, so that no process has to hold all keys.
async fn all_differ_there(input: &BoundInput, window: Window, rows: u64, work: &Work) -> Result<bool> {
    let keys = LogicalPlanBuilder::from(keys(input, window)?).distinct()?;
    let plan = keys.aggregate(Vec::<Expr>::new(), [count(lit(1_i64))])?.build()?;
    let row = query::single_row(&work.context, &plan).await?;
    Ok(row.first().map(number) == Some(rows))
}

async fn differ(input: &BoundInput, window: Window, rows: u64, first: bool, context: &RunContext) -> Result<bool> {
    let reservation = MemoryConsumer::new("hashes of keys").register(&context.session().runtime_env().memory_pool);
    // The hashes, and once more while they are brought together.
    let needed = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(2 * size_of::<u64>());
    if reservation.try_grow(needed).is_err() {
        return Ok(false);
    }
    let mut plan = keys(input, window)?;
    if first {
        plan = LogicalPlanBuilder::from(plan).limit(0, Some(usize::try_from(rows).unwrap_or(SAMPLE)))?.build()?;
    }
    let plan = query::physical(context, &plan).await?;
    let streams = execute_stream_partitioned(plan, context.session().task_ctx())?;
    let mut work = JoinSet::new();
    for stream in streams {
        work.spawn(hashes(stream));
    }
    let mut all: Vec<u64> = Vec::new();
    while let Some(part) = work.join_next().await {
        match part.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?? {
            Some(part) => all.extend(part),
            None => return Ok(false),
        }
    }
    let sorted = tokio::task::spawn_blocking(move || all_differ(all, reservation));
    sorted.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))
}

/// Hashes of a partition's keys; `None` once one repeats among the first of them.
async fn hashes(mut stream: SendableRecordBatchStream) -> Result<Option<Vec<u64>>> {
    let random = QualityRandomState::with_seed(SEED);
    let (mut all, mut buffer) = (Vec::new(), Vec::new());
    let mut sample: HashSet<u64> = HashSet::default();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let keys = batch.column(0);
        buffer.clear();
        buffer.resize(keys.len(), 0);
        create_hashes([keys], &random, &mut buffer)?;
        if all.len() < SAMPLE && !buffer.iter().all(|hash| sample.insert(*hash)) {
            return Ok(None);
        }
        all.extend_from_slice(&buffer);
    }
    Ok(Some(all))
}

fn all_differ(mut hashes: Vec<u64>, _held: MemoryReservation) -> bool {
    hashes.sort_unstable();
    hashes.windows(2).all(|pair| pair[0] != pair[1])
}
