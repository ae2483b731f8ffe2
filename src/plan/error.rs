//! What can go wrong before a plan exists.

use datafusion::error::DataFusionError;

use crate::component::ComponentError;
use crate::error::ErrorKind;
use crate::shown::shown;

/// Why no plan could be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The component's SQL or column names do not fit the inputs.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// Inputs, or the earlier scores, whose columns do not do.
    #[error(transparent)]
    Unfit(ComponentError),
    /// The plan could not be put together: a fault of this program.
    #[error("the scores could not be planned: {}", shown(.0))]
    Internal(#[from] DataFusionError),
}

impl PlanError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Component(error) => error.kind(),
            Self::Unfit(_) => ErrorKind::InvalidInput,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}
