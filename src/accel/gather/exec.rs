//! The operator: collects its input's rows once, then hands out the customers of one part after another.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{exec_err, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    SendableRecordBatchStream,
};
use futures::future::{BoxFuture, FutureExt, Shared};
use futures::{StreamExt, stream};
use tokio::task::JoinSet;

use super::collected::{Collected, Collecting};
use super::key::Hashing;
use super::meeting::Fold;
use super::piece::{Layout, Piece, Scattered};
use super::repeats::Repeats;
use crate::error::external;

/// Rows that a batch has of one part, on average: fewer would be read from here and there.
const ROWS_OF_A_SLICE: usize = 128;

/// A column behind the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The bits.
    Bits,
    /// One of the layout's values.
    Value(usize),
}

/// What an operator is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the input's columns stand.
    pub layout: Layout,
    /// What becomes of each of the layout's values.
    pub folds: Vec<Fold>,
    /// Columns behind the key.
    pub columns: Vec<Column>,
    /// Key and columns.
    pub schema: SchemaRef,
    /// Parts that customers are divided into, a power of two.
    pub parts: usize,
    /// Streams that work side by side.
    pub partitions: usize,
    /// Bytes of rows that are brought together at once while more come in, where a key is expected to have many.
    pub at_once: Option<usize>,
    /// Whether two rows of one customer whose bits overlap end the run with [`Repeats`].
    pub refuse_repeats: bool,
}

type Rows = Shared<BoxFuture<'static, Result<Arc<Collected>, Arc<DataFusionError>>>>;

/// The rows, for all streams of an operator together.
#[derive(Default)]
enum Progress {
    /// Nobody has asked for them.
    #[default]
    Before,
    /// They are being collected, or handed out.
    Rows(Rows),
    /// The last part was handed out; the rows are given up then, as plans live on.
    After,
}

/// One row per key, with what its rows' values and bits come to.
pub struct GatherExec {
    input: Arc<dyn ExecutionPlan>,
    settings: Settings,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    progress: Arc<Mutex<Progress>>,
    next_part: Arc<AtomicUsize>,
}

impl GatherExec {
    /// Gathers the rows of a plan.
    pub fn new(input: Arc<dyn ExecutionPlan>, settings: Settings) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(settings.schema.clone()),
            Partitioning::UnknownPartitioning(settings.partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            input,
            settings,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            progress: Arc::default(),
            next_part: Arc::default(),
        }
    }

    /// Whether repeated rows end the run.
    pub fn refuses_repeats(&self) -> bool {
        self.settings.refuse_repeats
    }

    /// Begins to collect the rows, or joins whoever did; `None` where they were all handed out.
    fn rows(&self, context: &Arc<TaskContext>) -> Result<Option<Rows>> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match &*progress {
            Progress::Before => {}
            Progress::Rows(rows) => return Ok(Some(rows.clone())),
            Progress::After => return Ok(None),
        }
        let Settings { layout, folds, parts, at_once, .. } = &self.settings;
        let metrics = SpillMetrics::new(&self.metrics, 0);
        let collecting = Arc::new(Collecting::new(*parts, folds, *at_once, context, metrics));
        let streams = (0..self.input.output_partitioning().partition_count())
            .map(|partition| self.input.execute(partition, context.clone()))
            .collect::<Result<Vec<_>>>()?;
        let (layout, parts) = (layout.clone(), *parts);
        let begun = async move { collect(streams, collecting, layout, parts).await.map_err(Arc::new) };
        let rows = begun.boxed().shared();
        *progress = Progress::Rows(rows.clone());
        Ok(Some(rows))
    }
}

async fn collect(
    streams: Vec<SendableRecordBatchStream>,
    collecting: Arc<Collecting>,
    layout: Layout,
    parts: usize,
) -> Result<Arc<Collected>> {
    // Dropped with the plan and the streams that wait for it, which ends the work.
    let mut work = JoinSet::new();
    for mut stream in streams {
        let (collecting, layout) = (collecting.clone(), layout.clone());
        work.spawn(async move {
            let hashing = Hashing::new();
            let scatter = |waiting: &mut Vec<Piece>| match Piece::together(mem::take(waiting))? {
                Some(piece) => collecting.add(Scattered::new(piece, &hashing, parts)?),
                None => Ok(()),
            };
            let (mut waiting, mut rows) = (Vec::<Piece>::new(), 0);
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                let piece = Piece::of(&batch, &layout)?;
                let other = waiting.last().is_some_and(|last| !last.is_like(&piece));
                if other || rows >= parts * ROWS_OF_A_SLICE {
                    scatter(&mut waiting)?;
                    rows = 0;
                }
                rows += batch.num_rows();
                waiting.push(piece);
            }
            scatter(&mut waiting)?;
            Ok::<_, DataFusionError>(())
        });
    }
    while let Some(ended) = work.join_next().await {
        ended.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
    }
    match Arc::into_inner(collecting) {
        Some(collecting) => Ok(Arc::new(collecting.done())),
        None => internal_err!("rows are collected still"),
    }
}

/// What a stream of customers needs from one batch to the next.
struct Handing {
    rows: Option<Rows>,
    progress: Arc<Mutex<Progress>>,
    settings: Settings,
    next_part: Arc<AtomicUsize>,
    batch_size: usize,
    ready: VecDeque<RecordBatch>,
}

impl Handing {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        let Some(rows) = self.rows.clone() else { return Ok(None) };
        let rows = rows.await.map_err(DataFusionError::Shared)?;
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some((batch, self)));
            }
            let part = self.next_part.fetch_add(1, Ordering::Relaxed);
            if part >= self.settings.parts {
                *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Progress::After;
                return Ok(None);
            }
            let meeting = rows.meet(part, Hashing::new()).await?;
            if self.settings.refuse_repeats && meeting.repeated != 0 {
                return Err(external(Repeats));
            }
            if meeting.overfull {
                return exec_err!("the keys of one part of the customers are more than 4 GiB");
            }
            let (keys, bits, values) = meeting.finish()?;
            let columns: Vec<ArrayRef> = std::iter::once(keys)
                .chain(self.settings.columns.iter().map(|column| match column {
                    Column::Bits => bits.clone(),
                    Column::Value(at) => values[*at].clone(),
                }))
                .collect();
            let customers = RecordBatch::try_new(self.settings.schema.clone(), columns)?;
            let starts = (0..customers.num_rows()).step_by(self.batch_size);
            self.ready.extend(starts.map(|at| customers.slice(at, self.batch_size.min(customers.num_rows() - at))));
        }
    }
}

impl ExecutionPlan for GatherExec {
    fn name(&self) -> &'static str {
        "GatherExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // Its input's partitions are inputs of the run, which are read side by side as they are.
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children)
            .or_else(|children| internal_err!("GatherExec has one input, not {}", children.len()))?;
        Ok(Arc::new(Self::new(input, self.settings.clone())))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let handing = Handing {
            rows: self.rows(&context)?,
            progress: self.progress.clone(),
            settings: self.settings.clone(),
            next_part: self.next_part.clone(),
            batch_size: context.session_config().batch_size(),
            ready: VecDeque::new(),
        };
        let batches = stream::try_unfold(handing, Handing::next);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.settings.schema.clone(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

impl DisplayAs for GatherExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatherExec: parts={}", self.settings.parts)
    }
}

impl fmt::Debug for GatherExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatherExec")
            .field("input", &self.input)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
