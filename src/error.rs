//! The closed set of failure kinds that every room's errors fall into, and what is needed to look into an error.

use std::error::Error;
use std::time::Duration;

use datafusion::error::DataFusionError;

/// What sort of failure an error is, for whoever has to act on it.
///
/// The set is closed on purpose: the gRPC status and the exit code are exhaustive matches over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// `component.yaml` or a scorecard is wrong; edit it.
    InvalidComponent,
    /// An input's file, schema or values cannot be used.
    InvalidInput,
    /// An input that was named does not exist.
    NotFound,
    /// The operating system or the store refuses access.
    Denied,
    /// The caller did not say who it is, or cannot prove it.
    Unauthenticated,
    /// Another run is writing the same output.
    OutputConflict,
    /// A memory or disk limit was reached.
    ResourceExhausted,
    /// A message of the call is larger than the server takes.
    MessageTooLarge,
    /// The server or a store does not answer; trying again may help.
    Unavailable,
    /// The caller gave up.
    Cancelled,
    /// A fault of this program.
    Internal,
}

impl ErrorKind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 11] = [
        Self::InvalidComponent,
        Self::InvalidInput,
        Self::NotFound,
        Self::Denied,
        Self::Unauthenticated,
        Self::OutputConflict,
        Self::ResourceExhausted,
        Self::MessageTooLarge,
        Self::Unavailable,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The stable upper-case name that scripts and gRPC callers can match on, such as `INVALID_INPUT`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::InvalidComponent => "INVALID_COMPONENT",
            Self::InvalidInput => "INVALID_INPUT",
            Self::NotFound => "NOT_FOUND",
            Self::Denied => "DENIED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::OutputConflict => "OUTPUT_CONFLICT",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::MessageTooLarge => "MESSAGE_TOO_LARGE",
            Self::Unavailable => "UNAVAILABLE",
            Self::Cancelled => "CANCELLED",
            Self::Internal => "INTERNAL",
        }
    }

    /// How long to wait before trying again, where trying the same again may help.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Unavailable => Some(Duration::from_secs(2)),
            Self::OutputConflict => Some(Duration::from_secs(5)),
            Self::ResourceExhausted => Some(Duration::from_secs(15)),
            Self::InvalidComponent
            | Self::InvalidInput
            | Self::NotFound
            | Self::Denied
            | Self::Unauthenticated
            | Self::MessageTooLarge
            | Self::Cancelled
            | Self::Internal => None,
        }
    }

    /// What to do about it, in a sentence for people.
    pub fn advice(self) -> &'static str {
        match self {
            Self::InvalidComponent => "Edit the component, the scorecard or the request at the place that is named.",
            Self::InvalidInput => "Give the input another file, or map its columns; the data has to change first.",
            Self::NotFound => "Check the path or the customer's id; run again once the file is there.",
            Self::Denied => "Have the operator allow the folder with `serve --allow`, or change the permissions.",
            Self::Unauthenticated => "Send a token that the server knows, as `authorization: Bearer TOKEN`.",
            Self::OutputConflict => "Wait for the other run to end, or give this run another output.",
            Self::ResourceExhausted => {
                "Try again when less is running, or with more memory, disk or places in the queue."
            }
            Self::MessageTooLarge => {
                "Send tables with `MaterializeStream`, in smaller chunks, or have the operator raise `serve --max-message-size`."
            }
            Self::Unavailable => "Try again; each table is whole, and as it was unless the message says otherwise.",
            Self::Cancelled => {
                "Nothing: the caller gave up or its deadline passed, and each table is whole, as it was unless publishing had begun."
            }
            Self::Internal => "Report it with the component.yaml: it is a fault of the program.",
        }
    }
}

/// An error's causes, from the error itself down to its root.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The first cause of this type.
pub(crate) fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// An error of this program on its way through DataFusion.
pub(crate) fn external(error: impl Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
