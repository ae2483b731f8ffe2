//! Text files that DataFusion's own readers of CSV and JSON do not take, as a source of rows for its plans.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use tokio::sync::mpsc;

use super::bytes::{self, Source};
use super::fault::{TextError, failure};
use super::{Layout, TextFile, json};
use crate::error::external;

/// Batches of a file on their way to the plan.
const BATCHES: usize = 2;

/// Rows of a batch where the plan does not say.
const ROWS: usize = 8_192;

/// Text files by where they are.
#[derive(Debug, Clone)]
pub struct Files(Arc<HashMap<Path, TextFile>>);

impl Files {
    /// These files.
    pub fn new(files: &[TextFile]) -> Self {
        Self(Arc::new(files.iter().map(|file| (file.location.clone(), file.clone())).collect()))
    }
}

#[async_trait]
impl FileFormat for Files {
    fn get_ext(&self) -> String {
        String::new()
    }

    fn get_ext_with_compression(&self, _: &FileCompressionType) -> Result<String> {
        Ok(String::new())
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        None
    }

    async fn infer_schema(&self, _: &dyn Session, _: &Arc<dyn ObjectStore>, _: &[ObjectMeta]) -> Result<SchemaRef> {
        Err(DataFusionError::Internal("columns of text files are known before their table is".to_owned()))
    }

    async fn infer_stats(
        &self,
        _: &dyn Session,
        _: &Arc<dyn ObjectStore>,
        columns: SchemaRef,
        _: &ObjectMeta,
    ) -> Result<Statistics> {
        Ok(Statistics::new_unknown(&columns))
    }

    async fn create_physical_plan(&self, _: &dyn Session, scan: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(DataSourceExec::from_data_source(scan))
    }

    fn file_source(&self, columns: TableSchema) -> Arc<dyn FileSource> {
        Arc::new(TextSource {
            projection: SplitProjection::unprojected(&columns),
            columns,
            batch: ROWS,
            metrics: ExecutionPlanMetricsSet::new(),
            files: self.clone(),
        })
    }
}

#[derive(Clone)]
struct TextSource {
    columns: TableSchema,
    projection: SplitProjection,
    batch: usize,
    metrics: ExecutionPlanMetricsSet,
    files: Files,
}

impl FileSource for TextSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        _: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let file_columns = self.columns.file_schema();
        let columns = Arc::new(file_columns.project(&self.projection.file_indices)?);
        let opener = Opener { store, columns, batch: self.batch, files: self.files.clone() };
        ProjectionOpener::try_new(self.projection.clone(), Arc::new(opener), file_columns)
    }

    fn table_schema(&self) -> &TableSchema {
        &self.columns
    }

    fn with_batch_size(&self, batch: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch, ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.columns.file_schema(), &merged);
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "text"
    }

    /// Where a record begins is known to those who read from the beginning only; files are read beside one another.
    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for projected in self.projection.source.iter() {
            if f(&projected.expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }
}

struct Opener {
    store: Arc<dyn ObjectStore>,
    columns: SchemaRef,
    batch: usize,
    files: Files,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let location = &file.object_meta.location;
        let Some(file) = self.files.0.get(location).cloned() else {
            return Err(DataFusionError::Internal(format!("{location} was not looked at")));
        };
        let (store, columns, batch) = (self.store.clone(), self.columns.clone(), self.batch);
        Ok(Box::pin(async move {
            let fault = columns.fields().iter().find_map(|field| file.layout.fault_of(field.name()));
            if let Some(fault) = fault {
                return Err(external(TextError::new(&file.location, fault)));
            }
            let stored = bytes::open(&store, &file.location).await?;
            Ok(rows(file, stored, columns, batch))
        }))
    }
}

/// The rows of a file, read where waiting is allowed; who no longer asks for them ends it.
fn rows(file: TextFile, stored: Source, columns: SchemaRef, batch: usize) -> BoxStream<'static, Result<RecordBatch>> {
    let (pass, batches) = mpsc::channel(BATCHES);
    let reading = tokio::task::spawn_blocking(move || {
        let read = file.read(stored, &columns, batch, &mut |rows| pass.blocking_send(rows).is_ok());
        read.map_err(|error| told(&file.location, error))
    });
    let state = (batches, Some(reading));
    let rows = stream::unfold(state, |(mut batches, mut reading)| async move {
        if let Some(rows) = batches.recv().await {
            return Some((Ok(rows), (batches, reading)));
        }
        // What was read is a table only if it ended well.
        match reading.take()?.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some((Err(error), (batches, None))),
            Err(panicked) => Some((Err(external(panicked)), (batches, None))),
        }
    });
    rows.boxed()
}

fn told(location: &Path, error: ArrowError) -> DataFusionError {
    match error {
        ArrowError::IoError(_, error) => failure(location, error),
        other => other.into(),
    }
}

impl TextFile {
    /// Passes the rows on, batch by batch, as long as they are taken.
    fn read(
        &self,
        stored: Source,
        columns: &SchemaRef,
        batch: usize,
        take: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ArrowError> {
        let bytes = bytes::text(stored).map_err(|error| ArrowError::IoError(error.to_string(), error))?.bytes;
        match &self.layout {
            Layout::Csv(csv) => pass(csv.rows(bytes, columns, batch)?, take),
            Layout::Json(_) => pass(json::rows(bytes, columns, batch)?, take),
        }
    }
}

fn pass(
    rows: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    take: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), ArrowError> {
    for rows in rows {
        if !take(rows?) {
            break;
        }
    }
    Ok(())
}

impl fmt::Debug for TextSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextSource").finish_non_exhaustive()
    }
}
