//! What goes to stdout: text for people, or one JSON document for scripts, whatever comes of the command.

use std::ffi::OsString;

use chrono::{SecondsFormat, Utc};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::{self, Lines};
use crate::component::Problem;
use crate::error::ErrorKind;
use crate::shown::shown_json;

/// The argument of commands that answer in words or in JSON.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct FormatArgs {
    /// What goes to stdout: text for people, or one JSON document for scripts, which has `error` where the command fails
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// A form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// Whether a command line that could not be read asks for JSON all the same.
pub fn asked_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<OsString> = arguments.collect();
    arguments.iter().any(|argument| argument == "--format=json")
        || arguments.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
}

/// Writes a document to stdout.
///
/// # Errors
/// Where stdout cannot be written.
pub fn document(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::new(ErrorKind::Internal, format!("the answer cannot be written as JSON: {error}")))?;
    print::document(&format!("{}\n", shown_json(&text)))
}

/// A failure as a document: what is told first stands at the top, and all of it below `problems`.
pub fn failed(failure: &Failure) -> Value {
    json!({"error": error(failure)})
}

/// A failure as a line of a log that is JSON, on stderr.
pub fn log(failure: &Failure) {
    // A line already: `Lines` finds nothing to escape in it.
    print::stderr(&Lines::one(shown_json(&line(failure).to_string())));
}

fn line(failure: &Failure) -> Value {
    let mut line = json!({
        "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
        "level": "ERROR",
        "target": "customer_health::cli",
    });
    if let (Value::Object(line), Value::Object(error)) = (&mut line, error(failure)) {
        line.extend(error);
    }
    line
}

fn error(failure: &Failure) -> Value {
    let problems: Vec<Value> = match failure.problems.as_slice() {
        [] => {
            let (message, hint) = failure.parts();
            vec![told(message, hint, None)]
        }
        problems => problems.iter().map(|p| told(&p.message, p.hint.as_deref(), Some(p))).collect(),
    };
    let mut error = json!({"kind": failure.kind(), "code": failure.code});
    if let (Value::Object(error), Some(Value::Object(first))) = (&mut error, problems.first()) {
        error.extend(first.clone());
        error.insert("problems".to_owned(), problems.into());
    }
    error
}

fn told(message: &str, hint: Option<&str>, at: Option<&Problem>) -> Value {
    // A problem with a file as a whole has neither line nor path.
    let place = at.filter(|problem| problem.line > 0);
    json!({
        "message": message,
        "hint": hint,
        "file": at.map(|problem| &problem.file),
        "line": place.map(|problem| problem.line),
        "column": place.map(|problem| problem.column),
        "path": at.map(|problem| &problem.path).filter(|path| !path.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_in_two_ways() {
        let asked = |text: &str| asked_for_json(text.split(' ').map(OsString::from));
        assert!(asked("validate c.yaml --format json") && asked("validate --format=json --wrong"));
        assert!(!asked("validate json --format") && !asked("validate --format text"));
    }

    #[test]
    fn a_failure_without_a_place_is_its_only_problem() {
        let error = error(&Failure::new(ErrorKind::NotFound, "nothing is there\n  hint: look elsewhere"));
        assert_eq!((&error["kind"], &error["code"]), (&json!("NOT_FOUND"), &json!(5)));
        assert_eq!((&error["message"], &error["hint"]), (&json!("nothing is there"), &json!("look elsewhere")));
        assert_eq!((&error["line"], error["problems"].as_array().map(Vec::len)), (&Value::Null, Some(1)));
    }

    #[test]
    fn a_line_of_a_log_is_flat_but_for_its_problems() {
        let line = line(&Failure::usage("no such flag"));
        assert_eq!(
            (&line["level"], &line["kind"], &line["message"]),
            (&json!("ERROR"), &json!("USAGE"), &json!("no such flag"))
        );
    }
}
