//! A fault of this program is an answer to the call that met it, and to no other.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tonic::Status;

use crate::app::run::runs::RunError;
use crate::wire::status::of_run;

/// The outcome of a call, also where it panics: a panic would end its connection, and with it the other calls on it.
///
/// # Errors
/// What the call says, or that it panicked.
pub async fn guarded<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let outcome = AssertUnwindSafe(call).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(of_run(&RunError::Fault)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told() {
        let status = guarded::<()>(async { panic!("as a test") }).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Internal);
        assert!(status.message().contains("hint: "));
        assert_eq!(guarded(async { Ok(1) }).await.unwrap(), 1);
    }
}
