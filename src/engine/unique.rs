//! Whether no customer has two rows in an input, so that a plan can do without grouping them.

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
use super::work::Work;
use super::{EngineError, query};
use crate::io::context::RunContext;
use crate::plan::bind::BoundInput;
use crate::plan::input::{Window, keys};

/// Rows among which a repeated key shows soon, where an input has events rather than customers.
const SAMPLE: usize = 32_768;

/// Any number will do; that it is fixed makes two runs over one file alike.
const SEED: u64 = 7;

/// What is known of the keys of the rows that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// No two are the same.
    Differ,
    /// No two of a sample are the same.
    SeemToDiffer,
    /// Some are the same, or there was no memory to find out.
    Repeat,
}

/// Reads the keys of the rows that count and tells whether they all differ; with `sample`, of the first of them.
///
/// Keys are compared by a 64-bit hash: two keys with one hash are taken for a repetition, which costs a grouping that was
/// not needed and nothing else. Memory is 8 bytes a row, taken from the session's pool; where that is too much, the
/// answer is that keys repeat.
///
/// # Errors
/// Where the input cannot be read.
pub async fn of_rows(
    input: &BoundInput,
    window: Window,
    profile: &Profile,
    work: &Work,
    sample: bool,
) -> Result<Keys, EngineError> {
    if profile.kept() <= 1 {
        return Ok(Keys::Differ);
    }
    let role = format!("input `{}`", input.name);
    let sampled = sample && !work.remote && profile.kept() > SAMPLE as u64;
    let differ = match work.remote {
        true => all_differ_there(input, window, profile.kept(), work).await,
        false if sampled => differ(input, window, SAMPLE as u64, true, &work.context).await,
        false => differ(input, window, profile.kept(), false, &work.context).await,
    };
    Ok(match differ.map_err(|error| EngineError::unreadable(&role, &input.table.path, error))? {
        true if sampled => Keys::SeemToDiffer,
        true => Keys::Differ,
        false => Keys::Repeat,
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
