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

mod culprit;
mod describe;
mod error;
mod explain;
mod fold;
mod footer;
mod population;
mod prepare;
mod profile;
mod publish;
mod query;
mod report;
mod run;
mod session;
mod source;
mod summary;
mod unique;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::memory_pool::MemoryPool;

pub use error::EngineError;
pub use publish::keys as metadata_keys;
pub use report::{
    ColumnReport, ComponentExplanation, ComponentReport, Description, Dropped, Event, Explanation, FieldOrigin,
    FieldReport, IndicatorExplanation, InputDescription, InputReport, OutputReport, RunReport, ScoreSummary, Stage,
    StageReport, StatisticReport,
};
pub use session::EngineConfig;

use crate::component::{Component, ComponentError, Format, Recipe};

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
}

impl RunRequest {
    /// A request with a new id.
    pub fn new() -> Self {
        Self { run_id: uuid::Uuid::now_v7().to_string(), as_of: None }
    }
}

impl Default for RunRequest {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs components; its memory limit holds for all runs together.
#[derive(Clone)]
pub struct Engine {
    config: EngineConfig,
    memory: Arc<dyn MemoryPool>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with these limits.
    ///
    /// # Errors
    /// Where the folder for temporary files cannot be used.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let engine = Self { memory: session::memory(&config), config };
        engine.session()?;
        Ok(engine)
    }

    /// Reads a component; where it has problems, those that only its inputs show are told with them.
    ///
    /// # Errors
    /// All problems at once. Inputs that cannot be opened are not told here.
    pub async fn component(&self, recipe: &Recipe) -> Result<Component, EngineError> {
        let (component, mut problems) = Component::with_problems(recipe);
        match component {
            Some(component) if problems.is_empty() => return Ok(component),
            Some(component) => {
                if let Err(more) = prepare::open(&component, Utc::now(), &self.session()?).await {
                    problems.extend(more.problems().iter().cloned());
                }
            }
            None => {}
        }
        Err(ComponentError::new(problems).into())
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
        run::materialize(component, request, &self.session()?, observer).await
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
        explain::explain(component, request, &self.session()?, customer_id).await
    }

    /// The logical and the physical plan of a run, as text.
    ///
    /// # Errors
    /// Whatever is wrong with the component or its inputs.
    pub async fn explain_plan(&self, component: &Component, request: &RunRequest) -> Result<String, EngineError> {
        describe::plan(component, request, &self.session()?).await
    }

    /// What a component would do: its inputs are opened and checked, their rows are not read.
    ///
    /// # Errors
    /// Whatever is wrong with the component or its inputs.
    pub async fn describe(&self, component: &Component) -> Result<Description, EngineError> {
        describe::describe(component, &self.session()?).await
    }

    /// Schema of a file, folder or glob, its format told by its name.
    ///
    /// # Errors
    /// Where it is not there or cannot be read.
    pub async fn read_schema(&self, path: &str) -> Result<SchemaRef, EngineError> {
        let source = source::Source { role: "file", path, format: Format::of_path(path), key: None };
        Ok(source.open(&self.session()?).await?.table.source.schema())
    }

    fn session(&self) -> Result<datafusion::execution::session_state::SessionState, EngineError> {
        session::new(&self.config, self.memory.clone())
    }
}
