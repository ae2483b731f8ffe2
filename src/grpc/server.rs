//! Serves calls on a listener until told to stop, then lets running calls finish.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::Either;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use crate::app::catalog::Catalog;
use crate::app::connection::accept::{Connections, accepted, encrypted};
use crate::app::connection::time_limit::Timed;
use crate::app::connection::tls::Tls;
use crate::app::connection::tokens::Tokens;
use crate::app::file_watch;
use crate::app::metrics::{Metrics, Reading};
use crate::app::run::admission::Limits;
use crate::app::run::runs::Runs;
use crate::app::run::workers::Workers;
use crate::app::upload::Room;
use crate::engine::{Engine, EngineConfig, EngineError, uploads_ended};
use crate::error::ErrorKind;
use crate::grpc::handler::Handler;
use crate::grpc::interceptor::Guarded;
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
    pub limits: Limits,
    /// Folder with the components that requests may name.
    pub components: Option<PathBuf>,
    /// Limits of connections and messages.
    pub connections: Connections,
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
            limits: Limits::default(),
            components: None,
            connections: Connections::default(),
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
            Self::Transport(_) => ErrorKind::Unavailable,
        }
    }
}

/// Serves the service, health and reflection until `shutdown` resolves, then drains.
///
/// Once shutdown begins, health says not-serving, new calls are refused, and running ones have `config.grace` to
/// finish before they are cancelled.
///
/// # Errors
/// Where the engine cannot be made or the listener fails.
pub async fn run(
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
    let (runs, room) = (Arc::new(runs), Arc::new(Room::new(config.max_upload)));
    watch_numbers(&config.metrics, &runs, &room);
    let catalog = Arc::new(Catalog::new(config.components));
    let (reporter, health) = health_reporter();
    let mut watching = JoinSet::new();
    if catalog.folder().is_some() {
        watching.spawn(file_watch::watch(catalog.clone(), reporter.clone()));
    }
    let ServerConfig { connections, tokens, .. } = config;
    if let Some(tokens) = tokens.clone() {
        watching.spawn(file_watch::often(move || tokens.refresh()));
    }
    if let Some(tls) = config.tls.clone() {
        watching.spawn(file_watch::often(move || tls.refresh()));
    }
    let service = CustomerHealthServiceServer::new(Handler::new(runs, catalog, room))
        .max_decoding_message_size(connections.max_message_size);
    report(&reporter, ServingStatus::Serving).await;
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Clients older than v1, such as grpcurl 1.8.6, ask by the old name only.
    let (reflection, old_reflection) = (described().build_v1()?, described().build_v1alpha()?);
    let signal = async {
        shutdown.await;
        report(&reporter, ServingStatus::NotServing).await;
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
        // Whoever asks whether the server lives, such as kubelet, has no token.
        .add_service(health)
        .add_service(Guarded::new(reflection, tokens.clone()))
        .add_service(Guarded::new(old_reflection, tokens.clone()))
        .add_service(Guarded::new(service, tokens));
    let (accepted, patience) = (accepted(listener, connections), connections.keepalive_timeout);
    let serving = match config.tls {
        Some(tls) => {
            let encrypted = encrypted(accepted, tls, connections).map(move |connection| in_time(connection, patience));
            Either::Left(router.serve_with_incoming_shutdown(encrypted, signal))
        }
        None => Either::Right(
            router.serve_with_incoming_shutdown(accepted.map(move |connection| in_time(connection, patience)), signal),
        ),
    };
    let outcome = until_drained(serving, &draining, &stop, config.grace).await;
    let _ = tokio::time::timeout(FAREWELL, uploads_ended()).await;
    drop(workers);
    outcome
}

/// Serves until all calls are answered, or the grace is over and those that work were given up.
async fn until_drained(
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

fn in_time<C>(connection: io::Result<C>, patience: Duration) -> io::Result<Timed<C>> {
    connection.map(|connection| Timed::beginning(connection, patience))
}

/// Lets the numbers be looked up as long as the server is there.
fn watch_numbers(metrics: &Metrics, runs: &Arc<Runs>, room: &Arc<Room>) {
    let (runs, room) = (Arc::downgrade(runs), Arc::downgrade(room));
    metrics.look_at(move || {
        let (Some(runs), Some(room)) = (runs.upgrade(), room.upgrade()) else { return Reading::default() };
        let (running, queued) = runs.admission().load();
        let (uploaded, upload_held) = room.bytes();
        let (memory, spilled) = (runs.engine().memory_reserved(), runs.engine().spilled_bytes());
        Reading { running, queued, memory, spilled, uploaded, upload_held }
    });
}

async fn report(reporter: &HealthReporter, status: ServingStatus) {
    reporter.set_service_status("", status).await;
    reporter.set_service_status(CustomerHealthServiceServer::<Handler>::NAME, status).await;
}
