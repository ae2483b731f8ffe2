//! Why a run does not succeed.

use datafusion::error::DataFusionError;

use crate::component::{Component, ComponentError, Problem};
use crate::error::ErrorKind;
use crate::io::IoError;
use crate::plan::PlanError;
use crate::shown::told;

const EMPTIED: &str = "look at the inputs, the as-of time and the period; `--allow-empty` (`allow_empty` in a request) \
                       replaces it all the same";
const NO_CUSTOMER: &str = "keys are compared as text, trimmed, in upper and lower case as they are";

/// Why a run did not succeed; each table is whole, and as it was but for those that [`IoError::PartlyPublished`] names.
///
/// Shown as text, names in it are escaped, so that each keeps to its line.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The component is wrong.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// Inputs cannot be opened, or their columns do not do; all that is wrong with them is told together.
    #[error("{problems}")]
    Inputs {
        /// All of it, with places.
        problems: ComponentError,
        /// What sort of failure the first of them is.
        kind: ErrorKind,
    },
    /// A file or a store does not do, memory or disk ran out, or the program is at fault.
    #[error(transparent)]
    Io(#[from] IoError),
    /// There is nobody to score, and the table that would be replaced has customers.
    #[error("{}", self.text())]
    Emptied {
        /// The table.
        path: String,
        /// Its rows.
        rows: u64,
        /// What became of the rows that were read, of each input.
        lost: Vec<String>,
    },
    /// The customer to be explained is in no input.
    #[error("{}", self.text())]
    NoCustomer {
        /// The customer's id.
        customer: String,
    },
}

impl EngineError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Component(error) => error.kind(),
            Self::Inputs { kind, .. } => *kind,
            Self::Io(error) => error.kind(),
            Self::Emptied { .. } => ErrorKind::InvalidInput,
            Self::NoCustomer { .. } => ErrorKind::NotFound,
        }
    }

    /// Problems of the component with their places, where that is what is wrong.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Component(error) | Self::Inputs { problems: error, .. } => &error.problems,
            Self::Io(_) | Self::Emptied { .. } | Self::NoCustomer { .. } => &[],
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
            if let Self::Component(problems) | Self::Inputs { problems, .. } = error {
                return problems.problems;
            }
            let (message, hint) = error.message_and_hint();
            vec![component.problem(&path, message, hint)]
        };
        let problems = also.iter().cloned().chain(errors.into_iter().flat_map(placed)).collect();
        Self::Inputs { problems: ComponentError::new(problems), kind }
    }

    /// What is wrong, and the way out, with names as they are; of problems with places their text, which has both.
    pub fn message_and_hint(&self) -> (String, Option<String>) {
        let (message, hint) = match self {
            Self::Component(problems) | Self::Inputs { problems, .. } => return (problems.to_string(), None),
            Self::Io(error) => (error.message(), error.hint()),
            Self::Emptied { path, rows, lost } => (
                format!(
                    "no customer has a row that counts, and the table at {path} has {rows}: it stays as it is; {}",
                    lost.join("; ")
                ),
                EMPTIED.to_owned(),
            ),
            Self::NoCustomer { customer } => {
                (format!("customer `{customer}` is in none of the inputs"), NO_CUSTOMER.to_owned())
            }
        };
        (message, Some(hint))
    }

    fn text(&self) -> String {
        let (message, hint) = self.message_and_hint();
        told(message, hint.as_deref())
    }

    /// DataFusion's error while doing something that no input explains.
    pub fn internal(during: &'static str, error: DataFusionError) -> Self {
        IoError::internal(during, error).into()
    }

    /// DataFusion's error while reading a file.
    pub fn unreadable(role: &str, path: &str, error: DataFusionError) -> Self {
        IoError::unreadable(role, path, error).into()
    }
}

impl From<PlanError> for EngineError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Component(error) => Self::Component(error),
            PlanError::Unfit(problems) => Self::Inputs { problems, kind: ErrorKind::InvalidInput },
            PlanError::Internal(error) => Self::internal("planning the scores", error),
        }
    }
}
