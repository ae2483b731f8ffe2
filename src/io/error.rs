//! What can go wrong with files and stores, named by the input, path or limit at fault.

use std::error::Error;
use std::{fmt, io};

use datafusion::error::DataFusionError;

use super::exhausted::{exhausted, io_error};
use super::store::failure;
use super::uri::{SCHEMES, is_uri};
use crate::cluster::ClusterError;
use crate::error::{ErrorKind, cause};
use crate::intake::IntakeError;
use crate::intake::text::TextError;
use crate::shown::told;

/// Why a path cannot be read or written, or what was read cannot be used.
#[derive(Debug)]
pub enum IoError {
    /// Nothing is at a path.
    NotFound {
        /// What the path is for, such as ``input `usage` ``.
        role: String,
        /// The path.
        path: String,
        /// The way out.
        hint: String,
    },
    /// A path may not be read or written.
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
    Scheme {
        /// What the URI is for.
        role: String,
        /// The URI.
        path: String,
        /// Its scheme.
        scheme: String,
    },
    /// A URI that is refused for what it says, before anything is opened.
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
    Cluster(ClusterError),
    /// Another run holds the output.
    OutputBusy {
        /// The path.
        path: String,
    },
    /// The output could not be written.
    Output {
        /// The path.
        path: String,
        /// What the system said.
        source: io::Error,
        /// The way out.
        hint: &'static str,
    },
    /// A table could not be put in its place, and others that were could not be put back.
    PartlyPublished {
        /// The tables that are new, by their paths.
        new: String,
        /// What went wrong with the other one.
        source: Box<Self>,
    },
    /// The folder for temporary files cannot be used.
    TempDir {
        /// The folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Memory or disk ran out.
    Exhausted {
        /// Which limit, and who hit it.
        message: String,
        /// The way out.
        hint: &'static str,
        /// What DataFusion said.
        source: Box<DataFusionError>,
    },
    /// A fault of this program.
    Internal {
        /// What was being done.
        during: &'static str,
        /// What went wrong.
        source: Box<DataFusionError>,
    },
}

impl IoError {
    /// What is wrong, without the way out.
    pub fn message(&self) -> String {
        match self {
            Self::NotFound { role, path, .. } => format!("{role}: there is nothing at {path}"),
            Self::Denied { role, path, action, source } => format!("{role}: {path} may not be {action}: {source}"),
            Self::Outside { role, path, .. } => {
                format!("{role}: {path} lies outside of the folders that this server reads and writes in")
            }
            Self::Scheme { role, path, scheme } => format!("{role}: {path}: the scheme `{scheme}` is not supported"),
            Self::Uri { role, uri, reason, .. } => format!("{role}: {uri} {reason}"),
            Self::Store { role, uri, action, reason, .. } => format!("{role}: {uri} cannot be {action}: {reason}"),
            Self::Unreadable { role, path, reason, .. } => format!("{role} ({path}): {reason}"),
            Self::Cluster(error) => error.message(),
            Self::OutputBusy { path } => format!("output: another run is writing {path}"),
            Self::Output { path, source, .. } => format!("output: {path} could not be written: {source}"),
            Self::PartlyPublished { source, .. } => source.message(),
            Self::TempDir { path, source } => format!("folder for temporary files: {path} cannot be used: {source}"),
            Self::Exhausted { message, .. } => message.clone(),
            Self::Internal { during, source } => format!("internal error while {during}: {source}"),
        }
    }

    /// The way out.
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound { hint, .. } | Self::Uri { hint, .. } | Self::Unreadable { hint, .. } => hint.clone(),
            Self::Denied { .. } => "check the permissions of the file and its folders".to_owned(),
            Self::Outside { allowed, wanted, .. } => {
                format!("these are {allowed}; the operator allows more with `serve --allow {wanted}`")
            }
            Self::Scheme { .. } => format!("this build reads and writes {SCHEMES}"),
            Self::Store { hint, .. }
            | Self::Output { hint, .. }
            | Self::Exhausted { hint, .. }
            | Self::Cluster(ClusterError { hint, .. }) => (*hint).to_owned(),
            Self::OutputBusy { .. } => "wait for it to end, or give this run another output".to_owned(),
            Self::PartlyPublished { new, source } => format!(
                "{}; {new} is new already and could not be put back; run again, so that all tables are of one run",
                source.hint()
            ),
            Self::TempDir { .. } => "name another one with --temp-dir".to_owned(),
            Self::Internal { .. } => {
                "this is a fault of the program; please report it with your component.yaml".to_owned()
            }
        }
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Denied { .. } | Self::Outside { .. } => ErrorKind::Denied,
            Self::Scheme { .. } | Self::Unreadable { .. } => ErrorKind::InvalidInput,
            Self::Uri { .. } => ErrorKind::InvalidComponent,
            Self::Store { kind, .. } | Self::Cluster(ClusterError { kind, .. }) => *kind,
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

