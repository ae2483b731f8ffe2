//! `serve`: the gRPC server, until a signal or its parent's end ends it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs, lookup_host};
use tokio::sync::oneshot;

use super::args::{self, LimitArgs};
use super::engine::EngineArgs;
use super::exit::{self, Failure};
use super::logging::LogArgs;
use super::print::{self, Lines};
use super::security::{ConnectionArgs, SecurityArgs};
use super::{block_on, listen_to_signals};
use crate::app::{self, BackgroundTasks, Metrics, RunLimits};
use crate::engine::{EngineConfig, EngineError, Roots};
use crate::grpc::{self, ServeError, ServerConfig};
use crate::panics;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints `listening on http://ADDRESS` on stdout once calls are accepted. SIGINT and SIGTERM end it: health says
not-serving, new calls are refused, and running ones finish within the grace. With --until-stdin-closes the end of
standard input does the same, for programs that start a server of their own and must leave none behind.

The server reads and writes files for whoever may call it: only below the folders of --allow, once `..` and links are
followed. Object stores are closed until --allow names a prefix. On addresses that other machines can reach it wants TLS, and tokens or the callers' certificates, unless
--insecure says otherwise.

Examples:
  customer-health serve
  customer-health serve --allow /data/crm --allow /data/scores
  customer-health serve --allow /data/crm --allow s3://bucket/scores
  customer-health serve --listen 127.0.0.1:0 --memory-limit 4GiB
  customer-health serve --listen 0.0.0.0:50051 --tls-cert cert.pem --tls-key key.pem --token-file tokens
  customer-health materialize component.yaml --server http://127.0.0.1:50051")]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50051")]
    listen: String,

    /// Read and write only in this folder, or under this prefix such as s3://bucket/crm, and below (repeatable); the
    /// working directory if left out
    #[arg(long, value_name = "DIR|URI", default_value = ".", hide_default_value = true)]
    allow: Vec<PathBuf>,

    /// Runs and explanations that work at once; as many as there are processors if left out
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    max_runs: Option<usize>,

    /// Runs and explanations that wait for their turn; what comes on top is refused with RESOURCE_EXHAUSTED
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_queued: usize,

    /// Folder with components that requests may name: DIR/NAME.yaml, read again when it changes
    #[arg(long, value_name = "DIR")]
    components: Option<PathBuf>,

    /// Bytes on disk that inputs which come along with calls may take, all together; 16GiB if left out
    #[arg(long, value_name = "SIZE", value_parser = args::memory)]
    max_upload: Option<usize>,

    /// Stop as at SIGTERM when standard input ends, which it does when the process that holds its other end is gone,
    /// however it ended
    #[arg(long)]
    until_stdin_closes: bool,

    /// Seconds that running calls get to finish when the server is asked to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    engine: EngineArgs,

    #[command(flatten)]
    security: SecurityArgs,

    #[command(flatten)]
    connections: ConnectionArgs,

    #[command(flatten)]
    log: LogArgs,

    /// Answer GET /metrics with OpenMetrics text at this address, unencrypted and for anybody; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", help_heading = "Observability")]
    metrics_listen: Option<String>,
}

impl ServeArgs {
    /// Whether stderr is read by programs.
    pub fn logs_json(&self) -> bool {
        self.log.is_json()
    }
}

/// A folder that is there, from the root.
fn folder(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error| Failure::io(&format!("cannot read the folder of components {}", path.display()), &error);
    std::fs::read_dir(path).map_err(failed)?;
    path.canonicalize().map_err(failed)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "expected a number from 1".to_owned())
}

/// Serves until a signal, or the end of standard input where that was asked for, ends it.
///
/// # Errors
/// Where an address cannot be listened on, a file cannot be used, or the engine cannot be made.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    block_on(async {
        let telemetry = args.log.start()?;
        panics::log();
        let outcome = serve(args).await;
        if let Some(telemetry) = telemetry {
            telemetry.flush().await;
        }
        outcome
    })
}

async fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let security = args.security.read()?;
    let components = args.components.as_deref().map(folder).transpose()?;
    let engine = EngineConfig {
        roots: Some(Roots::new(&args.allow).map_err(EngineError::from)?),
        ..args.engine.complete(args.limits.engine())?
    };
    let addresses: Vec<SocketAddr> =
        lookup_host(&args.listen).await.map_err(|error| cannot_listen(&args.listen, &error))?.collect();
    // Looked at before anything is bound: not for a moment does it listen where it should not.
    for address in &addresses {
        security.admit(*address)?;
    }
    let (listener, address) = listen(&args.listen, &addresses[..]).await?;
    let metrics = Metrics::default();
    let measured = match &args.metrics_listen {
        Some(at) => Some(listen(at, at).await?),
        None => None,
    };
    security.warn(address);
    // Before anybody is told that it listens, and may ask it to end.
    let signalled = listen_to_signals()?;
    print::stdout(&Lines::one(format_args!("listening on {}://{address}", security.scheme())))?;
    let mut background = BackgroundTasks::default();
    if let Some((listener, address)) = measured {
        print::stdout(&Lines::one(format_args!("metrics on http://{address}/metrics")))?;
        background.spawn("the metrics server", app::serve_metrics(listener, metrics.clone()));
    }
    let limits =
        RunLimits { max_runs: args.max_runs.unwrap_or(RunLimits::default().max_runs), max_queued: args.max_queued };
    let config = ServerConfig {
        engine,
        limits,
        components,
        connections: args.connections.limits(),
        tls: security.tls,
        tokens: security.tokens,
        metrics,
        max_upload: args.max_upload.map_or(grpc::MAX_UPLOAD, |bytes| bytes as u64),
        grace: Duration::from_secs(args.grace),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = grpc::serve(listener, async { drop(stopped.await) }, config);
    let asked = async {
        tokio::select! {
            () = signalled => Ok(()),
            () = stdin_closed(), if args.until_stdin_closes => Ok(()),
        }
    };
    serve_until(asked, serving, stop, &mut background).await
}

/// Serves until the process is asked to stop, or a task in the background ends, which then is the failure that is told.
async fn serve_until(
    asked: impl Future<Output = Result<(), Failure>>,
    serving: impl Future<Output = Result<(), ServeError>>,
    stop: oneshot::Sender<()>,
    background: &mut BackgroundTasks,
) -> Result<(), Failure> {
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        outcome = &mut serving => return Ok(outcome?),
        signal = asked => {
            signal?;
            tracing::info!("asked to stop");
            None
        }
        ended = background.wait_for_end() => Some(ended),
    };
    drop(stop);
    serving.await?;
    ended.map_or(Ok(()), |ended| Err(ended.into()))
}

/// Resolves when standard input ends; what comes before is thrown away.
async fn stdin_closed() {
    let (closed, ended) = oneshot::channel::<()>();
    // A thread that nobody waits for: a read cannot be broken off, and would hold up the end of the runtime.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(closed);
    });
    drop(ended.await);
}

async fn listen(given: &str, addresses: impl ToSocketAddrs) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |error| cannot_listen(given, &error);
    let listener = TcpListener::bind(addresses).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn cannot_listen(given: &str, error: &io::Error) -> Failure {
    let hint = "hint: expected HOST:PORT that nobody else listens on, such as 127.0.0.1:50051";
    let failure = Failure::io(&format!("cannot listen on {given}"), error);
    let message = format!("{}\n{hint}", failure.message);
    // What is no address at all is a slip on the command line.
    Failure::with_code(if error.kind() == io::ErrorKind::InvalidInput { exit::USAGE } else { failure.code }, message)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn a_metrics_server_that_ends_stops_the_server_in_order_and_is_the_failure() {
        let (stop, stopped) = oneshot::channel::<()>();
        let (drained, was_drained) = oneshot::channel();
        let serving = async {
            drop(stopped.await);
            drained.send(()).unwrap();
            Ok(())
        };
        let mut background = BackgroundTasks::default();
        background.spawn("the metrics server", async { Err::<(), _>(io::Error::other("no more connections")) });
        let failure = serve_until(pending(), serving, stop, &mut background).await.unwrap_err();
        assert_eq!(failure.code, Failure::new(ErrorKind::Internal, "").code);
        assert!(failure.message.starts_with("the metrics server ended"), "{}", failure.message);
        assert!(failure.message.contains("no more connections"), "{}", failure.message);
        was_drained.await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_is_asked_to_stop_ends_well() {
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = async {
            drop(stopped.await);
            Ok(())
        };
        let outcome = serve_until(std::future::ready(Ok(())), serving, stop, &mut BackgroundTasks::default()).await;
        assert!(outcome.is_ok());
    }
}
