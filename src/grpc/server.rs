//! Serves calls on a listener until told to stop, then lets running calls finish.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::Either;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

use super::handler::Handler;
use super::health::{report_component, report_server};
use super::interceptor::Intercepted;
use crate::app::catalog::Catalog;
use crate::app::connection::accept::{ConnectionLimits, accept_connections, encrypt_connections};
use crate::app::connection::time_limit::TimeLimited;
use crate::app::connection::tls::Tls;
use crate::app::connection::tokens::Tokens;
use crate::app::file_watch::{poll_files, watch_catalog};
use crate::app::metrics::{Metrics, Reading};
use crate::app::run::admission::RunLimits;
use crate::app::run::runs::Runs;
use crate::app::run::workers::Workers;
use crate::app::service::Service;
use crate::app::upload_quota::UploadQuota;
use crate::app::{BackgroundTasks, TaskEnded};
use crate::engine::{Engine, EngineConfig, EngineError, uploads_ended};
use crate::error::ErrorKind;
use crate::wire::proto::FILE_DESCRIPTOR_SET;
use crate::wire::proto::customer_health_service_server::CustomerHealthServiceServer;

/// How long cancelled calls get to tell their callers.
const FAREWELL: Duration = Duration::from_secs(2);

/// Most bytes of all uploads, where the operator says nothing.
pub const MAX_UPLOAD: u64 = 16 << 30;

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Limits of the engine.
    pub engine: EngineConfig,
    /// How much it does at once.
    pub limits: RunLimits,
    /// Folder with the components that requests may name.
    pub components: Option<PathBuf>,
    /// Limits of connections and messages.
    pub connections: ConnectionLimits,
    /// How it encrypts; not at all if not given.
    pub tls: Option<Tls>,
    /// Tokens of which callers need one, but for health; anybody may call if not given.
    pub tokens: Option<Tokens>,
    /// Where runs are counted.
    pub metrics: Metrics,
    /// Most bytes that the uploads of all calls may take on disk.
    pub max_upload: u64,
    /// How long running calls may take to finish after shutdown begins; then they are cancelled.
    pub grace: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            engine: EngineConfig::default(),
            limits: RunLimits::default(),
            components: None,
            connections: ConnectionLimits::default(),
            tls: None,
            tokens: None,
            metrics: Metrics::default(),
            max_upload: MAX_UPLOAD,
            grace: Duration::from_secs(30),
        }
    }
}

/// Why a server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The engine could not be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The system has no threads to give.
    #[error("threads to work on could not be started: {0}")]
    Threads(#[from] io::Error),
    /// The description of the service does not fit together.
    #[error("the service cannot describe itself: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A task that the server needs has ended.
    #[error(transparent)]
    TaskEnded(#[from] TaskEnded),
    /// Connections can no longer be accepted.
    #[error("the server stopped accepting calls: {0}")]
    Transport(#[from] tonic::transport::Error),
}

impl ServeError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Threads(_) => ErrorKind::ResourceExhausted,
            Self::Reflection(_) => ErrorKind::Internal,
            Self::TaskEnded(error) => error.kind(),
            Self::Transport(_) => ErrorKind::Unavailable,
        }
    }
}

