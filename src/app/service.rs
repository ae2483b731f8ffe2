//! The calls of the service without a protocol: what a front end asks for, with the types of this crate.

use std::sync::Arc;

use tracing::{Instrument, Span};

use super::catalog::Catalog;
use super::run::runs::{Finished, Job, RunError, Runs, Work};
use super::table_stream::{CallerGone, SendTableError, send_table};
use super::upload::Upload;
use super::upload_quota::UploadQuota;
use crate::component::{Component, Problem, Recipe};
use crate::engine::{Description, Engine, EngineError, Explanation, Observer, RunRequest};
use crate::error::ErrorKind;

/// Name of the table in an upload's folder, where it is sent back and not published.
const UNPUBLISHED: &str = "scores.parquet";

/// What every call of a server shares.
#[derive(Debug, Clone)]
pub struct Service {
    /// The runs, by id.
    pub runs: Arc<Runs>,
    /// The components that a request may name.
    pub catalog: Arc<Catalog>,
    /// The disk that uploads may take.
    pub uploads: Arc<UploadQuota>,
}

/// What a look at a component and its inputs found.
pub enum Validation {
    /// The component is wrong.
    Invalid(Vec<Problem>),
    /// All is well, as far as can be told without reading rows.
    Valid(Box<Component>, Description),
    /// The component is right, but an input is not there yet; the text says which.
    Unchecked(Box<Component>, String),
}

impl Service {
    /// The engine that runs.
    pub fn engine(&self) -> &Engine {
        self.runs.engine()
    }

    /// Does work of the engine on the threads for runs.
    async fn work<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runs.workers().run(work.instrument(Span::current())).await
    }

    async fn read_component(&self, engine: &Engine, recipe: Recipe) -> Result<Component, EngineError> {
        let engine = engine.clone();
        self.work(async move { engine.component(&recipe).await }).await
    }

    /// Starts a run, or joins the one that has its id; `asked` is the hash of the request.
    ///
    /// # Errors
    /// Where the component is wrong, the id belongs to another request, or the server is full.
    pub async fn start_run(
        &self,
        recipe: Recipe,
        run: RunRequest,
        asked: blake3::Hash,
        observer: &Observer,
    ) -> Result<Work, RunError> {
        if let Some(work) = self.runs.join(&run.run_id, asked, observer)? {
            return Ok(work);
        }
        let engine = self.engine().clone();
        let component = self.read_component(&engine, recipe).await?;
        self.runs.start(Job { component, run, asked, engine, upload: None, published: true }, observer)
    }

    /// Starts a run whose inputs came along, or joins the one that has its id; where it is not `published`, the table stays in
    /// the upload's folder and is sent back only.
    ///
    /// # Errors
    /// As [`Self::start_run`].
    pub async fn start_uploaded_run(
        &self,
        mut recipe: Recipe,
        run: RunRequest,
        asked: blake3::Hash,
        (upload, published): (Upload, bool),
        observer: &Observer,
    ) -> Result<Work, RunError> {
        if let Some(work) = self.runs.join(&run.run_id, asked, observer)? {
            return Ok(work);
        }
        for (name, received) in upload.inputs() {
            let own = recipe.overrides.inputs.entry(name).or_default();
            (own.path, own.format) = (received.path, received.format);
        }
        if !published {
            recipe.overrides.output = Some(unpublished_path(&upload));
        }
        let engine = self.engine().with_root(upload.folder())?;
        let component = self.read_component(&engine, recipe).await?;
        let component = if published { component } else { component.without_fan_out() };
        self.runs.start(Job { component, run, asked, engine, upload: Some(Arc::new(upload)), published }, observer)
    }

    /// Sends back the scores of a run, as chunks of an Arrow IPC stream.
    ///
    /// # Errors
    /// Where the table cannot be read, or the caller has gone.
    pub async fn send_scores<F>(
        &self,
        finished: &Finished,
        send_chunk: impl FnMut(Vec<u8>) -> F + Send + 'static,
    ) -> Result<(), SendTableError>
    where
        F: Future<Output = Result<(), CallerGone>> + Send + 'static,
    {
        let (path, engine) = match &finished.upload {
            Some(upload) => {
                let engine = self.engine().with_root(upload.folder()).map_err(SendTableError::Engine)?;
                (unpublished_path(upload), engine)
            }
            None => (finished.report.output.path.clone(), self.engine().clone()),
        };
        self.work(async move { send_table(&path, &engine, send_chunk).await }).await
    }

    /// Checks a component, and the columns of its inputs.
    ///
    /// # Errors
    /// Where an input cannot be read, which is no fault of the component.
    pub async fn validate(&self, recipe: Recipe) -> Result<Validation, EngineError> {
        let engine = self.engine().clone();
        self.work(async move { validate(&engine, &recipe).await }).await
    }

    /// Describes what a component would do.
    ///
    /// # Errors
    /// Where the component is wrong, or an input cannot be read.
    pub async fn describe(&self, recipe: Recipe) -> Result<(Component, Description), EngineError> {
        let engine = self.engine().clone();
        let described = async move {
            let component = engine.component(&recipe).await?;
            let description = engine.describe(&component).await?;
            Ok((component, description))
        };
        self.work(described).await
    }

    /// Explains the score of one customer, in its turn among the runs.
    ///
    /// # Errors
    /// Where the component is wrong, the server is full, or the customer is not among the scores.
    pub async fn explain(&self, recipe: Recipe, run: RunRequest, customer: String) -> Result<Explanation, RunError> {
        let runs = self.runs.clone();
        let explained = async move {
            let component = runs.engine().component(&recipe).await?;
            let admission = runs.admission();
            let _turn = admission.wait_for_turn(admission.take_place()?, None).await;
            Ok(runs.engine().explain(&component, &run, &customer).await?)
        };
        self.work(explained).await
    }
}

fn unpublished_path(upload: &Upload) -> String {
    upload.folder().join(UNPUBLISHED).display().to_string()
}

async fn validate(engine: &Engine, recipe: &Recipe) -> Result<Validation, EngineError> {
    let component = match engine.component(recipe).await {
        Ok(component) => Box::new(component),
        Err(error) if !error.problems().is_empty() => return Ok(Validation::Invalid(error.problems().to_vec())),
        Err(error) => return Err(error),
    };
    match engine.describe(&component).await {
        Ok(description) => Ok(Validation::Valid(component, description)),
        // Inputs may come into being between now and the run.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Validation::Unchecked(component, error.to_string())),
        // A file that cannot be read is no fault of the component.
        Err(error) if error.kind() == ErrorKind::InvalidComponent && !error.problems().is_empty() => {
            Ok(Validation::Invalid(error.problems().to_vec()))
        }
        Err(error) => Err(error),
    }
}
