//! Dagster Pipes, protocol 0.1: what Dagster says of the run it started, and the messages that it reads.
//!
//! The crate `dagster_pipes_rust` keeps its message type private and cannot report an exception.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use flate2::read::ZlibDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::exit::Failure;
use super::pipes_report;
use super::print::{self, Lines};
use crate::client::Notice;
use crate::wire::proto::{MaterializeRequest, MaterializeResult};

/// Where Dagster says what the run is about.
const CONTEXT: &str = "DAGSTER_PIPES_CONTEXT";

/// Where Dagster says how it wants to hear of it.
const MESSAGES: &str = "DAGSTER_PIPES_MESSAGES";

const VERSION: &str = "0.1";

/// Largest context that is read, in bytes.
const MAX_CONTEXT: u64 = 16 << 20;

/// The run, as Dagster sees it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Context {
    /// Keys of the assets to materialize, their parts joined by `/`.
    pub asset_keys: Option<Vec<String>>,
    /// The partition, where the asset has any.
    pub partition_key: Option<String>,
    partition_time_window: Option<Window>,
    run_id: Option<String>,
    job_name: Option<String>,
    extras: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Window {
    end: DateTime<Utc>,
}

/// Either what is meant or the file that has it.
#[derive(Debug, Deserialize)]
struct Injected {
    path: Option<PathBuf>,
    data: Option<Context>,
}

#[derive(Debug, Deserialize)]
struct Channel {
    path: Option<PathBuf>,
    stdio: Option<String>,
}

/// A run that Dagster started and listens to.
pub struct Pipes {
    context: Context,
    /// Nothing once it could not be written.
    out: Option<Box<dyn Write + Send>>,
}

impl Pipes {
    /// Opens what Dagster has prepared in the environment, if it has. What is wrong with it is told, and the run goes on
    /// without: the table matters more.
    pub fn open() -> Option<Self> {
        let (context, messages) = match (std::env::var(CONTEXT), std::env::var(MESSAGES)) {
            (Ok(context), Ok(messages)) => (context, messages),
            (Err(_), Err(_)) => return None,
            _ => {
                print::stderr(&Lines::one(format_args!(
                    "warning: only one of {CONTEXT} and {MESSAGES} is set; Dagster is told nothing"
                )));
                return None;
            }
        };
        match Self::start(&context, &messages) {
            Ok(pipes) => Some(pipes),
            Err(error) => {
                print::stderr(&Lines::one(format_args!("warning: {error}; Dagster is told nothing")));
                None
            }
        }
    }

    fn start(context: &str, messages: &str) -> Result<Self, String> {
        let injected: Injected = unpack(CONTEXT, context)?;
        let context = match injected {
            Injected { data: Some(context), .. } => context,
            Injected { path: Some(path), .. } => {
                let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
                let file = File::open(&path).map_err(|error| unreadable(&error))?;
                serde_json::from_reader(file.take(MAX_CONTEXT)).map_err(|error| unreadable(&error))?
            }
            Injected { .. } => return Err(format!("{CONTEXT} has neither `path` nor `data`")),
        };
        let out: Box<dyn Write + Send> = match unpack(MESSAGES, messages)? {
            Channel { path: Some(path), .. } => {
                let file = File::options().append(true).create(true).open(&path);
                Box::new(file.map_err(|error| format!("{}: {error}", path.display()))?)
            }
            Channel { stdio: Some(stream), .. } if stream == "stdout" => Box::new(io::stdout()),
            Channel { stdio: Some(stream), .. } if stream == "stderr" => Box::new(io::stderr()),
            Channel { .. } => return Err(format!("{MESSAGES} names no channel that is known here")),
        };
        let mut pipes = Self { context, out: Some(out) };
        pipes.send("opened", json!({"extras": {}}));
        Ok(pipes)
    }

    /// Takes over from Dagster what the command line leaves open.
    pub fn adopt(&self, request: &mut MaterializeRequest) {
        let context = &self.context;
        if request.run_id.is_empty() {
            request.run_id = context.run_id.clone().unwrap_or_default();
        }
        if request.partition_key.is_empty() {
            request.partition_key = context.partition_key.clone().unwrap_or_default();
        }
        if let (None, Some(window)) = (&request.as_of, &context.partition_time_window) {
            // A window of Dagster's ends before its end, an analysis period with its as-of time.
            let last = window.end - TimeDelta::microseconds(1);
            let nanos = i32::try_from(last.timestamp_subsec_nanos()).unwrap_or(0);
            request.as_of = Some(prost_types::Timestamp { seconds: last.timestamp(), nanos });
        }
        for (tag, value) in [("dagster/run_id", &context.run_id), ("dagster/job", &context.job_name)] {
            if let Some(value) = value {
                request.tags.entry(tag.to_owned()).or_insert_with(|| value.clone());
            }
        }
        let wanted = match context.extras.get("checks") {
            Some(Value::Bool(wanted)) => *wanted,
            Some(Value::Array(names)) => !names.is_empty(),
            _ => false,
        };
        request.run_checks |= wanted;
    }

