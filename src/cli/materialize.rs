//! `materialize`: one run, through the real service, in this process or on a server.

use std::cell::Cell;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::args::{self, ComponentArgs, LimitArgs};
use super::engine::EngineArgs;
use super::exit::{self, Failure};
use super::format::{self, Format, FormatArgs};
use super::pipes::Pipes;
use super::progress::Progress;
use super::remote::{self, RemoteArgs};
use super::{block_on, listen_to_signals, print, summary};
use crate::app::Tokens;
use crate::client::{self, Client, ClientOptions, Notice};
use crate::error::ErrorKind;
use crate::grpc::{self, ServerConfig};
use crate::shown::shown;
use crate::wire::proto::{CheckSeverity, MaterializeRequest, MaterializeResult, Stage};

/// Arguments of `materialize`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
The table is published atomically: whatever happens, the output is the old file or the new one, never a part.
Paths may be URIs: s3://, gs:// and az:// with credentials from the environment, http:// and https:// to read.
Progress goes to stderr, the summary or the JSON document to stdout.

Started by Dagster's PipesSubprocessClient, it reports materializations, checks and logs to Dagster as well.

Examples:
  customer-health materialize component.yaml
  customer-health materialize component.yaml --input usage=u.parquet --output scores.parquet
  customer-health materialize component.yaml --output s3://bucket/scores.parquet
  customer-health materialize component.yaml --as-of 2025-06-30
  customer-health materialize component.yaml --format json | jq .report.categories
  customer-health materialize component.yaml --server http://127.0.0.1:50051
  customer-health materialize component.yaml --server https://scores.example.com:50051 --token-file token

{}", exit::HELP))]
pub struct MaterializeArgs {
    #[command(flatten)]
    component: ComponentArgs,

    /// Write here, in place of the component's `output`
    #[arg(long, value_name = "PATH")]
    output: Option<String>,

    /// End of the analysis period: a moment such as 2025-06-30T18:00:00Z, or a date, which stands for its midnight
    /// UTC; now if left out
    #[arg(long, value_name = "WHEN", value_parser = args::moment)]
    as_of: Option<DateTime<Utc>>,

    /// Id of the run, for the report and the file's metadata; made up if left out
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,

    /// Days before the as-of time that count, in place of the scorecard's
    #[arg(long, value_name = "DAYS")]
    period: Option<u32>,

    /// Partition that the run is for, for the report and the file's metadata
    #[arg(long, value_name = "KEY")]
    partition_key: Option<String>,

    /// Fact for the report and the file's metadata (repeatable)
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = args::tag)]
    tags: Vec<(String, String)>,

    /// Read the published table once more and check it. Where a check of severity ERROR does not pass, the exit code is
    /// 12 and the table stays; under Dagster Pipes it stays 0, for Dagster is told of the check
    #[arg(long)]
    checks: bool,

    /// Let a table without customers take the place of one that has some, which is refused otherwise
    #[arg(long)]
    allow_empty: bool,

    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    engine: EngineArgs,

    /// Show neither progress nor the summary; errors are still told
    #[arg(long, short)]
    quiet: bool,

    #[command(flatten)]
    pub format: FormatArgs,
}

/// Runs, and tells what came of it; Dagster too, where it started this process.
///
/// # Errors
/// What the service says, or that it cannot be reached.
pub fn run(args: &MaterializeArgs) -> Result<(), Failure> {
    let mut pipes = Pipes::open();
    let outcome = materialize(args, &mut pipes);
    if let Some(pipes) = pipes {
        pipes.close(outcome.as_ref().err());
    }
    outcome
}

