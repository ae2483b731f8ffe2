//! The calls: convert the request, call the service, convert the answer.

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, Span};

use super::event_stream::{Reply, WAITING_EVENTS, read_deadline, send_events_to, send_result, wait_for_deadline};
use super::upload_stream::receive_upload;
use crate::app::panic_guard::catch_panic;
use crate::app::run::runs::Work;
use crate::app::service::{Service, Validation};
use crate::app::table_stream::{CallerGone, SendTableError};
use crate::app::upload::Upload;
use crate::component::Recipe;
use crate::engine::{Observer, no_observer};
use crate::wire::answer::{
    convert_description, convert_explanation, convert_invalid, convert_scorecards, convert_unchecked, convert_valid,
};
use crate::wire::proto::component_source::Source;
use crate::wire::proto::customer_health_service_server::CustomerHealthService;
use crate::wire::proto::materialize_stream_response::Event;
use crate::wire::proto::{
    ComponentSource, Delivery, DescribeComponentRequest, DescribeComponentResponse, ExplainCustomerRequest,
    ExplainCustomerResponse, InputOverride, ListScorecardsRequest, ListScorecardsResponse, MaterializeRequest,
    MaterializeResponse, MaterializeStreamRequest, MaterializeStreamResponse, MaterializeSyncRequest,
    MaterializeSyncResponse, OutputChunk, StreamStart, ValidateComponentRequest, ValidateComponentResponse,
};
use crate::wire::report::{convert_result, convert_summary};
use crate::wire::request::{named_component, read_explain_request, read_recipe, read_request};
use crate::wire::status::{
    convert_catalog_error, convert_engine_error, convert_request_error, convert_run_error, deadline_status, read_kind,
};

/// The calls of the gRPC service.
#[derive(Debug, Clone)]
pub struct Handler(pub Service);

impl Handler {
    /// Puts the text of a component in place of its name, where the request names one of the server's own.
    fn resolve_component(&self, source: Option<ComponentSource>) -> Result<Option<ComponentSource>, Status> {
        let Some(source) = source else { return Ok(None) };
        let Some(name) = named_component(&source).map_err(|error| convert_request_error(&error))? else {
            return Ok(Some(source));
        };
        let found = self.0.catalog.find(name).map_err(|error| convert_catalog_error(&error))?;
        let (file, base_dir, text) = (found.file, found.base_dir, Some(Source::Text(found.text)));
        Ok(Some(ComponentSource { file, base_dir, source: text, variables: source.variables }))
    }

    /// The recipe of a request that asks about a component.
    fn read_recipe(
        &self,
        component: Option<ComponentSource>,
        inputs: Vec<InputOverride>,
        history: String,
    ) -> Result<Recipe, Status> {
        let recipe = read_recipe(self.resolve_component(component)?, inputs, history);
        recipe.map_err(|error| convert_request_error(&error))
    }

    /// Starts the run that is asked for, or joins the one that has its id.
    async fn start_run(&self, request: MaterializeRequest, observer: &Observer) -> Result<Work, Status> {
        let id = request.run_id.clone();
        let started = async move {
            let mut request = request;
            request.component = self.resolve_component(request.component)?;
            let asked = hash_request(&request);
            let (recipe, run) = read_request(request).map_err(|error| convert_request_error(&error))?;
            let started = self.0.start_run(recipe, run, asked, observer).await;
            started.map_err(|error| convert_run_error(&error))
        };
        started.await.map_err(|status| self.record_refusal(&id, status))
    }

    /// Counts and logs a run that was asked for and never began.
    fn record_refusal(&self, run_id: &str, status: Status) -> Status {
        let kind = read_kind(&status);
        self.0.runs.metrics().count_run(Some(kind));
        tracing::info!(run_id, reason = kind.reason(), "run refused: {}", status.message());
        status
    }

    /// Starts a run whose inputs came along, or joins the one that has its id.
    async fn start_uploaded_run(
        &self,
        start: StreamStart,
        upload: Upload,
        observer: &Observer,
    ) -> Result<Work, Status> {
        let published = !matches!(start.delivery(), Delivery::Stream);
        let mut request = start.request.unwrap_or_default();
        request.component = self.resolve_component(request.component)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(hash_request(&request).as_bytes());
        hasher.update(upload.hash().as_bytes()).update(&[u8::from(published)]);
        let (recipe, run) = read_request(request).map_err(|error| convert_request_error(&error))?;
        let started = self.0.start_uploaded_run(recipe, run, hasher.finalize(), (upload, published), observer).await;
        started.map_err(|error| convert_run_error(&error))
    }

