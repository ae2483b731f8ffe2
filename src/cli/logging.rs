//! What goes to stderr as a log, in which form, and what goes to a collector of spans.

use std::io::{self, IsTerminal, Stderr, Write, stderr};

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::filter::{Directive, LevelFilter, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::exit::Failure;
use super::json_lines::JsonLines;
use crate::grpc::Telemetry;
use crate::shown::shown;

/// The environment's names for a collector's address, as OpenTelemetry has them; the first one counts.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// What begins a colour.
const COLOUR: char = '\u{1b}';

/// Environment variable that says what is logged.
const FILTER: &str = "RUST_LOG";

/// What a server tells its operator.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Observability")]
pub struct LogArgs {
    /// Form of the log on stderr: lines for people, or one JSON object on each
    #[arg(long, value_enum, default_value_t = Form::Human)]
    log_format: Form,

    /// What is logged: error, warn, info, debug, trace, or directives as RUST_LOG takes them, which counts where this is
    /// left out; warnings, and info of runs, where both are
    #[arg(long, value_name = "LEVEL", value_parser = filter)]
    log_level: Option<String>,

    /// Send spans of calls, runs and stages to the OpenTelemetry collector at this address, by gRPC;
    /// OTEL_EXPORTER_OTLP_ENDPOINT if left out
    #[arg(long, value_name = "URI")]
    otlp_endpoint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Human,
    Json,
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl LogArgs {
    /// Whether the log is JSON.
    pub fn is_json(&self) -> bool {
        self.log_format == Form::Json
    }

    /// Begins to log, and to export where there is a collector. Within a runtime only.
    ///
    /// # Errors
    /// Where the collector's address is none.
    pub fn start(&self) -> Result<Option<Telemetry>, Failure> {
        let given = ENDPOINTS.iter().filter_map(|name| std::env::var(name).ok());
        let given = self.otlp_endpoint.iter().cloned().chain(given).find(|endpoint| !endpoint.is_empty());
        let telemetry = given.map(|endpoint| Telemetry::new(&endpoint));
        let telemetry = telemetry.transpose()?;
        let directives = self.log_level.clone().or_else(|| std::env::var(FILTER).ok());
        let directives = directives.unwrap_or_else(|| "warn,customer_health=info".to_owned());
        let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).parse_lossy(directives);
        // Lines of a run have its id whatever else is logged; the spans of calls and stages are for the collector.
        let filter = [("run", LevelFilter::ERROR), ("call", LevelFilter::OFF), ("stage", LevelFilter::OFF)]
            .into_iter()
            .filter_map(|(room, level)| format!("customer_health::{room}={level}").parse::<Directive>().ok())
            .fold(filter, EnvFilter::add_directive);
        let lines = match self.log_format {
            Form::Human => fmt::layer().with_writer(one_line).with_ansi(coloured()).boxed(),
            Form::Json => {
                fmt::layer().with_writer(stderr).fmt_fields(JsonFields::new()).event_format(JsonLines).boxed()
            }
        };
        let spans = telemetry.as_ref().map(|telemetry| {
            let own = Targets::new().with_target("customer_health", Level::INFO);
            tracing_opentelemetry::layer().with_tracer(telemetry.tracer()).with_location(false).with_filter(own)
        });
        // Fails only where a logger is there already, which then serves as well.
        let _ = tracing_subscriber::registry().with(spans).with(lines.with_filter(filter)).try_init();
        Ok(telemetry)
    }
}

/// Whether lines have colours.
fn coloured() -> bool {
    stderr().is_terminal()
}

/// Writes events to stderr, a line each, whatever callers and files are called.
struct OneLine {
    to: Stderr,
    coloured: bool,
}

fn one_line() -> OneLine {
    OneLine { to: stderr(), coloured: coloured() }
}

/// What is written of an event: colours are the log's own, which has escaped those that came with a text.
fn line(event: &str, coloured: bool) -> String {
    let text = event.strip_suffix('\n').unwrap_or(event);
    let parts = text.split(COLOUR).map(shown);
    let colour = if coloured { COLOUR.to_string() } else { shown(COLOUR) };
    format!("{}\n", parts.collect::<Vec<_>>().join(&colour))
}

impl Write for OneLine {
    /// An event comes in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = line(&String::from_utf8_lossy(event), self.coloured);
        self.to.write_all(line.as_bytes()).map(|()| event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Logs of the other commands: what `RUST_LOG` asks for, and nothing where it is not set, for they tell people what there is to
/// tell in words of their own.
pub fn start() {
    if std::env::var_os(FILTER).is_none_or(|directives| directives.is_empty()) {
        return;
    }
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(one_line).with_ansi(coloured()).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_and_only_its_own_colours_are() {
        assert_eq!(line("INFO a\nb\u{9b}c \u{1b}[31m\n", false), "INFO a\\nb\\u{9b}c \\u{1b}[31m\n");
        assert_eq!(line("\u{1b}[32mINFO\u{1b}[0m a\r\n", true), "\u{1b}[32mINFO\u{1b}[0m a\\r\n");
    }
}
