//! Why a stranger's file is not taken, and the way out.

use super::ipc_file::ArrowFault;
use super::limits::LimitExceeded;
use super::parquet_footer::ParquetFault;
use super::text::TextError;

/// Why a file, or an input of several, is not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// A Parquet file promises what is not believed, or would take too much memory.
    #[error("{fault}")]
    Parquet {
        /// Which of an input's files it is, where it has several.
        file: Option<String>,
        /// What is wrong with it.
        fault: ParquetFault,
    },
    /// An Arrow IPC file makes a reader allocate or seek what it has not.
    #[error("{fault}")]
    Arrow {
        /// Which of an input's files it is, where it has several.
        file: Option<String>,
        /// What is wrong with it.
        fault: ArrowFault,
    },
    /// A text file is not what its format says.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The input is larger than the engine takes.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl IntakeError {
    /// Path of the file that it is about, where it is one of several.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Parquet { file, .. } | Self::Arrow { file, .. } => file.as_deref(),
            Self::Text(_) | Self::Limit(_) => None,
        }
    }

    /// What is wrong, told beside the path that the component gives.
    pub fn reason_for(&self, path: &str) -> String {
        match self {
            Self::Text(error) => error.reason_for(path),
            Self::Parquet { .. } | Self::Arrow { .. } | Self::Limit(_) => self.to_string(),
        }
    }

    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Parquet { fault, .. } => fault.hint(),
            Self::Arrow { fault, .. } => fault.hint(),
            Self::Text(error) => error.hint(),
            Self::Limit(exceeded) => exceeded.hint(),
        }
    }
}

impl From<ParquetFault> for IntakeError {
    fn from(fault: ParquetFault) -> Self {
        Self::Parquet { file: None, fault }
    }
}