fn materialize(args: &MaterializeArgs, pipes: &mut Option<Pipes>) -> Result<(), Failure> {
    let mut recipe = args.component.recipe()?;
    recipe.overrides.output = args.output.as_deref().map(args::absolute).transpose()?;
    recipe.overrides.analysis_period_days = args.period;
    let mut request = client::request(&recipe, args.as_of, args.run_id.as_deref())
        .map_err(|error| Failure::io("cannot tell the working directory", &error))?;
    request.partition_key = args.partition_key.clone().unwrap_or_default();
    request.tags = args.tags.iter().cloned().collect();
    (request.run_checks, request.allow_empty) = (args.checks, args.allow_empty);
    if let Some(pipes) = pipes {
        pipes.adopt(&mut request);
    }
    let mut progress = Progress::new(args.quiet, args.format.format == Format::Text);
    let publishing = Cell::new(false);
    let outcome = block_on(async {
        let on_notice = |notice| {
            if let Notice::Progress(progress) = &notice {
                publishing.set(publishing.get() || matches!(progress.stage(), Stage::Publish | Stage::Check));
            }
            if let Some(pipes) = pipes {
                pipes.notice(&notice);
            }
            progress.notice(notice);
        };
        call(args, request, &publishing, on_notice).await
    });
    let result = match outcome {
        Ok(result) => result,
        Err(failure) => {
            progress.finish_without_summary();
            return Err(failure);
        }
    };
    progress.finish();
    if let Some(pipes) = pipes {
        pipes.report(&result);
    }
    match args.format.format {
        Format::Text if args.quiet => {}
        Format::Text => print::stdout(&summary::text(&result))?,
        Format::Json => format::document(&result)?,
    }
    // A step of Dagster's that fails for a check would hide what Dagster itself makes of checks.
    if pipes.is_some() { Ok(()) } else { checked(&result) }
}

/// Whether a script may go on with the table.
fn checked(result: &MaterializeResult) -> Result<(), Failure> {
    let checks = result.report.iter().flat_map(|report| &report.checks);
    let failed = checks.filter(|check| !check.passed && check.severity() == CheckSeverity::Error);
    let told: Vec<String> = failed.map(|check| format!("  {}: {}", check.name, shown(&check.description))).collect();
    if told.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the table is published, but did not pass its checks\n{}\nhint: do not use it before its inputs are looked at",
        told.join("\n")
    );
    Err(Failure::with_code(exit::CHECKS_FAILED, message))
}

async fn call(
    args: &MaterializeArgs,
    request: MaterializeRequest,
    publishing: &Cell<bool>,
    on_notice: impl FnMut(Notice),
) -> Result<MaterializeResult, Failure> {
    let engine = args.engine.complete(args.limits.engine())?;
    if let Some(client) = args.remote.client().await? {
        if engine.cluster.is_some() {
            return Err(Failure::usage("`--scheduler` is for `customer-health serve` where `--server` asks one"));
        }
        return tokio::select! {
            outcome = ask(client, request, on_notice) => outcome,
            interrupted = interrupted(publishing) => Err(interrupted),
        };
    }
    let failed = |error| Failure::io("cannot listen on the loopback address", &error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let uri = format!("http://{}", listener.local_addr().map_err(failed)?);
    // The only call is over before shutdown begins, so there is nothing to wait for.
    // Other users of this machine can reach the address too, and are to have none of this user's rights.
    let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let config =
        ServerConfig { engine, grace: Duration::ZERO, tokens: Some(Tokens::one(&token)), ..ServerConfig::default() };
    let options = ClientOptions { token: Some(token), ..ClientOptions::default() };
    let (stop, stopped) = oneshot::channel::<()>();
    let mut serving = std::pin::pin!(grpc::serve(listener, async { drop(stopped.await) }, config));
    let outcome = tokio::select! {
        served = &mut serving => {
            served?;
            return Err(Failure::new(ErrorKind::Internal, "the server in this process stopped of itself"));
        }
        outcome = async { ask(Client::connect_with(&uri, &options).await?, request, on_notice).await } => outcome,
        // The server is stopped in order, so that what the run had sent to a store is removed.
        interrupted = interrupted(publishing) => Err(interrupted),
    };
    drop(stop);
    serving.await?;
    outcome
}

/// Resolves when the process is asked to end, with what to say then.
async fn interrupted(publishing: &Cell<bool>) -> Failure {
    match listen_to_signals() {
        Ok(signalled) => signalled.await,
        Err(failure) => return failure,
    }
    let message = match publishing.get() {
        true => "interrupted while the tables were put in their places or checked; each is whole, and new or as it was",
        false => "interrupted; the output is as it was",
    };
    Failure::new(ErrorKind::Cancelled, message)
}

async fn ask(
    mut client: Client,
    request: MaterializeRequest,
    on_notice: impl FnMut(Notice),
) -> Result<MaterializeResult, Failure> {
    let (component, inputs, history) = (request.component.clone(), request.inputs.clone(), request.history.clone());
    match client.materialize(request, on_notice).await {
        Ok(result) => Ok(result),
        Err(error) => Err(remote::told_whole(&mut client, (component, inputs, history), error).await),
    }
}
