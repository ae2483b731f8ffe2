//! What can go wrong in a run, named by the file, input or limit at fault.

use std::io;

use datafusion::error::DataFusionError;

use super::cause::cause;
use super::cluster::ClusterError;
use super::exhausted::{exhausted, io_error};
use super::store_error;
use super::text::TextError;
use super::uri::{SCHEMES, is_uri};
use crate::component::{Component, ComponentError, Problem};
use crate::error::ErrorKind;
use crate::plan::PlanError;

/// Why a run did not succeed; each table is whole, and as it was but for those that [`EngineError::PartlyPublished`] names.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The component is wrong.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// No plan could be made for the inputs.
    #[error(transparent)]
    Plan(PlanError),
    /// Inputs cannot be opened, or their columns do not do; all that is wrong with them is told together.
    #[error("{problems}")]
    Inputs {
        /// All of it, with places.
        problems: ComponentError,
        /// What sort of failure the first of them is.
        kind: ErrorKind,
    },
    /// Nothing is at a path.
    #[error("{role}: there is nothing at {path}\n  hint: {hint}")]
    NotFound {
        /// What the path is for, such as ``input `usage` ``.
        role: String,
        /// The path.
        path: String,
        /// The way out.
        hint: String,
    },
    /// A path may not be read or written.
    #[error("{role}: {path} may not be {action}: {source}\n  hint: check the permissions of the file and its folders")]
    Denied {
        /// What the path is for.
        role: String,
        /// The path.
        path: String,
        /// `read` or `written`.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A path leads out of the folders that the engine may use.
    #[error(
        "{role}: {path} lies outside of the folders that this server reads and writes in\n  hint: these are {allowed}; the operator allows more with `serve --allow {wanted}`"
    )]
    Outside {
        /// What the path is for.
        role: String,
        /// The path.
        path: String,
        /// The folders.
        allowed: String,
        /// What the operator would have to allow.
        wanted: String,
    },
    /// A scheme that this build cannot read or write.
    #[error("{role}: {path}: the scheme `{scheme}` is not supported\n  hint: this build reads and writes {SCHEMES}")]
    Scheme {
        /// What the URI is for.
        role: String,
        /// The URI.
        path: String,
        /// Its scheme.
        scheme: String,
    },
    /// A URI that is refused for what it says, before anything is opened.
    #[error("{role}: {uri} {reason}\n  hint: {hint}")]
    Uri {
        /// What the URI is for.
        role: String,
        /// The URI, without what may be secret in it.
        uri: String,
        /// What is wrong.
        reason: String,
        /// The way out.
        hint: String,
    },
    /// An object store refuses or does not answer.
    #[error("{role}: {uri} cannot be {action}: {reason}\n  hint: {hint}")]
    Store {
        /// What the URI is for.
        role: String,
        /// The URI.
        uri: String,
        /// `read` or `written`.
        action: &'static str,
        /// What went wrong; nothing that the store said, which may hold secrets.
        reason: String,
        /// The way out.
        hint: &'static str,
        /// What sort of failure it is.
        kind: ErrorKind,
    },
    /// A file is not what its format says, or its values cannot be used.
    #[error("{role} ({path}): {reason}\n  hint: {hint}")]
    Unreadable {
        /// What the file is for.
        role: String,
        /// The path.
        path: String,
        /// What is wrong.
        reason: String,
        /// The way out.
        hint: String,
        /// What the reader said.
        source: Option<Box<DataFusionError>>,
    },
    /// A cluster did not do its work.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// There is nobody to score, and the table that would be replaced has customers.
    #[error(
        "no customer has a row that counts, and the table at {path} has {rows}: it stays as it is{lost}\n  hint: look at the inputs, the as-of time and the period; `--allow-empty` (`allow_empty` in a request) replaces it all the same"
    )]
    Emptied {
        /// The table.
        path: String,
        /// Its rows.
        rows: u64,
        /// What became of the rows that were read, as lines.
        lost: String,
    },
    /// Another run holds the output.
    #[error("output: another run is writing {path}\n  hint: wait for it to end, or give this run another output")]
    OutputBusy {
        /// The path.
        path: String,
    },
    /// The output could not be written.
    #[error("output: {path} could not be written: {source}\n  hint: {hint}")]
    Output {
        /// The path.
        path: String,
        /// What the system said.
        source: io::Error,
        /// The way out.
        hint: &'static str,
    },
    /// A table could not be put in its place, and others that were could not be put back.
    #[error(
        "{source}\n  hint: {new} is new already and could not be put back; run again, so that all tables are of one run"
    )]
    PartlyPublished {
        /// The tables that are new, by their paths.
        new: String,
        /// What went wrong with the other one.
        source: Box<EngineError>,
    },
    /// The folder for temporary files cannot be used.
    #[error("folder for temporary files: {path} cannot be used: {source}\n  hint: name another one with --temp-dir")]
    TempDir {
        /// The folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Memory or disk ran out.
    #[error("{message}\n  hint: {hint}")]
    Exhausted {
        /// Which limit, and who hit it.
        message: String,
        /// The way out.
        hint: &'static str,
        /// What the engine said.
        source: Box<DataFusionError>,
    },
    /// The customer to be explained is in no input.
    #[error(
        "customer `{customer}` is in none of the inputs\n  hint: keys are compared as text, trimmed, in upper and lower case as they are"
    )]
    NoCustomer {
        /// The customer's id.
        customer: String,
    },
    /// A fault of this program.
    #[error(
        "internal error while {during}: {source}\n  hint: this is a fault of the program; please report it with your component.yaml"
    )]
    Internal {
        /// What was being done.
        during: &'static str,
        /// What went wrong.
        source: Box<DataFusionError>,
    },
}