    /// Receives the inputs, runs, and sends back the scores where that was asked for.
    async fn run_stream(
        self,
        parts: Streaming<MaterializeStreamRequest>,
        sender: &mpsc::Sender<Reply<MaterializeStreamResponse>>,
    ) -> Result<Option<MaterializeStreamResponse>, Status> {
        let received = receive_upload(parts, &self.0.uploads, self.0.engine()).await;
        let (start, upload) = received.map_err(|error| self.record_refusal("", error.to_status()))?;
        let id = start.request.as_ref().map(|request| request.run_id.clone()).unwrap_or_default();
        let sent_back = matches!(start.delivery(), Delivery::Stream | Delivery::PublishAndStream);
        let work = self.start_uploaded_run(start, upload, &send_events_to(sender.clone())).await;
        let work = work.map_err(|status| self.record_refusal(&id, status))?;
        let finished = work.await.map_err(|error| convert_run_error(&error))?;
        if sent_back {
            let sender = sender.clone();
            let send_chunk = move |data| {
                let sender = sender.clone();
                async move {
                    let event = Some(Event::Chunk(OutputChunk { data }));
                    sender.send(Ok(MaterializeStreamResponse { event })).await.map_err(|_| CallerGone)
                }
            };
            match self.0.send_scores(&finished, send_chunk).await {
                Ok(()) => {}
                Err(SendTableError::CallerGone) => return Ok(None),
                Err(SendTableError::Engine(error)) => return Err(convert_engine_error(&error)),
            }
        }
        Ok(Some(convert_result(&finished.asset, finished.report.clone()).into()))
    }
}

/// The outcome of a call, also where it panics.
async fn answer_call<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    catch_panic(call).await.unwrap_or_else(|fault| Err(convert_run_error(&fault)))
}

#[tonic::async_trait]
impl CustomerHealthService for Handler {
    type MaterializeStream = ReceiverStream<Reply<MaterializeResponse>>;
    type MaterializeStreamStream = ReceiverStream<Reply<MaterializeStreamResponse>>;

    async fn materialize(
        &self,
        request: Request<MaterializeRequest>,
    ) -> Result<Response<Self::MaterializeStream>, Status> {
        let deadline = read_deadline(request.metadata());
        let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
        let work = answer_call(self.start_run(request.into_inner(), &send_events_to(sender.clone()))).await?;
        tokio::spawn(send_result(work, sender, deadline).instrument(Span::current()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn materialize_sync(
        &self,
        request: Request<MaterializeSyncRequest>,
    ) -> Result<Response<MaterializeSyncResponse>, Status> {
        // The transport keeps to the deadline of a plain call, and drops this future then or when the caller goes.
        let outcome = answer_call(self.start_run(request.into_inner().into(), &no_observer())).await?.await;
        let finished = outcome.map_err(|error| convert_run_error(&error))?;
        Ok(Response::new(convert_summary(finished.report.clone())))
    }

    async fn materialize_stream(
        &self,
        request: Request<Streaming<MaterializeStreamRequest>>,
    ) -> Result<Response<Self::MaterializeStreamStream>, Status> {
        let deadline = read_deadline(request.metadata());
        let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
        let (handler, parts) = (self.clone(), request.into_inner());
        let answer = async move {
            let last = tokio::select! {
                () = sender.closed() => return,
                () = wait_for_deadline(deadline) => Err(deadline_status()),
                outcome = answer_call(handler.run_stream(parts, &sender)) => outcome,
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
        let recipe = self.read_recipe(component, inputs, history)?;
        let validated = async {
            let validation = self.0.validate(recipe).await.map_err(|error| convert_engine_error(&error))?;
            Ok(match validation {
                Validation::Invalid(problems) => convert_invalid(&problems),
                Validation::Valid(component, description) => convert_valid(&component, description),
                Validation::Unchecked(component, note) => convert_unchecked(&component, note),
            })
        };
        Ok(Response::new(answer_call(validated).await?))
    }

    async fn describe_component(
        &self,
        request: Request<DescribeComponentRequest>,
    ) -> Result<Response<DescribeComponentResponse>, Status> {
        let DescribeComponentRequest { component, inputs, history } = request.into_inner();
        let recipe = self.read_recipe(component, inputs, history)?;
        let described = async {
            let described = self.0.describe(recipe).await.map_err(|error| convert_engine_error(&error));
            described.map(|(component, description)| convert_description(&component, description))
        };
        Ok(Response::new(answer_call(described).await?))
    }

    async fn explain_customer(
        &self,
        request: Request<ExplainCustomerRequest>,
    ) -> Result<Response<ExplainCustomerResponse>, Status> {
        let mut request = request.into_inner();
        request.component = self.resolve_component(request.component)?;
        let (recipe, run, customer) = read_explain_request(request).map_err(|error| convert_request_error(&error))?;
        let explained =
            async { self.0.explain(recipe, run, customer).await.map_err(|error| convert_run_error(&error)) };
        Ok(Response::new(convert_explanation(answer_call(explained).await?)))
    }

    async fn list_scorecards(
        &self,
        _: Request<ListScorecardsRequest>,
    ) -> Result<Response<ListScorecardsResponse>, Status> {
        Ok(Response::new(convert_scorecards()))
    }
}

/// Hash of a request without its id, so that one that the server made up can be asked for again.
fn hash_request(request: &MaterializeRequest) -> blake3::Hash {
    blake3::hash(&MaterializeRequest { run_id: String::new(), ..request.clone() }.encode_to_vec())
}
