//! An input grouped once: its customers kept in memory, for the population's statistics and then for the scores.

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::logical_expr::TableSource;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream_partitioned};
use futures::StreamExt;
use tokio::task::JoinSet;

use super::query;
use crate::io::context::RunContext;
use crate::io::spill;
use crate::plan::bind::{BoundField, BoundInput};
use crate::plan::input::{Window, customers};

/// The share of all runs' memory that must be left, as its inverse, for what is grouped to be kept.
const LEFT: usize = 2;

/// Customers of an input, and the memory that they take.
pub struct Grouped {
    /// A table with what [`customers`] makes.
    pub table: Arc<dyn TableSource>,
    /// Given back when this is dropped.
    _held: Vec<MemoryReservation>,
}

/// Groups an input; `None` where its customers take more memory than there is to spare.
///
/// # Errors
/// Where the input cannot be read.
pub async fn group(
    input: &BoundInput,
    window: Window,
    texts: impl Fn(&BoundField) -> bool,
    context: &RunContext,
) -> Result<Option<Grouped>> {
    let plan = query::physical(context, &customers(input, window, texts)?).await?;
    let _watched = spill::watch(&plan, context);
    let schema = plan.schema();
    let mut work = JoinSet::new();
    for stream in execute_stream_partitioned(plan, context.session().task_ctx())? {
        let pool = context.session().runtime_env().memory_pool.clone();
        let held = MemoryConsumer::new("customers of an input").register(&pool);
        work.spawn(keep(stream, held, pool));
    }
    let (mut partitions, mut held) = (Vec::new(), Vec::new());
    while let Some(kept) = work.join_next().await {
        let Some((batches, reservation)) = kept.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??
        else {
            return Ok(None);
        };
        partitions.push(batches);
        held.push(reservation);
    }
    let table = provider_as_source(Arc::new(MemTable::try_new(schema, partitions)?));
    Ok(Some(Grouped { table, _held: held }))
}

async fn keep(
    mut stream: SendableRecordBatchStream,
    held: MemoryReservation,
    pool: Arc<dyn MemoryPool>,
) -> Result<Option<(Vec<RecordBatch>, MemoryReservation)>> {
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let full = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => pool.reserved() > limit / LEFT,
            MemoryLimit::Infinite | MemoryLimit::Unknown => false,
        };
        // Batches are slices of larger ones.
        let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
        if full || held.try_grow(sizes.sum::<Result<usize, _>>()?).is_err() {
            return Ok(None);
        }
        batches.push(batch);
    }
    Ok(Some((batches, held)))
}
