//! The failure of a plan that took a customer's rows in an input for one.

use std::error::Error;

use datafusion::error::DataFusionError;

/// A customer has two rows where each was taken to have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a customer has several rows in one input")]
pub struct Repeats;

/// Whether that is what an error comes from.
pub fn repeats_of(error: &DataFusionError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Repeats>() {
            return true;
        }
        cause = error.source();
    }
    false
}
