//! The calls: convert, call the engine, convert back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::convert;
use super::status::status;
use crate::component::Component;
use crate::engine::{Engine, EngineError, Event, Observer, RunReport, RunRequest, Stage};
use crate::error::ErrorKind;
use crate::proto::customer_health_service_server::CustomerHealthService;
use crate::proto::{MaterializeRequest, MaterializeResponse};

/// Events that wait for a slow caller; what goes beyond is left out, so that the run never waits for it.
const WAITING_EVENTS: usize = 64;

/// Places among them that row counts leave free, for stages and warnings, which are few.
const KEPT_FREE: usize = 32;

type Reply = Result<MaterializeResponse, Status>;

/// The service's calls, on one engine.
#[derive(Debug)]
pub struct Handler {
    engine: Engine,
    /// Cancelled when the server no longer waits for running calls.
    stop: CancellationToken,
}

impl Handler {
    /// Calls on this engine, until `stop` is cancelled.
    pub fn new(engine: Engine, stop: CancellationToken) -> Self {
        Self { engine, stop }
    }
}

#[tonic::async_trait]
impl CustomerHealthService for Handler {
    type MaterializeStream = ReceiverStream<Reply>;

    async fn materialize(
        &self,
        request: Request<MaterializeRequest>,
    ) -> Result<Response<Self::MaterializeStream>, Status> {
        let (recipe, run) =
            convert::request(request.into_inner()).map_err(|error| status(error.kind(), &error.to_string()))?;
        let component = self.engine.component(&recipe).await;
        let component = component.map_err(|error| status(error.kind(), &error.to_string()))?;
        let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
        tokio::spawn(supervise(self.engine.clone(), component, run, sender, self.stop.clone()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Runs until there is a result, the caller goes away, or the server stops; dropping the run cancels its work.
async fn supervise(
    engine: Engine,
    component: Component,
    run: RunRequest,
    sender: mpsc::Sender<Reply>,
    stop: CancellationToken,
) {
    let observer = observer(sender.clone());
    let asset = component.asset().clone();
    // A task of its own, so that a panic in the engine becomes an answer instead of a stream that just ends.
    let mut work: JoinSet<Result<RunReport, EngineError>> = JoinSet::new();
    work.spawn(async move { engine.materialize(&component, &run, &observer).await });
    let last = tokio::select! {
        () = sender.closed() => return,
        () = stop.cancelled() => {
            let hint = "the output is as it was\nhint: try again when the server is back";
            Err(status(ErrorKind::Unavailable, &format!("the server stopped before the run was done; {hint}")))
        }
        outcome = work.join_next() => match outcome {
            Some(Ok(Ok(report))) => Ok(convert::result(&asset, report)),
            Some(Ok(Err(error))) => Err(status(error.kind(), &error.to_string())),
            Some(Err(_)) | None => {
                let message = "the run failed through a fault of this program\nhint: the server's log says where";
                Err(status(ErrorKind::Internal, message))
            }
        },
    };
    // Fails only where the caller is gone, who then needs no answer.
    let _ = sender.send(last).await;
}

/// Sends events to the caller without ever making the engine wait.
fn observer(sender: mpsc::Sender<Reply>) -> Observer {
    let current = AtomicUsize::new(0);
    Arc::new(move |event| {
        match event {
            Event::Started(stage) => {
                let at = Stage::ALL.iter().position(|known| *known == stage);
                current.store(at.unwrap_or_default(), Ordering::Relaxed);
            }
            Event::Rows(_) if sender.capacity() <= KEPT_FREE => return,
            Event::Rows(_) | Event::Warning(_) => {}
        }
        let stage = Stage::ALL.get(current.load(Ordering::Relaxed)).copied().unwrap_or(Stage::Open);
        // A full channel means that the caller reads slowly: this may be left out, the report has all warnings.
        let _ = sender.try_send(Ok(convert::event(event, stage)));
    })
}
