//! The calls: convert, call the engine, convert back.

use std::sync::Arc;

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::runs::{Runs, Work};
use super::status::{of_engine, of_request, of_run};
use super::stream::{Reply, WAITING_EVENTS, deadline, deliver, observer};
use super::{convert_answer, convert_report, convert_request};
use crate::component::Recipe;
use crate::engine::{Engine, Observer, no_observer};
use crate::error::ErrorKind;
use crate::proto::customer_health_service_server::CustomerHealthService;
use crate::proto::{
    DescribeComponentRequest, DescribeComponentResponse, ExplainCustomerRequest, ExplainCustomerResponse,
    ListScorecardsRequest, ListScorecardsResponse, MaterializeRequest, MaterializeSyncRequest, MaterializeSyncResponse,
    ValidateComponentRequest, ValidateComponentResponse,
};

/// The service's calls, on one engine.
#[derive(Debug)]
pub struct Handler {
    runs: Arc<Runs>,
}

impl Handler {
    /// Calls that share these runs.
    pub fn new(runs: Runs) -> Self {
        Self { runs: Arc::new(runs) }
    }

    fn engine(&self) -> &Engine {
        self.runs.engine()
    }

    /// Starts the run that is asked for, or joins the one that has its id.
    async fn run(&self, request: MaterializeRequest, observer: &Observer) -> Result<Work, Status> {
        // Without the id, so that one that the server made up can be asked for again.
        let anonymous = MaterializeRequest { run_id: String::new(), ..request.clone() };
        let asked = blake3::hash(&anonymous.encode_to_vec());
        let (recipe, run) = convert_request::request(request).map_err(|error| of_request(&error))?;
        if let Some(work) = self.runs.join(&run.run_id, asked, observer).map_err(|error| of_run(&error))? {
            return Ok(work);
        }
        let component = self.engine().component(&recipe).await.map_err(|error| of_engine(&error))?;
        self.runs.start(component, run, asked, observer).map_err(|error| of_run(&error))
    }

    /// What is wrong with a component and its inputs, or that nothing is.
    async fn validate(&self, recipe: &Recipe) -> Result<ValidateComponentResponse, Status> {
        let component = match self.engine().component(recipe).await {
            Ok(component) => component,
            Err(error) if !error.problems().is_empty() => return Ok(convert_answer::invalid(error.problems())),
            Err(error) => return Err(of_engine(&error)),
        };
        match self.engine().describe(&component).await {
            Ok(description) => Ok(convert_answer::valid(description)),
            Err(error) if !error.problems().is_empty() => Ok(convert_answer::invalid(error.problems())),
            // Inputs may come into being between now and the run.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(convert_answer::unchecked(&component, error.to_string()))
            }
            Err(error) => Err(of_engine(&error)),
        }
    }
}

#[tonic::async_trait]
impl CustomerHealthService for Handler {
    type MaterializeStream = ReceiverStream<Reply>;

    async fn materialize(
        &self,
        request: Request<MaterializeRequest>,
    ) -> Result<Response<Self::MaterializeStream>, Status> {
        let deadline = deadline(request.metadata());
        let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
        let work = self.run(request.into_inner(), &observer(sender.clone())).await?;
        tokio::spawn(deliver(work, sender, deadline));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn materialize_sync(
        &self,
        request: Request<MaterializeSyncRequest>,
    ) -> Result<Response<MaterializeSyncResponse>, Status> {
        // The transport keeps to the deadline of a plain call, and drops this future then or when the caller goes.
        let outcome = self.run(request.into_inner().into(), &no_observer()).await?.await;
        let finished = outcome.map_err(|error| of_run(&error))?;
        Ok(Response::new(convert_report::summary(finished.report.clone())))
    }

    async fn validate_component(
        &self,
        request: Request<ValidateComponentRequest>,
    ) -> Result<Response<ValidateComponentResponse>, Status> {
        let ValidateComponentRequest { component, inputs } = request.into_inner();
        let recipe = convert_request::recipe(component, inputs).map_err(|error| of_request(&error))?;
        Ok(Response::new(self.validate(&recipe).await?))
    }

    async fn describe_component(
        &self,
        request: Request<DescribeComponentRequest>,
    ) -> Result<Response<DescribeComponentResponse>, Status> {
        let DescribeComponentRequest { component, inputs } = request.into_inner();
        let recipe = convert_request::recipe(component, inputs).map_err(|error| of_request(&error))?;
        let component = self.engine().component(&recipe).await.map_err(|error| of_engine(&error))?;
        let description = self.engine().describe(&component).await.map_err(|error| of_engine(&error))?;
        Ok(Response::new(convert_answer::description(&component, description)))
    }

    async fn explain_customer(
        &self,
        request: Request<ExplainCustomerRequest>,
    ) -> Result<Response<ExplainCustomerResponse>, Status> {
        let (recipe, run, customer) =
            convert_request::explain(request.into_inner()).map_err(|error| of_request(&error))?;
        let component = self.engine().component(&recipe).await.map_err(|error| of_engine(&error))?;
        let admission = self.runs.admission();
        let place = admission.enter().map_err(|error| of_run(&error))?;
        let _turn = admission.turn(place, None).await;
        let explanation =
            self.engine().explain(&component, &run, &customer).await.map_err(|error| of_engine(&error))?;
        Ok(Response::new(convert_answer::explanation(explanation)))
    }

    async fn list_scorecards(
        &self,
        _: Request<ListScorecardsRequest>,
    ) -> Result<Response<ListScorecardsResponse>, Status> {
        Ok(Response::new(convert_answer::scorecards()))
    }
}
