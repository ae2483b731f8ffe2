//! Exit codes, and failures on their way to the terminal.

use std::io;

use super::print::Lines;
use crate::app::{CredentialError, TaskEnded};
use crate::client::ClientError;
use crate::component::{ComponentError, Problem};
use crate::engine::EngineError;
use crate::error::ErrorKind;
use crate::grpc::{ServeError, TelemetryError};
use crate::shown::{HINT, shown};

/// A fault of this program. A retry does not help; please report it.
pub const INTERNAL: u8 = 1;
/// The command line is wrong. A retry does not help.
pub const USAGE: u8 = 2;
/// The component or a scorecard is wrong. A retry does not help: edit it.
pub const INVALID_COMPONENT: u8 = 3;
/// An input's file, schema or values cannot be used. A retry does not help until the data is another.
pub const INVALID_INPUT: u8 = 4;
/// A file that was named, or a customer, does not exist. A retry helps once the file is there.
pub const NOT_FOUND: u8 = 5;
/// Access is refused. A retry does not help until permissions change.
pub const DENIED: u8 = 6;
/// Another run is writing the same output, or a file is in the way. A retry helps once the other run is done.
pub const OUTPUT_CONFLICT: u8 = 7;
/// Memory or disk did not suffice. A retry helps with more of it, or when less else is running.
pub const RESOURCE_EXHAUSTED: u8 = 8;
/// The server or a store does not answer. A retry helps.
pub const UNAVAILABLE: u8 = 9;
/// The server does not know the caller. A retry does not help without a token that it knows.
pub const UNAUTHENTICATED: u8 = 10;
/// The request is larger than the server takes. A retry does not help.
pub const MESSAGE_TOO_LARGE: u8 = 11;
/// The table is published, but a check of severity ERROR did not pass. A retry does not help until the data is another.
pub const CHECKS_FAILED: u8 = 12;
/// Interrupted by a signal; each table is whole, and as it was unless publishing had begun. A retry helps.
pub const CANCELLED: u8 = 130;

/// The exit codes, for `--help`.
pub const HELP: &str = "\
Exit codes:
  0    success
  1    a fault of this program; please report it
  2    the command line is wrong
  3    the component or a scorecard is wrong: edit it
  4    an input's file, schema or values cannot be used
  5    a file or customer that was named does not exist
  6    access is refused
  7    another run is writing the same output, or a file is in the way; try again later
  8    memory or disk did not suffice; try again with more
  9    the server or a store does not answer; try again
  10   the server does not know the caller: give it a token
  11   the request is larger than the server takes
  12   the table is published, but a check of severity ERROR did not pass
  130  interrupted by a signal; each table is whole, and as it was unless publishing had begun";

/// The exit code that tells a kind of failure.
pub fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidComponent => INVALID_COMPONENT,
        ErrorKind::InvalidInput => INVALID_INPUT,
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::Denied => DENIED,
        ErrorKind::Unauthenticated => UNAUTHENTICATED,
        ErrorKind::OutputConflict => OUTPUT_CONFLICT,
        ErrorKind::ResourceExhausted => RESOURCE_EXHAUSTED,
        ErrorKind::MessageTooLarge => MESSAGE_TOO_LARGE,
        ErrorKind::Unavailable => UNAVAILABLE,
        ErrorKind::Cancelled => CANCELLED,
        ErrorKind::Internal => INTERNAL,
    }
}

/// Why a command failed: what to exit with and what to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What is wrong and the way out, in lines; names in it are escaped, so that each keeps to its line.
    pub message: String,
    /// The same with places, where it is the component that is wrong.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::with_code(code(kind), message)
    }

    /// A failure with an exit code.
    pub fn with_code(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), problems: Vec::new() }
    }

    /// The same failure, told by these problems.
    pub fn told_by(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems;
        self
    }

    /// A command line that is wrong in a way that only shows when it is looked at as a whole.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::with_code(USAGE, message)
    }

    /// What the operating system said about something, such as `cannot write x.yaml`.
    pub fn io(what: &str, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
            io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, shown(format_args!("{what}: {error}")))
    }

    /// The stable name of what sort of failure it is.
    pub fn kind(&self) -> &'static str {
        match self.code {
            USAGE => "USAGE",
            CHECKS_FAILED => "CHECKS_FAILED",
            _ => {
                ErrorKind::ALL.into_iter().find(|kind| code(*kind) == self.code).unwrap_or(ErrorKind::Internal).reason()
            }
        }
    }

    /// What is wrong, and the way out.
    pub fn parts(&self) -> (&str, Option<&str>) {
        let message = self.message.trim_end();
        let parts = message.split_once(HINT).or_else(|| message.split_once("\nhint: "));
        parts.map_or((message, None), |(message, hint)| (message, Some(hint)))
    }

    /// The failure as it goes to stderr.
    pub fn text(&self) -> Lines {
        let mut lines = self.message.trim_end().lines();
        let first = lines.next().unwrap_or_default();
        // The problems of a component come one below the other, each with its place: none of them is the first.
        let several = self.message.lines().filter(|line| !line.starts_with([' ', '\t']) && !line.starts_with("hint:"));
        let mut text = Lines::default();
        if self.code == INVALID_COMPONENT && several.count() > 1 {
            text.line("error: the component is not valid");
            text.line(first);
        } else {
            text.line(format_args!("error: {first}"));
        }
        lines.for_each(|line| text.line(line));
        text
    }
}

impl From<ComponentError> for Failure {
    fn from(error: ComponentError) -> Self {
        let failure = Self::new(error.kind(), error.to_string());
        failure.told_by(error.problems)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::new(error.kind(), error.to_string()).told_by(error.problems().to_vec())
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<TaskEnded> for Failure {
    fn from(error: TaskEnded) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        match &error {
            // Which file is given is a matter of the command line.
            CredentialError::Invalid { .. } => Self::usage(error.to_string()),
            CredentialError::Unreadable { .. } => Self::new(error.kind(), error.to_string()),
        }
    }
}

impl From<TelemetryError> for Failure {
    fn from(error: TelemetryError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(error.kind, error.message).told_by(error.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_code_and_help_lists_it() {
        let mut codes = vec![0, USAGE, CHECKS_FAILED];
        for kind in ErrorKind::ALL {
            assert!(!codes.contains(&code(kind)), "{kind:?} shares a code");
            codes.push(code(kind));
        }
        for code in codes {
            assert!(HELP.lines().any(|line| line.trim_start().starts_with(&format!("{code} "))), "{code}");
        }
    }

    #[test]
    fn several_problems_get_a_headline_and_one_does_not() {
        let one = Failure::new(ErrorKind::InvalidComponent, "c.yaml:1:2: a\n  hint: b");
        assert_eq!(one.text().as_str(), "error: c.yaml:1:2: a\n  hint: b\n");
        let two = Failure::new(ErrorKind::InvalidComponent, "c.yaml:1:2: a\nc.yaml:2:2: b");
        assert_eq!(two.text().as_str(), "error: the component is not valid\nc.yaml:1:2: a\nc.yaml:2:2: b\n");
        let hinted = Failure::new(ErrorKind::Unavailable, "no answer\nhint: start it");
        assert_eq!(hinted.text().as_str(), "error: no answer\nhint: start it\n");
    }
}
