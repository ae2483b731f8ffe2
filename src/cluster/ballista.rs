//! Ballista: a session whose plans a scheduler runs, jobs that end with the run that asked for them, errors made clear.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::config::{BALLISTA_CLIENT_PULL, BallistaConfig};
use ballista_core::execution_plans::DistributedQueryExec;
use ballista_core::extension::{SessionConfigExt, SessionStateExt};
use ballista_core::serde::protobuf::CancelJobParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion_proto::protobuf::LogicalPlanNode;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::{ClusterConfig, ClusterError};
use crate::error::ErrorKind;
use crate::io::context::RunContext;
use crate::io::store::upload::Open;

/// How long a scheduler may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Bytes of its answer that are read.
const LONGEST: u64 = 4096;

const UNREACHABLE: &str = "start one, `ballista-scheduler`, or check `--scheduler df://HOST:PORT`";
const NOT_READY: &str = "start executors, `ballista-executor --scheduler-host ... --scheduler-port ...`, and run again";

/// Characters of what it says that are told: a task's failure may have its whole plan in it.
const SAID: usize = 400;

const STUCK: &str = "raise --job-timeout; a job never ends where an executor was lost and the scheduler hands tasks out, so \
                     that both had better have the policy pull-staged";

const LOGS: &str = "the logs of the scheduler and of its executors say more; the output is as it was";

/// What a message has in it that tells what it is about; the first that fits counts.
const ABOUT: [(&str, ErrorKind, &str); 10] = [
    ("cannot be used with", ErrorKind::Unavailable, "run a scheduler and executors of Ballista 55, as this build has"),
    (
        "rejected by executor",
        ErrorKind::Unavailable,
        "the executors' logs say what they do not know; `--engine local` does",
    ),
    ("Resources exhausted", ErrorKind::ResourceExhausted, "raise --partitions, or give the executors more memory"),
    ("No space left", ErrorKind::ResourceExhausted, "free space in the executors' --work-dir, or add executors"),
    ("executors were lost", ErrorKind::Unavailable, "start executors and run again; the output is as it was"),
    (
        "No suitable object store",
        ErrorKind::InvalidInput,
        "executors need a client for that store; Ballista's own have s3",
    ),
    ("Permission denied", ErrorKind::Denied, "let the user that executors run as read the inputs"),
    ("No such file", ErrorKind::InvalidInput, "put the inputs where all executors see them under one path"),
    (
        "Parquet error",
        ErrorKind::InvalidInput,
        "check the inputs with `customer-health validate`, or run with `--engine local`",
    ),
    (
        "Arrow error",
        ErrorKind::InvalidInput,
        "check the inputs with `customer-health validate`, or run with `--engine local`",
    ),
];

/// The metric that a plan has once its job has ended well.
const DONE: &str = "job_execution_time_ms";

/// The same session, whose plans the cluster runs.
///
/// # Errors
/// Where no scheduler answers at its address, or it has no executors: a job would wait for them without an end.
pub async fn session(state: &SessionState, config: &ClusterConfig) -> std::result::Result<SessionState, ClusterError> {
    let unavailable = |reason, hint| {
        let scheduler = config.scheduler().to_owned();
        ClusterError { scheduler, reason, hint, kind: ErrorKind::Unavailable }
    };
    let unreachable = |reason| unavailable(format!("cannot be reached: {reason}"), UNREACHABLE);
    match timeout(ANSWER, readiness(config.scheduler())).await {
        // One that knows no such question is asked for its version with the first job.
        Ok(Ok(answer)) if answer.starts_with("503") => {
            return Err(unavailable(format!("is not ready for jobs: {answer}"), NOT_READY));
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable(format!("no answer within {} seconds", ANSWER.as_secs()))),
    }
    let upgraded = state.clone().upgrade_for_ballista(format!("http://{}", config.scheduler()));
    let mut state = upgraded.map_err(|error| unreachable(error.strip_backtrace()))?;
    let options = state.config_mut();
    *options = options
        .clone()
        // Asked for its state, a job has an id from its first moment, by which it can be cancelled.
        .set_bool(BALLISTA_CLIENT_PULL, true)
        // A job that is planned anew at each stage does not recover from the loss of an executor (55.0).
        .with_ballista_adaptive_query_planner(false)
        .with_target_partitions(config.partitions);
    Ok(state)
}

