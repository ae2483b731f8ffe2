//! The command line: what can be asked for, and how the answer leaves the program.

mod args;
mod engine;
pub mod exit;
mod explain;
mod folder;
mod format;
mod init;
mod json_lines;
mod logging;
mod materialize;
mod pipes;
mod pipes_report;
mod print;
mod progress;
mod remote;
mod rounded;
mod schema;
mod security;
mod serve;
mod starter;
mod summary;
mod taken;
mod validate;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use exit::Failure;
use format::Format;

use crate::panics;
use crate::shown::shown;

/// How long work that was cancelled gets to clean up behind itself.
const CLEAN_UP: Duration = Duration::from_secs(5);

const ABOUT: &str = "\
Scores customers from up to four tables (customer, subscription, usage, support) and writes the table \
customer_health_scores: one row per customer with a health score of 0-100, a risk category, and flags for churn risk \
and expansion opportunity. What is read, and how it is scored, stands in a component.yaml.";

const EXAMPLES: &str = "\
Examples:
  customer-health init data/*.parquet -o component.yaml   write a starter component.yaml
  customer-health validate component.yaml                 find all mistakes in it
  customer-health materialize component.yaml              score, and write the table
  customer-health explain component.yaml C-1042           why does this customer score so?
  customer-health serve                                   the same over gRPC";

#[derive(Debug, Parser)]
#[command(
    name = "customer-health",
    version,
    about = "Customer health scores as a data asset",
    long_about = ABOUT,
    after_help = format!("{EXAMPLES}\n\n{}", exit::HELP),
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Score all customers and write the table
    Materialize(materialize::MaterializeArgs),
    /// Serve the gRPC API until SIGINT or SIGTERM
    Serve(serve::ServeArgs),
    /// Check a component.yaml: all its problems at once, then its inputs' columns
    Validate(validate::ValidateArgs),
    /// Print the JSON Schema of component.yaml, for editors
    Schema(schema::SchemaArgs),
    /// Take one customer's health score apart, or print the plan
    Explain(explain::ExplainArgs),
    /// Write a commented starter component.yaml from the tables in files and folders
    Init(init::InitArgs),
}

/// Does what the command line asks for.
pub fn run() -> ExitCode {
    panics::pass_over_expected();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let error = as_shown(error);
            // Help and version are no failures, and go to stdout; a closed pipe is nobody's problem.
            let _ = error.print();
            if !error.use_stderr() {
                return ExitCode::SUCCESS;
            }
            if format::asked_for_json(std::env::args_os()) {
                let told = error.render().to_string();
                let told = told.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
                let _ = format::document(&format::failed(&Failure::usage(format!("{told}\nhint: see --help"))));
            }
            return ExitCode::from(exit::USAGE);
        }
    };
    // A server is told on its command line what to log.
    if !matches!(cli.command, Command::Serve(_)) {
        logging::start();
    }
    let outcome = match &cli.command {
        Command::Materialize(args) => materialize::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Init(args) => init::run(args),
    };
    let Err(failure) = outcome else { return ExitCode::SUCCESS };
    match &cli.command {
        Command::Serve(args) if args.logs_json() => format::log(&failure),
        _ => print::stderr(&failure.text()),
    }
    // A table that did not pass its checks is told by its report, which is the document.
    if cli.command.format() == Format::Json && failure.code != exit::CHECKS_FAILED {
        // Where stdout cannot be written, stderr has said it.
        let _ = format::document(&format::failed(&failure));
    }
    ExitCode::from(failure.code)
}

impl Command {
    /// What is to go to stdout.
    fn format(&self) -> Format {
        match self {
            Self::Materialize(args) => args.format.format,
            Self::Validate(args) => args.format.format,
            Self::Explain(args) => args.format.format,
            Self::Init(args) => args.format.format,
            Self::Serve(_) | Self::Schema(_) => Format::Text,
        }
    }
}

/// The same complaint about the same command line, with what is not for terminals escaped in all that was given.
fn as_shown(error: clap::Error) -> clap::Error {
    let given: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let escaped: Vec<String> = given.iter().map(shown).collect();
    let Some(odd) = escaped.iter().zip(&given).find_map(|(escaped, given)| (escaped != given).then_some(escaped))
    else {
        return error;
    };
    let unusable =
        || Cli::command().error(error.kind(), format!("an argument has characters that it cannot have: {odd}"));
    Cli::try_parse_from(&escaped).err().unwrap_or_else(unusable)
}

/// Runs a command that waits for things.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start threads", &error))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(CLEAN_UP);
    outcome
}

/// Listens to signals from now on; the future resolves once the process is asked to end, by Ctrl-C or SIGTERM.
///
/// # Errors
/// Where signals cannot be listened to.
fn listen_to_signals() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error| Failure::io("cannot listen to signals", &error);
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
