//! Why a cluster did not do its work.

use crate::error::ErrorKind;
use crate::shown::told;

/// Why a cluster did not do its work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", told(self.message(), Some(self.hint)))]
pub struct ClusterError {
    /// `HOST:PORT` of the scheduler.
    pub scheduler: String,
    /// What went wrong, in the scheduler's words where it has some.
    pub reason: String,
    /// The way out.
    pub hint: &'static str,
    /// What sort of failure it is.
    pub kind: ErrorKind,
}

impl ClusterError {
    /// What went wrong, without the way out.
    pub fn message(&self) -> String {
        format!("Ballista scheduler {}: {}", self.scheduler, self.reason)
    }
}