impl EngineError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Component(error) => error.kind(),
            Self::Plan(error) => error.kind(),
            Self::NotFound { .. } | Self::NoCustomer { .. } => ErrorKind::NotFound,
            Self::Denied { .. } | Self::Outside { .. } => ErrorKind::Denied,
            Self::Scheme { .. } | Self::Unreadable { .. } | Self::Emptied { .. } => ErrorKind::InvalidInput,
            Self::Uri { .. } => ErrorKind::InvalidComponent,
            Self::Inputs { kind, .. } | Self::Store { kind, .. } | Self::Cluster(ClusterError { kind, .. }) => *kind,
            Self::OutputBusy { .. } => ErrorKind::OutputConflict,
            Self::PartlyPublished { source, .. } => source.kind(),
            Self::Exhausted { .. } => ErrorKind::ResourceExhausted,
            Self::Output { source, .. } | Self::TempDir { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    ErrorKind::ResourceExhausted
                }
                io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::InvalidFilename
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::NotFound => ErrorKind::InvalidComponent,
                _ => ErrorKind::Unavailable,
            },
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// Problems of the component with their places, where that is what is wrong.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Component(error)
            | Self::Plan(PlanError::Component(error) | PlanError::Unfit(error))
            | Self::Inputs { problems: error, .. } => &error.problems,
            _ => &[],
        }
    }

    /// What cannot be opened, by its place in the component, with what is wrong in the light of all the rest.
    pub fn unopened(component: &Component, errors: Vec<(String, Self)>, others: Option<Self>) -> Self {
        let also = others.as_ref().map(Self::problems).unwrap_or_default();
        let first = errors.first().map_or(ErrorKind::Internal, |(_, error)| error.kind());
        let is_wrong = |error: &Self| error.kind() == ErrorKind::InvalidComponent;
        let wrong = others.iter().chain(errors.iter().map(|(_, error)| error)).any(is_wrong);
        let kind = if wrong { ErrorKind::InvalidComponent } else { first };
        let placed = |(path, error): (String, Self)| {
            if !error.problems().is_empty() {
                return error.problems().to_vec();
            }
            let (message, hint) = error.message_and_hint();
            vec![component.problem(&path, message, hint)]
        };
        let problems = also.iter().cloned().chain(errors.into_iter().flat_map(placed)).collect();
        Self::Inputs { problems: ComponentError::new(problems), kind }
    }

    /// What is wrong, and the way out; either may have whatever a path is called in it.
    fn message_and_hint(&self) -> (String, Option<String>) {
        const HINT: &str = "\n  hint: ";
        let told = self.to_string();
        let own = match self {
            Self::NotFound { hint, .. } | Self::Unreadable { hint, .. } | Self::Uri { hint, .. } => Some(hint.as_str()),
            Self::Store { hint, .. } => Some(*hint),
            // The last one: these hints have no names in them.
            _ => told.rsplit_once(HINT).map(|(_, hint)| hint),
        };
        let message = own.and_then(|hint| told.strip_suffix(hint)?.strip_suffix(HINT));
        (message.unwrap_or(&told).to_owned(), message.and(own).map(str::to_owned))
    }

    /// An engine's error while doing something that no input explains.
    pub fn internal(during: &'static str, error: DataFusionError) -> Self {
        if let Some(found) = cause::<ClusterError>(&error) {
            return found.clone().into();
        }
        if let Some(found) = store_error::of_any(during, &error) {
            return found;
        }
        match exhausted(error) {
            Ok(exhausted) => exhausted,
            Err(error) => Self::Internal { during, source: Box::new(error) },
        }
    }

    /// An engine's error while reading a file.
    pub fn unreadable(role: &str, path: &str, error: DataFusionError) -> Self {
        if let Some(found) = cause::<TextError>(&error) {
            return found.of_input(role, path);
        }
        if let Some(found) = cause::<ClusterError>(&error) {
            return found.clone().into();
        }
        if is_uri(path)
            && let Some(found) = store_error::of_query(role, path, &error)
        {
            return found;
        }
        let error = match exhausted(error) {
            Ok(exhausted) => return exhausted,
            Err(error) => error,
        };
        if let Some(io) = io_error(&error) {
            return Self::of_io(role, path, "read", io);
        }
        let reason = error.find_root().strip_backtrace();
        let mut reason = reason.lines().next().unwrap_or_default().trim_end_matches('.');
        // Each layer puts its name before the same message.
        for layer in [
            "Parquet error: ",
            "Arrow error: ",
            "External error: ",
            "Object Store error: ",
            "Execution error: ",
            "Parquet argument error: ",
        ] {
            while let Some(inner) = reason.strip_prefix(layer) {
                reason = inner;
            }
        }
        let hint =
            "check that the file is complete and of the format that its name tells, or give the input a `format`";
        Self::Unreadable {
            role: role.to_owned(),
            path: path.to_owned(),
            reason: format!("cannot be read: {reason}"),
            hint: hint.to_owned(),
            source: Some(Box::new(error)),
        }
    }

    /// A file is no longer what it was when the run began.
    pub fn changed(role: &str, path: &str, how: &str) -> Self {
        let hint = "run again once whatever writes it is done; write a new file and rename it over the old one";
        Self::Unreadable {
            role: role.to_owned(),
            path: path.to_owned(),
            reason: format!("a file changed while it was read: {how}"),
            hint: hint.to_owned(),
            source: None,
        }
    }

    /// The system's error about a path that is read.
    pub fn of_io(role: &str, path: &str, action: &'static str, error: io::Error) -> Self {
        let (role, path) = (role.to_owned(), path.to_owned());
        match error.kind() {
            io::ErrorKind::NotFound => {
                let hint = "check the path; relative ones start from the folder of component.yaml".to_owned();
                Self::NotFound { role, path, hint }
            }
            io::ErrorKind::PermissionDenied => Self::Denied { role, path, action, source: error },
            _ => {
                let hint = "check that it is there and can be read".to_owned();
                Self::Unreadable { role, path, reason: error.to_string(), hint, source: None }
            }
        }
    }
}

impl From<PlanError> for EngineError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Component(error) => Self::Component(error),
            PlanError::Unfit(problems) => Self::Inputs { problems, kind: ErrorKind::InvalidInput },
            other => Self::Plan(other),
        }
    }
}
