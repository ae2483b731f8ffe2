//! Runs plans: opens inputs, finds statistics, scores, publishes the table and reports what it did.
//!
//! ```no_run
//! # use customer_health::component::{Component, Recipe};
//! # use customer_health::engine::{Engine, EngineConfig, RunRequest, no_observer};
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let component = Component::new(&Recipe::read("component.yaml".as_ref())?)?;
//! let engine = Engine::new(EngineConfig::default())?;
//! let report = engine.materialize(&component, &RunRequest::new(), &no_observer()).await?;
//! println!("{} customers in {}", report.customers, report.output.path);
//! # Ok(())
//! # }
//! ```

mod blame;
mod broken;
mod check;
mod culprit;
mod describe;
mod error;
mod explain;
mod facts;
mod fan_out;
mod fold;
mod footer;
mod grouped;
mod limits;
mod lineage;
mod places;
mod population;
mod prepare;
mod profile;
mod query;
mod report;
mod row_ids;
mod run;
pub(crate) mod session;
mod stages;
mod summary;
mod table;
mod trend;
mod undivided;
mod uniqueness;
mod unmapped;
mod version;
mod work;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::execute_stream;

pub use crate::accel::gather::JoinReport;
pub use crate::cluster::{ClusterConfig, ClusterError, NO_BALLISTA};
pub use crate::intake::ipc::TakeRoom;
pub use crate::io::IoError;
pub use crate::io::output::keys as metadata_keys;
pub use crate::io::roots::{Roots, output_place};
pub use crate::io::scratch::file as scratch_file;
pub use crate::io::store::StoreOptions;
pub use crate::io::store::upload::uploads_ended;
pub use check::{Check, Severity};
pub use error::EngineError;
pub use report::{
    ComponentExplanation, ComponentReport, Description, Dropped, Event, Explanation, FieldOrigin, FieldReport,
    IndicatorExplanation, InputDescription, InputReport, RunReport, ScoreSummary, Stage, StageReport, StatisticReport,
};
pub use session::EngineConfig;
pub use table::{ColumnLineage, ColumnReport, OutputReport, SourceColumn, columns_of_scores};

use crate::component::{Component, ComponentError, Format, Problem, Recipe, read_text};
use crate::intake::ipc::Intake;
use crate::io::context::RunContext;
use crate::io::roots;
use crate::io::scratch::rewrite_stream;
use crate::io::source::Source;

/// Is told what happens while a run works.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

/// Tells nobody.
pub fn no_observer() -> Observer {
    Arc::new(|_| {})
}

/// What belongs to one run rather than to the component.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// Id of the run.
    pub run_id: String,
    /// End of the analysis period; the run's start if not given.
    pub as_of: Option<DateTime<Utc>>,
    /// Partition that the run is for, as the orchestrator names it; for the record.
    pub partition_key: Option<String>,
    /// Facts for the record.
    pub tags: BTreeMap<String, String>,
    /// Whether to read the published table once more and check it.
    pub checks: bool,
    /// Whether a table without customers may take the place of one that has some.
    pub allow_empty: bool,
    /// Rows of the published table that the report shows; fewer where they would take more than 1 MiB as JSON.
    pub preview_rows: usize,
}

impl RunRequest {
    /// A request with a new id.
    pub fn new() -> Self {
        Self {
            run_id: uuid::Uuid::now_v7().to_string(),
            as_of: None,
            partition_key: None,
            tags: BTreeMap::new(),
            checks: false,
            allow_empty: false,
            preview_rows: 0,
        }
    }
}

impl Default for RunRequest {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs components; its limits of memory and disk hold for all runs together.
#[derive(Clone)]
pub struct Engine {
    config: EngineConfig,
    shared: Arc<session::Shared>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with these limits; what killed ones left among the temporary files is removed.
    ///
    /// # Errors
    /// Where the folder for temporary files cannot be used.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        Ok(Self { shared: Arc::new(session::Shared::new(&config)?), config })
    }

    /// Reads a component; where it has problems, those that only its inputs show are told with them.
    ///
    /// # Errors
    /// All problems at once. Inputs that cannot be opened are not told here.
    pub async fn component(&self, recipe: &Recipe) -> Result<Component, EngineError> {
        let (component, mut problems) = self.read(recipe)?;
        if let Some(component) = &component {
            self.admit(component)?;
        }
        match component {
            Some(component) if problems.is_empty() => return Ok(component),
            Some(component) => {
                if let Err(more) = prepare::open(&component, Utc::now(), &self.context()?).await {
                    problems.extend(more.problems().iter().cloned());
                }
            }
            None => {}
        }
        Err(ComponentError::new(problems).into())
    }

    /// Reads a component, and no scorecard file that lies outside of where the engine may read.
    fn read(&self, recipe: &Recipe) -> Result<(Option<Component>, Vec<Problem>), EngineError> {
        let Some(roots) = &self.config.roots else { return Ok(Component::with_problems(recipe)) };
        let refused = RefCell::new(None);
        let read_file = |path: &Path| {
            roots.admit_file("scorecard", path).map_err(|error| {
                refused.replace(Some(error));
                io::Error::from(io::ErrorKind::PermissionDenied)
            })?;
            read_text(path)
        };
        let read = Component::with_problems_reading(recipe, &read_file);
        refused.into_inner().map_or(Ok(read), |error| Err(error.into()))
    }

