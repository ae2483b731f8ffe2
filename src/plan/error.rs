//! What can go wrong before a plan exists.

use datafusion::error::DataFusionError;

use crate::component::ComponentError;
use crate::error::ErrorKind;
use crate::scorecard::InputName;

/// Why no plan could be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The component's SQL or column names do not fit the inputs.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// An input has no column that could be the key.
    #[error("input `{input}` ({path}): no key column: expected `customer_id`, or one of {}{}", aliases.join(", "), columns_hint(columns))]
    NoKey {
        /// The input.
        input: InputName,
        /// Its path.
        path: String,
        /// Names that would have done.
        aliases: Vec<String>,
        /// Columns that it has.
        columns: Vec<String>,
    },
    /// A column has a type that cannot be used for what it is there for.
    #[error("input `{input}` ({path}): column `{column}` has the type {found}, expected {expected}\n  hint: {hint}")]
    ColumnType {
        /// The input.
        input: InputName,
        /// Its path.
        path: String,
        /// The column.
        column: String,
        /// Its Arrow type.
        found: String,
        /// Types that would do.
        expected: &'static str,
        /// The way out.
        hint: String,
    },
    /// The earlier scores are not a table of scores.
    #[error("history ({path}): expected the columns `customer_id` and `health_score`, found: {}\n  hint: name an earlier output of this component", columns.join(", "))]
    History {
        /// Path of the history.
        path: String,
        /// Columns that it has.
        columns: Vec<String>,
    },
    /// The plan could not be put together: a fault of this program.
    #[error(
        "the scores could not be planned: {0}\n  hint: this is a fault of the program; please report it with your component.yaml"
    )]
    Internal(#[from] DataFusionError),
}

impl PlanError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Component(error) => error.kind(),
            Self::NoKey { .. } | Self::ColumnType { .. } | Self::History { .. } => ErrorKind::InvalidInput,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}

fn columns_hint(columns: &[String]) -> String {
    format!("\n  hint: name it with `key:`; the columns are: {}", columns.join(", "))
}
