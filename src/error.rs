//! The closed set of failure kinds that every room's errors fall into.

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
    /// Another run is writing the same output.
    OutputConflict,
    /// A memory or disk limit was reached.
    ResourceExhausted,
    /// The server or a store does not answer; trying again may help.
    Unavailable,
    /// The caller gave up.
    Cancelled,
    /// A fault of this program.
    Internal,
}

impl ErrorKind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 9] = [
        Self::InvalidComponent,
        Self::InvalidInput,
        Self::NotFound,
        Self::Denied,
        Self::OutputConflict,
        Self::ResourceExhausted,
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
            Self::OutputConflict => "OUTPUT_CONFLICT",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Cancelled => "CANCELLED",
            Self::Internal => "INTERNAL",
        }
    }
}