    /// Refuses a component whose paths lead out of where the engine may read and write.
    fn admit(&self, component: &Component) -> Result<(), EngineError> {
        Ok(roots::admit(self.config.roots.as_ref(), component)?)
    }

    /// Scores the customers and publishes the table.
    ///
    /// Dropping the future stops the work and leaves the output as it was.
    ///
    /// # Errors
    /// Whatever is wrong with the component, its inputs or its output; the output is then as it was.
    pub async fn materialize(
        &self,
        component: &Component,
        request: &RunRequest,
        observer: &Observer,
    ) -> Result<RunReport, EngineError> {
        self.admit(component)?;
        run::materialize(component, request, &self.context()?, observer).await
    }

    /// Takes one customer's score apart.
    ///
    /// # Errors
    /// Whatever is wrong with the component or its inputs; [`EngineError::NoCustomer`] where no input has the customer.
    pub async fn explain(
        &self,
        component: &Component,
        request: &RunRequest,
        customer_id: &str,
    ) -> Result<Explanation, EngineError> {
        self.admit(component)?;
        explain::explain(component, request, &self.context()?, customer_id).await
    }

    /// The logical and the physical plan of a run, as text.
    ///
    /// # Errors
    /// Whatever is wrong with the component or its inputs.
    pub async fn explain_plan(&self, component: &Component, request: &RunRequest) -> Result<String, EngineError> {
        self.admit(component)?;
        describe::plan(component, request, &self.context()?).await
    }

    /// What a component would do: its inputs are opened and checked, their rows are not read.
    ///
    /// # Errors
    /// Whatever is wrong with the component or its inputs.
    pub async fn describe(&self, component: &Component) -> Result<Description, EngineError> {
        self.admit(component)?;
        describe::describe(component, &self.context()?).await
    }

    /// Schema of a file, folder or glob, its format told by its name.
    ///
    /// # Errors
    /// Where it is not there or cannot be read.
    pub async fn read_schema(&self, path: &str) -> Result<SchemaRef, EngineError> {
        let source = Source { role: "file", path, format: Format::told_by(path), key: None };
        Ok(source.open(&self.context()?).await?.table.source.schema())
    }

    /// The same engine, which may also read and write in this folder; its memory is the same.
    ///
    /// # Errors
    /// Where the folder cannot be found.
    pub fn with_root(&self, folder: &Path) -> Result<Self, EngineError> {
        let mut engine = self.clone();
        if let Some(roots) = &self.config.roots {
            engine.config.roots = Some(roots.with(folder)?);
        }
        Ok(engine)
    }

    /// Bytes that runs have reserved for grouping, sorting and joining at this moment.
    pub fn memory_reserved(&self) -> usize {
        self.shared.memory.reserved()
    }

    /// Bytes that plans wrote to disk because memory did not suffice, so far.
    pub fn spilled_bytes(&self) -> u64 {
        self.shared.spilled.bytes()
    }

    /// A folder of its own for what does not outlive a call; dropping it removes it.
    ///
    /// # Errors
    /// Where the folder for temporary files cannot be used.
    pub fn scratch(&self) -> Result<tempfile::TempDir, EngineError> {
        Ok(self.shared.workspace().scratch()?)
    }

    /// Checks an Arrow IPC stream that a stranger sent, and writes it down as an Arrow IPC file; `take` is asked for the
    /// room that it needs, which may be more than was sent.
    ///
    /// # Errors
    /// What is wrong with the stream, which `role` names, or with the disk; also where there is no room.
    pub async fn rewrite_stream(
        &self,
        role: &str,
        stream: &Path,
        to: &Path,
        take: TakeRoom,
    ) -> Result<u64, EngineError> {
        let intake = Intake { rows: session::input_limits(&self.config).rows, take };
        Ok(rewrite_stream(role, stream, to, intake).await?)
    }

    /// The rows of a table that a run has written, as they stand in the file.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn read_table(&self, path: &str) -> Result<SendableRecordBatchStream, EngineError> {
        let context = self.context()?;
        let mut session = context.session().clone();
        // Scans choose types and an order of their own otherwise, and leave the run's facts behind.
        let options = session.config_mut().options_mut();
        options.execution.parquet.schema_force_view_types = false;
        options.execution.parquet.skip_metadata = false;
        options.execution.target_partitions = 1;
        let context = context.with_session(session);
        let table = check::open(path, &context).await?;
        let internal = |error| EngineError::internal("reading the table", error);
        let plan = LogicalPlanBuilder::scan("scores", table.source, None).and_then(LogicalPlanBuilder::build);
        let plan = query::physical(&context, &plan.map_err(internal)?).await.map_err(internal)?;
        execute_stream(plan, context.session().task_ctx()).map_err(internal)
    }

    fn context(&self) -> Result<RunContext, EngineError> {
        session::new(&self.config, &self.shared)
    }
}
