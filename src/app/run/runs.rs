//! Runs by id: the same id joins a run or gets its result, and a run that no call waits for any more is given up.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::FutureExt;
use futures::future::{Shared, ready};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::app::metrics::Metrics;
use crate::app::run::admission::{Admission, RunLimits};
use crate::app::run::broadcast::EventBroadcast;
use crate::app::run::registry::{RunRegistry, State};
use crate::app::run::telemetry::RunTelemetry;
use crate::app::run::workers::Workers;
use crate::app::upload::Upload;
use crate::component::{Asset, Component};
use crate::engine::{Engine, EngineError, Observer, RunReport, RunRequest};
use crate::error::ErrorKind;
use crate::shown::shown;

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run id belongs to another request.
    #[error(
        "the run_id `{}` was given to another request\n\
         hint: give each run an id of its own, and the same id only to repeat the same request",
        shown(.0)
    )]
    IdTaken(String),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Too many work and wait already.
    #[error(
        "the server is full: {max_runs} may work at once and {max_queued} wait\n\
         hint: try again later; the operator allows more with `serve --max-runs` and `--max-queued`"
    )]
    Full {
        /// Most that work at once.
        max_runs: usize,
        /// Most that wait.
        max_queued: usize,
    },
    /// The server no longer waits for runs.
    #[error(
        "the server stopped before the run was done; each table is whole, and as it was unless publishing had begun\nhint: try again when the server is back"
    )]
    Stopped,
    /// The engine panicked.
    #[error("the run failed through a fault of this program\nhint: the server's log says where")]
    Fault,
}

impl RunError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::IdTaken(_) => ErrorKind::InvalidComponent,
            Self::Engine(error) => error.kind(),
            Self::Full { .. } => ErrorKind::ResourceExhausted,
            Self::Stopped => ErrorKind::Unavailable,
            Self::Fault => ErrorKind::Internal,
        }
    }
}

/// A run that went well.
#[derive(Debug)]
pub struct Finished {
    /// Facts about the asset.
    pub asset: Asset,
    /// What the run did.
    pub report: RunReport,
    /// What the call brought along, which holds the table too where it is published nowhere.
    pub upload: Option<Arc<Upload>>,
}

/// What is to be run.
pub struct Job {
    /// The component.
    pub component: Component,
    /// What belongs to the run rather than to the component.
    pub run: RunRequest,
    /// Hash of the request.
    pub asked: blake3::Hash,
    /// What runs it.
    pub engine: Engine,
    /// What the call brought along.
    pub upload: Option<Arc<Upload>>,
    /// Whether the table is published, so that its result is worth keeping.
    pub published: bool,
}

/// How a run ended, for all who wait for it.
pub type Outcome = Result<Arc<Finished>, Arc<RunError>>;

/// A run to wait for; when the last one of it is dropped, the run is given up.
pub type Work = Shared<Pin<Box<dyn Future<Output = Outcome> + Send>>>;

/// The runs of a server.
#[derive(Debug)]
pub struct Runs {
    engine: Engine,
    admission: Admission,
    metrics: Metrics,
    /// Cancelled when the server no longer waits for running calls.
    stop: CancellationToken,
    registry: Mutex<RunRegistry>,
    workers: Arc<Workers>,
}

impl Runs {
    /// No runs yet.
    pub fn new(
        engine: Engine,
        limits: RunLimits,
        metrics: Metrics,
        stop: CancellationToken,
        workers: Arc<Workers>,
    ) -> Self {
        Self { engine, admission: Admission::new(limits), metrics, stop, registry: Mutex::default(), workers }
    }

    /// The threads that the engine works on.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// The engine that runs.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Admits runs and explanations.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// The numbers that runs are counted in.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The run of that id, if it works or was done lately; `asked` tells whether the request was the same.
    ///
    /// # Errors
    /// Where the id belongs to another request.
    pub fn join(&self, id: &str, asked: blake3::Hash, observer: &Observer) -> Result<Option<Work>, RunError> {
        // The lock is released before the found run is looked at, see `Found`.
        let found = find_run(&mut self.lock_registry(), id, asked, observer);
        found.map_or(Ok(None), |found| found.into_work(id).map(Some))
    }

