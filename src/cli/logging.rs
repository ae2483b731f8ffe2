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

/// The environment's names for a collector's address, as OpenTelemetry has them; the first one counts.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

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
            Form::Human => fmt::layer().with_writer(one_line).with_ansi(stderr().is_terminal()).boxed(),
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

/// Writes events to stderr, a line each, whatever line ends are in what callers and files are called.
struct OneLine(Stderr);

fn one_line() -> OneLine {
    OneLine(stderr())
}

impl Write for OneLine {
    /// An event comes in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = event.strip_suffix(b"\n").map_or((event, &b""[..]), |text| (text, b"\n"));
        let mut line = Vec::with_capacity(event.len());
        for byte in text {
            match byte {
                b'\n' => line.extend(b"\\n"),
                b'\r' => line.extend(b"\\r"),
                byte => line.push(*byte),
            }
        }
        line.extend(end);
        self.0.write_all(&line).map(|()| event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Logs of the other commands: what `RUST_LOG` asks for, and nothing where it is not set, for they tell people what there is to
/// tell in words of their own.
pub fn start() {
    if std::env::var_os(FILTER).is_none_or(|directives| directives.is_empty()) {
        return;
    }
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(one_line)
        .with_ansi(stderr().is_terminal())
        .try_init();
}