    /// Passes on what the run tells while it works.
    pub fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Warning(warning) => self.log(&warning.message, "WARNING"),
            Notice::Log(line) => self.log(&line.message, "INFO"),
            Notice::Progress(_) | Notice::Chunk(_) => {}
        }
    }

    fn log(&mut self, message: &str, level: &str) {
        self.send("log", json!({"message": message, "level": level}));
    }

    /// Reports the tables that were published, and the checks of the scores.
    pub fn report(&mut self, result: &MaterializeResult) {
        for params in pipes_report::materializations(result, &self.context) {
            self.send("report_asset_materialization", params);
        }
        // A check that the asset does not declare fails its step.
        let names = match self.context.extras.get("checks") {
            Some(Value::Array(names)) => Some(names.clone()),
            _ => None,
        };
        for params in pipes_report::checks(result, &self.context) {
            if names.as_ref().is_none_or(|names| names.contains(&params["check_name"])) {
                self.send("report_asset_check", params);
            }
        }
    }

    /// Says that this was all, and what went wrong. Dagster fails the step by the exit code.
    pub fn close(mut self, failure: Option<&Failure>) {
        let params = match failure {
            None => json!({}),
            Some(failure) => {
                let exception = json!({
                    "message": failure.message,
                    "name": failure.kind(),
                    "stack": [], "cause": null, "context": null,
                });
                json!({"exception": exception})
            }
        };
        self.send("closed", params);
    }

    fn send(&mut self, method: &str, params: Value) {
        let Some(out) = &mut self.out else { return };
        let message = json!({"__dagster_pipes_version": VERSION, "method": method, "params": params});
        // In one piece: the reader takes what stands before a line's end.
        let written = out.write_all(format!("{message}\n").as_bytes()).and_then(|()| out.flush());
        if let Err(error) = written {
            let told = format_args!("warning: the messages for Dagster cannot be written: {error}");
            print::stderr(&Lines::one(told));
            self.out = None;
        }
    }
}

/// Base64 of zlib of JSON.
fn unpack<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, String> {
    let packed = BASE64_STANDARD.decode(text.trim()).map_err(|error| format!("{name} is not base64: {error}"))?;
    serde_json::from_reader(ZlibDecoder::new(packed.as_slice()).take(MAX_CONTEXT))
        .map_err(|error| format!("{name} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dagster_packs_is_unpacked() {
        let packed = "eJyrVipILMlQslJQKskt0Msqzs/LUdJRUMrMS84pTUmNLy5JycyPz8yLz00tLk5MTy0GqkxLzClOrQUAPBMUdQ==";
        let channel: Channel = unpack(MESSAGES, packed).unwrap();
        assert_eq!(channel.path.unwrap().to_str(), Some("tmp.jsonl"));
        for nonsense in ["", "%", "eJyrVipILMlQslJQ"] {
            assert!(unpack::<Channel>(MESSAGES, nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_partitions_window_ends_before_its_end_and_the_command_line_wins() {
        let context = json!({
            "run_id": "d-1", "job_name": "nightly", "partition_key": "2025-01-03", "asset_keys": ["scores"],
            "partition_time_window": {"start": "2025-01-03T00:00:00+00:00", "end": "2025-01-04T00:00:00+00:00"},
            "extras": {"checks": ["scores_in_range"]}, "retry_number": 0, "later": "unknown",
        });
        let pipes = Pipes { context: serde_json::from_value(context).unwrap(), out: None };
        let mut request = MaterializeRequest { partition_key: "mine".to_owned(), ..Default::default() };
        pipes.adopt(&mut request);
        assert_eq!((request.run_id.as_str(), request.partition_key.as_str()), ("d-1", "mine"));
        assert_eq!(request.as_of.unwrap().to_string(), "2025-01-03T23:59:59.999999Z");
        assert_eq!(request.tags["dagster/job"], "nightly");
        assert!(request.run_checks);
    }
}
