//! The failure of a plan that took a customer's rows in an input for one.

use datafusion::error::DataFusionError;

use crate::error::cause;

/// A customer has two rows where each was taken to have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a customer has several rows in one input")]
pub struct Repeats;

/// Whether that is what an error comes from.
pub fn repeats_of(error: &DataFusionError) -> bool {
    cause::<Repeats>(error).is_some()
}
