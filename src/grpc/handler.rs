//! The calls: convert, call the engine, convert back.

use std::sync::Arc;

use futures::TryFutureExt;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, Span};

use crate::app::catalog::Catalog;
use crate::app::panic_guard::guarded;
use crate::app::run::runs::{Job, RunError, Runs, Work};
use crate::app::table_stream::{self, DeliveryError};
use crate::app::upload::{Room, Upload};
use crate::component::{Component, Recipe};
use crate::engine::{Engine, Observer, no_observer};
use crate::error::ErrorKind;
use crate::grpc::event_stream::{Reply, WAITING_EVENTS, deadline, deliver, observer, passed};
use crate::wire::answer as convert_answer;
use crate::wire::proto::customer_health_service_server::CustomerHealthService;
use crate::wire::proto::{
    ComponentSource, Delivery, DescribeComponentRequest, DescribeComponentResponse, ExplainCustomerRequest,
    ExplainCustomerResponse, ListScorecardsRequest, ListScorecardsResponse, MaterializeRequest, MaterializeResponse,
    MaterializeStreamRequest, MaterializeStreamResponse, MaterializeSyncRequest, MaterializeSyncResponse, StreamStart,
    ValidateComponentRequest, ValidateComponentResponse,
};
use crate::wire::report as convert_report;
use crate::wire::request as convert_request;
use crate::wire::status::{kind, late, of_catalog, of_engine, of_request, of_run, of_upload};

/// The service's calls, on one engine.
#[derive(Debug, Clone)]
pub struct Handler {
    runs: Arc<Runs>,
    catalog: Arc<Catalog>,
    room: Arc<Room>,
}

/// Name of the table in a call's own folder, where it is only sent back.
const UNPUBLISHED: &str = "scores.parquet";

impl Handler {
    /// Calls that share these runs, components, and this room for uploads.
    pub fn new(runs: Arc<Runs>, catalog: Arc<Catalog>, room: Arc<Room>) -> Self {
        Self { runs, catalog, room }
    }

    fn engine(&self) -> &Engine {
        self.runs.engine()
    }