/// Serves the service, health and reflection until `shutdown` resolves, then drains.
///
/// Once shutdown begins, health says not-serving, new calls are refused, and running ones have `config.grace` to
/// finish before they are cancelled. The same happens where a task ends that the server needs.
///
/// # Errors
/// Where the engine cannot be made, the listener fails, or a task ends that the server needs.
pub async fn serve(
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    config: ServerConfig,
) -> Result<(), ServeError> {
    let stop = CancellationToken::new();
    let draining = CancellationToken::new();
    // Held to the end: what a run that was given up leaves behind is removed by these threads.
    let workers = Arc::new(Workers::new()?);
    let engine = Engine::new(config.engine)?;
    let runs = Runs::new(engine, config.limits, config.metrics.clone(), stop.clone(), workers.clone());
    let service = Service {
        runs: Arc::new(runs),
        catalog: Arc::new(Catalog::new(config.components)),
        uploads: Arc::new(UploadQuota::new(config.max_upload)),
    };
    set_metrics_source(&config.metrics, &service);
    let (reporter, health) = health_reporter();
    let mut background = BackgroundTasks::default();
    if service.catalog.folder().is_some() {
        let reporter = reporter.clone();
        let report = move |change| report_component(reporter.clone(), change);
        background.spawn("the watch of the components", watch_catalog(service.catalog.clone(), report));
    }
    let ServerConfig { connections, tokens, tls, .. } = config;
    if let Some(tokens) = tokens.clone() {
        background.spawn("the watch of the tokens", poll_files(move || tokens.refresh()));
    }
    if let Some(tls) = tls.clone() {
        background.spawn("the watch of the certificate", poll_files(move || tls.refresh()));
    }
    let calls =
        CustomerHealthServiceServer::new(Handler(service)).max_decoding_message_size(connections.max_message_size);
    report_server(&reporter, ServingStatus::Serving).await;
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Clients older than v1, such as grpcurl 1.8.6, ask by the old name only.
    let (reflection, old_reflection) = (described().build_v1()?, described().build_v1alpha()?);
    let mut ended = None;
    let signal = async {
        ended = wait_to_drain(shutdown, &mut background).await;
        report_server(&reporter, ServingStatus::NotServing).await;
        draining.cancel();
    };
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(connections.keepalive_interval))
        .http2_keepalive_timeout(Some(connections.keepalive_timeout))
        .max_concurrent_streams(connections.max_streams);
    if let Some(age) = connections.max_age {
        server = server.max_connection_age(age);
    }
    let router = server
        // Health needs no token, because a prober such as kubelet has none.
        .add_service(health)
        .add_service(Intercepted::new(reflection, tokens.clone()))
        .add_service(Intercepted::new(old_reflection, tokens.clone()))
        .add_service(Intercepted::new(calls, tokens));
    let (accepted, patience) = (accept_connections(listener, connections), connections.keepalive_timeout);
    let serving = match tls {
        Some(tls) => {
            let encrypted = encrypt_connections(accepted, tls, connections);
            let limited = encrypted.map(move |connection| limit_handshake(connection, patience));
            Either::Left(router.serve_with_incoming_shutdown(limited, signal))
        }
        None => {
            let limited = accepted.map(move |connection| limit_handshake(connection, patience));
            Either::Right(router.serve_with_incoming_shutdown(limited, signal))
        }
    };
    let outcome = serve_until_drained(serving, &draining, &stop, config.grace).await;
    let _ = tokio::time::timeout(FAREWELL, uploads_ended()).await;
    drop(workers);
    outcome?;
    ended.map_or(Ok(()), |ended| Err(ended.into()))
}

/// Waits until the server is asked to stop, or cannot go on because a task that it needs has ended.
async fn wait_to_drain(shutdown: impl Future<Output = ()>, background: &mut BackgroundTasks) -> Option<TaskEnded> {
    tokio::select! {
        () = shutdown => None,
        ended = background.wait_for_end() => Some(ended),
    }
}

/// Serves until all calls are answered, or the grace is over and those that work were given up.
async fn serve_until_drained(
    serving: impl Future<Output = Result<(), tonic::transport::Error>>,
    draining: &CancellationToken,
    stop: &CancellationToken,
    grace: Duration,
) -> Result<(), ServeError> {
    let mut serving = std::pin::pin!(serving);
    let grace_is_over = async {
        draining.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        outcome = &mut serving => return Ok(outcome?),
        () = grace_is_over => stop.cancel(),
    }
    // What is left after this are connections without a run, such as those that watch health.
    match tokio::time::timeout(FAREWELL, serving).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Ok(()),
    }
}

fn limit_handshake<C>(connection: io::Result<C>, patience: Duration) -> io::Result<TimeLimited<C>> {
    connection.map(|connection| TimeLimited::limit_handshake(connection, patience))
}

/// Lets the metrics look up their numbers as long as the server is there.
fn set_metrics_source(metrics: &Metrics, service: &Service) {
    let (runs, uploads) = (Arc::downgrade(&service.runs), Arc::downgrade(&service.uploads));
    metrics.read_from(move || {
        let (Some(runs), Some(uploads)) = (runs.upgrade(), uploads.upgrade()) else { return Reading::default() };
        let (running, queued) = runs.admission().count_load();
        let (uploaded, upload_held) = uploads.read_bytes();
        let (memory, spilled) = (runs.engine().memory_reserved(), runs.engine().spilled_bytes());
        Reading { running, queued, memory, spilled, uploaded, upload_held }
    });
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_drains_the_server_as_a_signal_does() {
        let mut background = BackgroundTasks::default();
        assert!(wait_to_drain(ready(()), &mut background).await.is_none());
        background.spawn("the watch of the tokens", ready(()));
        let ended = ServeError::from(wait_to_drain(pending(), &mut background).await.unwrap());
        assert_eq!(ended.kind(), ErrorKind::Internal);
        assert!(ended.to_string().starts_with("the watch of the tokens ended"), "{ended}");
    }
}