/// What a scheduler says of itself, as the status of HTTP and a line of text.
async fn readiness(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: scheduler\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().and_then(|line| line.split_once(' ')).map_or("", |(_, status)| status);
    Ok(format!("{status}, {}", answer.lines().last().unwrap_or_default()))
}

/// A job on the cluster, cancelled when this is dropped before it has ended.
pub struct Job {
    plan: Arc<dyn ExecutionPlan>,
    config: ClusterConfig,
    // From the beginning: a process that is asked to end waits for it, and so for the cancellation.
    open: Option<Open>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Job {
    /// The job that a plan is about to start, where it is a cluster's.
    pub fn of(plan: &Arc<dyn ExecutionPlan>, context: &RunContext) -> Option<Self> {
        let cluster = context.cluster()?;
        Some(Self { plan: asked(plan)?, config: cluster.config.clone(), open: Some(Open::new()) })
    }

    /// The next of its batches; the first one comes when the job has ended.
    pub async fn next(&self, batches: &mut SendableRecordBatchStream) -> Option<Result<RecordBatch, DataFusionError>> {
        match timeout(self.config.patience, batches.next()).await {
            Ok(batch) => batch.map(|batch| batch.map_err(|error| self.explain(error))),
            Err(_) => {
                let reason = format!("a job did not end within {} seconds", self.config.patience.as_secs());
                Some(Err(self.failure(reason, STUCK, ErrorKind::Unavailable)))
            }
        }
    }

    fn failure(&self, reason: String, hint: &'static str, kind: ErrorKind) -> DataFusionError {
        crate::error::external(ClusterError { scheduler: self.config.scheduler().to_owned(), reason, hint, kind })
    }

    /// What the cluster said, with the way out.
    fn explain(&self, error: DataFusionError) -> DataFusionError {
        let said = error.find_root().strip_backtrace();
        let found = ABOUT.iter().find(|(text, ..)| said.contains(text));
        let (_, kind, hint) = found.unwrap_or(&("", ErrorKind::Unavailable, LOGS));
        let line = said.lines().next().unwrap_or_default().trim_start_matches("Execution error: ");
        let reason = line.chars().take(SAID).collect();
        self.failure(reason, hint, *kind)
    }
}

type Remote = DistributedQueryExec<LogicalPlanNode>;

/// The part of a plan that asks the cluster.
fn asked(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    match plan.downcast_ref::<Remote>() {
        Some(_) => Some(plan.clone()),
        None => plan.children().into_iter().find_map(asked),
    }
}

/// Whether a session's plans run on a cluster.
pub fn is_remote(state: &SessionState) -> bool {
    state.config_options().extensions.get::<BallistaConfig>().is_some()
}

impl Drop for Job {
    fn drop(&mut self) {
        let done = self.plan.metrics().is_some_and(|metrics| metrics.sum_by_name(DONE).is_some());
        let id = self.plan.downcast_ref::<Remote>().and_then(Remote::job_id).filter(|_| !done);
        let (Some(id), Ok(runtime)) = (id, Handle::try_current()) else { return };
        let (scheduler, open) = (format!("http://{}", self.config.scheduler()), self.open.take());
        runtime.spawn(async move {
            let cancel = async {
                let mut client = SchedulerGrpcClient::connect(scheduler).await.ok()?;
                client.cancel_job(CancelJobParams { job_id: id.to_string() }).await.ok()
            };
            if !matches!(timeout(ANSWER, cancel).await, Ok(Some(_))) {
                tracing::warn!("job {id} was given up and could not be cancelled; the cluster may go on with it");
            }
            drop(open);
        });
    }
}