    /// Does the engine's work on the engine's threads.
    async fn at_work<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runs.workers().run(work.instrument(Span::current())).await
    }

    /// Reads a component.
    async fn component(&self, engine: &Engine, recipe: Recipe) -> Result<Component, Status> {
        let engine = engine.clone();
        let read = self.at_work(async move { engine.component(&recipe).await }).await;
        read.map_err(|error| of_engine(&error))
    }

    /// The component's text, where the request names one of the server's own.
    fn resolve(&self, component: Option<ComponentSource>) -> Result<Option<ComponentSource>, Status> {
        component.map(|source| self.catalog.resolve(source)).transpose().map_err(|error| of_catalog(&error))
    }

    /// Starts the run that is asked for, or joins the one that has its id.
    async fn run(&self, request: MaterializeRequest, observer: &Observer) -> Result<Work, Status> {
        let id = request.run_id.clone();
        self.start(request, observer).await.map_err(|status| self.refused(&id, status))
    }

    /// Counts and logs a run that was asked for and never began.
    fn refused(&self, run_id: &str, status: Status) -> Status {
        let kind = kind(&status);
        self.runs.metrics().ended(Some(kind));
        tracing::info!(run_id, reason = kind.reason(), "run refused: {}", status.message());
        status
    }

    async fn start(&self, mut request: MaterializeRequest, observer: &Observer) -> Result<Work, Status> {
        request.component = self.resolve(request.component)?;
        let asked = hash(&request);
        let (recipe, run) = convert_request::request(request).map_err(|error| of_request(&error))?;
        if let Some(work) = self.runs.join(&run.run_id, asked, observer).map_err(|error| of_run(&error))? {
            return Ok(work);
        }
        let engine = self.engine().clone();
        let component = self.component(&engine, recipe).await?;
        let job = Job { component, run, asked, engine, upload: None, published: true };
        self.runs.start(job, observer).map_err(|error| of_run(&error))
    }

    /// The same with inputs that came along.
    async fn start_upload(&self, start: StreamStart, upload: Upload, observer: &Observer) -> Result<Work, Status> {
        let published = !matches!(start.delivery(), Delivery::Stream);
        let mut request = start.request.unwrap_or_default();
        request.component = self.resolve(request.component)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(hash(&request).as_bytes()).update(upload.hash().as_bytes()).update(&[u8::from(published)]);
        let asked = hasher.finalize();
        let (mut recipe, run) = convert_request::request(request).map_err(|error| of_request(&error))?;
        if let Some(work) = self.runs.join(&run.run_id, asked, observer).map_err(|error| of_run(&error))? {
            return Ok(work);
        }
        for (name, received) in upload.inputs() {
            let own = recipe.overrides.inputs.entry(name).or_default();
            (own.path, own.format) = (received.path, received.format);
        }
        if !published {
            recipe.overrides.output = Some(upload.folder().join(UNPUBLISHED).display().to_string());
        }
        let engine = self.engine().with_root(upload.folder()).map_err(|error| of_engine(&error))?;
        let component = self.component(&engine, recipe).await?;
        let component = if published { component } else { component.without_fan_out() };
        let job = Job { component, run, asked, engine, upload: Some(Arc::new(upload)), published };
        self.runs.start(job, observer).map_err(|error| of_run(&error))
    }

    /// Receives, runs and sends back.
    async fn stream(
        self,
        parts: Streaming<MaterializeStreamRequest>,
        sender: &mpsc::Sender<Reply<MaterializeStreamResponse>>,
    ) -> Result<Option<MaterializeStreamResponse>, Status> {
        let received = Upload::receive(parts, &self.room, self.engine()).await;
        let (start, upload) = received.map_err(|error| self.refused("", of_upload(&error)))?;
        let id = start.request.as_ref().map(|request| request.run_id.clone()).unwrap_or_default();
        let sent_back = matches!(start.delivery(), Delivery::Stream | Delivery::PublishAndStream);
        let work = self.start_upload(start, upload, &observer(sender.clone())).await;
        let work = work.map_err(|status| self.refused(&id, status))?;
        let finished = work.await.map_err(|error| of_run(&error))?;
        if sent_back {
            let (path, engine) = match &finished.upload {
                Some(upload) => {
                    let engine = self.engine().with_root(upload.folder()).map_err(|error| of_engine(&error))?;
                    (upload.folder().join(UNPUBLISHED).display().to_string(), engine)
                }
                None => (finished.report.output.path.clone(), self.engine().clone()),
            };
            let sender = sender.clone();
            match self.at_work(async move { table_stream::send(&path, &engine, &sender).await }).await {
                Ok(()) => {}
                Err(DeliveryError::Gone) => return Ok(None),
                Err(DeliveryError::Engine(error)) => return Err(of_engine(&error)),
            }
        }
        Ok(Some(convert_report::result(&finished.asset, finished.report.clone()).into()))
    }

    /// What is wrong with a component and its inputs, or that nothing is.
    async fn validate(&self, recipe: Recipe) -> Result<ValidateComponentResponse, Status> {
        let engine = self.engine().clone();
        self.at_work(async move { validate(&engine, &recipe).await }).await
    }
}

/// What is wrong with a component and its inputs, or that nothing is.
async fn validate(engine: &Engine, recipe: &Recipe) -> Result<ValidateComponentResponse, Status> {
    let component = match engine.component(recipe).await {
        Ok(component) => component,
        Err(error) if !error.problems().is_empty() => return Ok(convert_answer::invalid(error.problems())),
        Err(error) => return Err(of_engine(&error)),
    };
    match engine.describe(&component).await {
        Ok(description) => Ok(convert_answer::valid(&component, description)),
        // Inputs may come into being between now and the run.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(convert_answer::unchecked(&component, error.to_string()))
        }
        // A file that cannot be read is no fault of the component.
        Err(error) if error.kind() == ErrorKind::InvalidComponent && !error.problems().is_empty() => {
            Ok(convert_answer::invalid(error.problems()))
        }
        Err(error) => Err(of_engine(&error)),
    }
}

#[tonic::async_trait]
impl CustomerHealthService for Handler {
    type MaterializeStream = ReceiverStream<Reply<MaterializeResponse>>;
    type MaterializeStreamStream = ReceiverStream<Reply<MaterializeStreamResponse>>;

