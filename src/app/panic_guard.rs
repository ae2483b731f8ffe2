//! A panic in a call is an answer to that call, and to no other.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::app::run::runs::RunError;

/// The output of a call, or [`RunError::Fault`] where it panics: a panic would end its connection, and with it the other
/// calls on it.
///
/// # Errors
/// Where the call panics.
pub async fn catch_panic<T>(call: impl Future<Output = T>) -> Result<T, RunError> {
    AssertUnwindSafe(call).catch_unwind().await.map_err(|_| RunError::Fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told() {
        let fault = catch_panic::<()>(async { panic!("as a test") }).await.unwrap_err();
        assert!(matches!(fault, RunError::Fault) && fault.to_string().contains("hint: "));
        assert_eq!(catch_panic(async { 1 }).await.unwrap(), 1);
    }
}