    /// Starts a run, or joins it where another call has started it meanwhile.
    ///
    /// # Errors
    /// Where the id belongs to another request, or the server is full.
    pub fn start(self: &Arc<Self>, job: Job, observer: &Observer) -> Result<Work, RunError> {
        let Job { component, run, asked, engine, upload, published } = job;
        let mut registry = self.lock_registry();
        if let Some(found) = find_run(&mut registry, &run.run_id, asked, observer) {
            drop(registry);
            return found.into_work(&run.run_id);
        }
        let place = self.admission.take_place()?;
        let events = Arc::new(EventBroadcast::default());
        events.subscribe(observer.clone());
        let token = registry.make_token();
        let (runs, id, broadcast) = (self.clone(), run.run_id.clone(), events.clone());
        let registration = Registration { runs: self.clone(), id: id.clone(), token };
        let telemetry = RunTelemetry::new(&component, &run, self.metrics.clone(), self.stop.clone());
        let span = telemetry.span();
        let task = async move {
            let output = crate::engine::output_place(&component);
            // Dropped last, so that the next writer finds the output free even where this run is given up.
            let _turn = runs.admission.wait_for_turn(place, output).await;
            telemetry.start();
            let recorder = telemetry.recorder();
            let observer: Observer = Arc::new(move |event| {
                recorder.record(&event);
                broadcast.send(&event);
            });
            let outcome = engine.materialize(&component, &run, &observer).await;
            telemetry.finish(outcome.as_ref());
            let outcome = match outcome {
                Ok(report) => Ok(Arc::new(finish_run(&component, report, upload, published))),
                Err(error) => Err(Arc::new(RunError::from(error))),
            };
            if published {
                registration.finish(&outcome);
            }
            outcome
        };
        let (stop, workers) = (self.stop.clone(), self.workers.handle().clone());
        let work = async move {
            // A task of its own, so that a panic in the engine becomes an answer instead of a call that just ends.
            let mut tasks = JoinSet::new();
            tasks.spawn_on(task.instrument(span), &workers);
            tokio::select! {
                () = stop.cancelled() => Err(Arc::new(RunError::Stopped)),
                joined = tasks.join_next() => match joined {
                    Some(Ok(outcome)) => outcome,
                    Some(Err(_)) | None => Err(Arc::new(RunError::Fault)),
                },
            }
        };
        let work: Work = (Box::pin(work) as Pin<Box<dyn Future<Output = Outcome> + Send>>).shared();
        if let Some(weak) = work.downgrade() {
            registry.insert(id, asked, token, State::Works(weak, events));
        }
        Ok(work)
    }

    fn lock_registry(&self) -> MutexGuard<'_, RunRegistry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn finish_run(component: &Component, mut report: RunReport, upload: Option<Arc<Upload>>, published: bool) -> Finished {
    if !published {
        // The caller cannot use this path, and the file is removed soon.
        report.output.path.clear();
    }
    // The upload is needed no longer, unless the table lies in its folder.
    Finished { asset: component.asset().clone(), report, upload: upload.filter(|_| !published) }
}

/// A run that was found under an id.
///
/// It may be the last owner of the run, and dropping it then removes the run's entry, which locks the registry: it must
/// outlive the lock under which it was found.
enum Found {
    /// The run that was asked for.
    Same(Work),
    /// The run of another request.
    Other(#[expect(dead_code, reason = "held until the lock is released")] Option<Work>),
}

impl Found {
    fn into_work(self, id: &str) -> Result<Work, RunError> {
        match self {
            Self::Same(work) => Ok(work),
            Self::Other(_) => Err(RunError::IdTaken(id.to_owned())),
        }
    }
}

fn find_run(registry: &mut RunRegistry, id: &str, asked: blake3::Hash, observer: &Observer) -> Option<Found> {
    registry.forget_old(Instant::now());
    let entry = registry.get(id)?;
    let same = entry.asked == asked;
    match &entry.state {
        State::Works(work, events) => {
            // None where it was given up, though its task may not have ended: a new run waits for it at the output.
            let work = work.upgrade()?;
            if !same {
                return Some(Found::Other(Some(work)));
            }
            events.subscribe(observer.clone());
            Some(Found::Same(work))
        }
        State::Done(finished, _) if same => Some(Found::Same(ready_work(finished.clone()))),
        State::Done(..) => Some(Found::Other(None)),
    }
}

fn ready_work(finished: Arc<Finished>) -> Work {
    (Box::pin(ready(Ok(finished))) as Pin<Box<dyn Future<Output = Outcome> + Send>>).shared()
}

/// A run's entry, which is removed when its task ends in whatever way, but for a result that is kept.
struct Registration {
    runs: Arc<Runs>,
    id: String,
    token: u64,
}

impl Registration {
    fn finish(&self, outcome: &Outcome) {
        self.runs.lock_registry().end_run(&self.id, self.token, outcome.as_ref().ok().cloned(), Instant::now());
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.runs.lock_registry().end_run(&self.id, self.token, None, Instant::now());
    }
}