    async fn materialize(
        &self,
        request: Request<MaterializeRequest>,
    ) -> Result<Response<Self::MaterializeStream>, Status> {
        let deadline = deadline(request.metadata());
        let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
        let work = guarded(self.run(request.into_inner(), &observer(sender.clone()))).await?;
        tokio::spawn(deliver(work, sender, deadline).instrument(Span::current()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn materialize_sync(
        &self,
        request: Request<MaterializeSyncRequest>,
    ) -> Result<Response<MaterializeSyncResponse>, Status> {
        // The transport keeps to the deadline of a plain call, and drops this future then or when the caller goes.
        let outcome = guarded(self.run(request.into_inner().into(), &no_observer())).await?.await;
        let finished = outcome.map_err(|error| of_run(&error))?;
        Ok(Response::new(convert_report::summary(finished.report.clone())))
    }

    async fn materialize_stream(
        &self,
        request: Request<Streaming<MaterializeStreamRequest>>,
    ) -> Result<Response<Self::MaterializeStreamStream>, Status> {
        let deadline = deadline(request.metadata());
        let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
        let (handler, parts) = (self.clone(), request.into_inner());
        let answer = async move {
            let last = tokio::select! {
                () = sender.closed() => return,
                () = passed(deadline) => Err(late()),
                outcome = guarded(handler.stream(parts, &sender)) => outcome,
            };
            if let Some(last) = last.transpose() {
                // Fails only where the caller is gone, who then needs no answer.
                let _ = sender.send(last).await;
            }
        };
        tokio::spawn(answer.instrument(Span::current()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn validate_component(
        &self,
        request: Request<ValidateComponentRequest>,
    ) -> Result<Response<ValidateComponentResponse>, Status> {
        let ValidateComponentRequest { component, inputs, history } = request.into_inner();
        let recipe = convert_request::recipe(self.resolve(component)?, inputs, history);
        let recipe = recipe.map_err(|error| of_request(&error))?;
        Ok(Response::new(guarded(self.validate(recipe)).await?))
    }

    async fn describe_component(
        &self,
        request: Request<DescribeComponentRequest>,
    ) -> Result<Response<DescribeComponentResponse>, Status> {
        let DescribeComponentRequest { component, inputs, history } = request.into_inner();
        let recipe = convert_request::recipe(self.resolve(component)?, inputs, history);
        let recipe = recipe.map_err(|error| of_request(&error))?;
        let engine = self.engine().clone();
        let described = self.at_work(async move {
            let component = engine.component(&recipe).await?;
            let description = engine.describe(&component).await?;
            Ok(convert_answer::description(&component, description))
        });
        Ok(Response::new(guarded(described.map_err(|error| of_engine(&error))).await?))
    }

    async fn explain_customer(
        &self,
        request: Request<ExplainCustomerRequest>,
    ) -> Result<Response<ExplainCustomerResponse>, Status> {
        let mut request = request.into_inner();
        request.component = self.resolve(request.component)?;
        let (recipe, run, customer) = convert_request::explain(request).map_err(|error| of_request(&error))?;
        let runs = self.runs.clone();
        let explained = self.at_work(async move {
            let component = runs.engine().component(&recipe).await?;
            let admission = runs.admission();
            let _turn = admission.turn(admission.enter()?, None).await;
            Ok(runs.engine().explain(&component, &run, &customer).await?)
        });
        let explanation = guarded(explained.map_err(|error: RunError| of_run(&error))).await?;
        Ok(Response::new(convert_answer::explanation(explanation)))
    }

    async fn list_scorecards(
        &self,
        _: Request<ListScorecardsRequest>,
    ) -> Result<Response<ListScorecardsResponse>, Status> {
        Ok(Response::new(convert_answer::scorecards()))
    }
}

/// Hash of a request without its id, so that one that the server made up can be asked for again.
fn hash(request: &MaterializeRequest) -> blake3::Hash {
    blake3::hash(&MaterializeRequest { run_id: String::new(), ..request.clone() }.encode_to_vec())
}