    /// DataFusion's error while doing something that no input explains.
    pub fn internal(during: &'static str, error: DataFusionError) -> Self {
        if let Some(found) = cause::<ClusterError>(&error) {
            return Self::Cluster(found.clone());
        }
        if let Some(found) = failure::of_any(during, &error) {
            return found;
        }
        match exhausted(error) {
            Ok(exhausted) => exhausted,
            Err(error) => Self::Internal { during, source: Box::new(error) },
        }
    }

    /// DataFusion's error while reading a file.
    pub fn unreadable(role: &str, path: &str, error: DataFusionError) -> Self {
        if let Some(found) = cause::<TextError>(&error) {
            return Self::not_taken(role, path, &found.clone().into());
        }
        if let Some(found) = cause::<ClusterError>(&error) {
            return Self::Cluster(found.clone());
        }
        if is_uri(path)
            && let Some(found) = failure::of_query(role, path, &error)
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

    /// A file that is not taken, at the path that was given or, of several files, at its own.
    pub fn not_taken(role: &str, path: &str, error: &IntakeError) -> Self {
        Self::refused(role, error.file().unwrap_or(path), error.reason_for(path), error.hint())
    }

    /// A file that cannot be used, for this reason.
    pub fn refused(role: &str, path: &str, reason: String, hint: &str) -> Self {
        let (role, path, hint) = (role.to_owned(), path.to_owned(), hint.to_owned());
        Self::Unreadable { role, path, reason, hint, source: None }
    }

    /// A file is no longer what it was when the run began.
    pub fn changed(role: &str, path: &str, how: &str) -> Self {
        let hint = "run again once whatever writes it is done; write a new file and rename it over the old one";
        Self::refused(role, path, format!("a file changed while it was read: {how}"), hint)
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
            _ => Self::refused(&role, &path, error.to_string(), "check that it is there and can be read"),
        }
    }
}

/// Names in it are escaped, so that each keeps to its line.
impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&told(self.message(), Some(&self.hint())))
    }
}

impl Error for IoError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Denied { source, .. } | Self::Output { source, .. } | Self::TempDir { source, .. } => Some(source),
            Self::Unreadable { source: Some(source), .. }
            | Self::Exhausted { source, .. }
            | Self::Internal { source, .. } => Some(source.as_ref()),
            Self::PartlyPublished { source, .. } => Some(source.as_ref()),
            // As if it stood here itself.
            Self::Cluster(error) => error.source(),
            Self::Unreadable { source: None, .. }
            | Self::NotFound { .. }
            | Self::Outside { .. }
            | Self::Scheme { .. }
            | Self::Uri { .. }
            | Self::Store { .. }
            | Self::OutputBusy { .. } => None,
        }
    }
}

impl From<ClusterError> for IoError {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_lines_and_programs_get_them_as_they_are() {
        let (role, path, hint) = ("input `usage`".to_owned(), "/d/a\n\u{1b}[2J".to_owned(), "look at a\nb".to_owned());
        let error = IoError::NotFound { role, path, hint };
        assert_eq!(error.to_string(), "input `usage`: there is nothing at /d/a\\n\\u{1b}[2J\n  hint: look at a\\nb");
        assert_eq!(error.message(), "input `usage`: there is nothing at /d/a\n\u{1b}[2J");
        let error = IoError::PartlyPublished { new: "r".to_owned(), source: Box::new(error) };
        assert_eq!(error.to_string().lines().count(), 2);
    }
}
