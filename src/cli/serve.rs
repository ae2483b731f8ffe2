//! `serve`: the gRPC server, until a signal ends it.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::args::LimitArgs;
use super::exit::{self, Failure};
use super::{asked_to_stop, block_on, print};
use crate::service::{self, ServerConfig};

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints `listening on http://ADDRESS` on stdout once calls are accepted. SIGINT and SIGTERM end it: health says
not-serving, new calls are refused, and running ones finish within the grace.

The server reads and writes files as the user it runs as, for whoever can reach it: keep it on loopback.

Examples:
  customer-health serve
  customer-health serve --listen 127.0.0.1:0 --memory-limit 4GiB
  customer-health materialize component.yaml --server http://127.0.0.1:50051")]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50051")]
    listen: String,

    /// Seconds that running calls get to finish when the server is asked to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,

    #[command(flatten)]
    limits: LimitArgs,
}

/// Serves until a signal ends it.
///
/// # Errors
/// Where the address cannot be listened on or the engine cannot be made.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    block_on(async {
        let failed = |error| {
            let hint = "hint: expected HOST:PORT that nobody else listens on, such as 127.0.0.1:50051";
            let failure = Failure::io(&format!("cannot listen on {}", args.listen), &error);
            let message = format!("{}\n{hint}", failure.message);
            // What is no address at all is a slip on the command line.
            let code = if error.kind() == ErrorKind::InvalidInput { exit::USAGE } else { failure.code };
            Failure { code, message }
        };
        let listener = TcpListener::bind(&args.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() {
            tracing::warn!("whoever can reach {address} can read and write files as this user");
        }
        print::stdout(&format!("listening on http://{address}\n"))?;
        let config = ServerConfig { engine: args.limits.engine(), grace: Duration::from_secs(args.grace) };
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = std::pin::pin!(service::run(listener, async { drop(stopped.await) }, config));
        tokio::select! {
            outcome = &mut serving => return Ok(outcome?),
            signal = asked_to_stop() => signal?,
        }
        drop(stop);
        Ok(serving.await?)
    })
}
