//! The tables beside the scores: sorted while the scores are written, published with them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::table::asset_name;
use super::{EngineError, facts, query};
use crate::component::{Component, FanOut};
use crate::io::context::RunContext;
use crate::io::output::{Facts, Output, Staged};
use crate::plan::fan_out;

/// Batches that may wait for a sorter.
const WAITING: usize = 4;

/// Tables that are being sorted. Dropping it stops the sorting and removes what was staged.
pub struct FannedOut {
    feeds: Vec<mpsc::Sender<RecordBatch>>,
    work: JoinSet<Result<(FanOut, Staged, u64), EngineError>>,
}

impl FannedOut {
    /// Starts a sorter for each of the outputs; `facts` go into each file's metadata.
    ///
    /// # Errors
    /// Where an output's folder cannot be written.
    pub async fn start(
        component: &Component,
        outputs: &BTreeMap<FanOut, Output>,
        schema: &SchemaRef,
        facts: &Facts,
        context: &RunContext,
    ) -> Result<Self, EngineError> {
        let (mut feeds, mut work) = (Vec::new(), JoinSet::new());
        for (table, output) in outputs {
            let (feed, fed) = mpsc::channel(WAITING);
            feeds.push(feed);
            let mut writer = output.write(schema.clone()).await?;
            let facts = facts::renamed(facts, asset_name(&component.asset().name, Some(*table)));
            let (table, schema, context) = (*table, schema.clone(), context.clone());
            work.spawn(async move {
                let internal = |error| EngineError::internal("sorting a table beside the scores", error);
                let mut batches = sorted(table, schema.clone(), fed, &context).await.map_err(internal)?;
                let mut rows = 0;
                while let Some(batch) = batches.next().await {
                    let batch = batch.map_err(internal)?;
                    rows += batch.num_rows() as u64;
                    // Under the scores' own schema: a sort makes every column nullable.
                    let batch = RecordBatch::try_new(schema.clone(), batch.columns().to_vec());
                    if !writer.write(batch.map_err(|error| internal(error.into()))?).await {
                        break;
                    }
                }
                Ok((table, writer.finish(facts).await?, rows))
            });
        }
        Ok(Self { feeds, work })
    }

    /// Hands a batch of the scores to all sorters, waiting while one is behind. One that has failed is told by
    /// [`FannedOut::finish`].
    pub async fn add(&self, batch: &RecordBatch) {
        for feed in &self.feeds {
            let _ = feed.send(batch.clone()).await;
        }
    }

    /// Waits for the tables: each staged, with its rows.
    ///
    /// # Errors
    /// What went wrong in sorting or writing one of them.
    pub async fn finish(self) -> Result<BTreeMap<FanOut, (Staged, u64)>, EngineError> {
        let Self { feeds, mut work } = self;
        drop(feeds);
        let mut tables = BTreeMap::new();
        while let Some(outcome) = work.join_next().await {
            let panicked = |error| EngineError::internal("sorting", DataFusionError::External(Box::new(error)));
            let (table, staged, rows) = outcome.map_err(panicked)??;
            tables.insert(table, (staged, rows));
        }
        Ok(tables)
    }
}

async fn sorted(
    table: FanOut,
    schema: SchemaRef,
    fed: mpsc::Receiver<RecordBatch>,
    context: &RunContext,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let scores = Fed { schema: schema.clone(), batches: Mutex::new(Some(fed)) };
    let scores = StreamingTable::try_new(schema, vec![Arc::new(scores)])?;
    let plan = fan_out::plan(table, provider_as_source(Arc::new(scores)))?;
    execute_stream(query::physical(context, &plan).await?, context.session().task_ctx())
}

/// Scores as they come out of the plan.
struct Fed {
    schema: SchemaRef,
    batches: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl fmt::Debug for Fed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fed").finish_non_exhaustive()
    }
}

impl PartitionStream for Fed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batches = stream::unfold(batches, |batches| async {
            let mut batches = batches?;
            let batch = batches.recv().await?;
            Some((Ok(batch), Some(batches)))
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}
