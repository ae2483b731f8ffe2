//! Tasks in the background of a server that have to live as long as it does: one that ends, ends the server.

use std::future::pending;

use tokio::task::JoinSet;

use crate::error::ErrorKind;

/// A task in the background that ended before the server did.
#[derive(Debug, thiserror::Error)]
#[error(
    "{task} ended and the server cannot go on without it: {reason}\nhint: start the server again; its log has more"
)]
pub struct TaskEnded {
    /// The task, such as `the metrics server`.
    pub task: &'static str,
    /// Why it ended.
    pub reason: String,
}

impl TaskEnded {
    /// Always [`ErrorKind::Internal`]: these tasks have no end of their own.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// Tasks without an end of their own; dropping them aborts them.
#[derive(Debug, Default)]
pub struct BackgroundTasks {
    tasks: JoinSet<TaskEnded>,
}

impl BackgroundTasks {
    /// Spawns a task. Its output says why it ended.
    pub fn spawn<T: Into<EndReason> + 'static>(
        &mut self,
        task: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) {
        // In a task of its own, so that a panic in it has the task's name.
        self.tasks.spawn(async move {
            let mut inner = JoinSet::new();
            inner.spawn(async move {
                let reason: EndReason = work.await.into();
                reason.0
            });
            let reason = match inner.join_next().await {
                Some(Ok(reason)) => reason,
                Some(Err(error)) if error.is_panic() => "it panicked".to_owned(),
                Some(Err(_)) | None => "it was aborted".to_owned(),
            };
            TaskEnded { task, reason }
        });
    }

    /// Waits until a task ends, which none does while all is well.
    pub async fn wait_for_end(&mut self) -> TaskEnded {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(ended)) => return ended,
                // The runtime is shutting down, or there are no tasks.
                Some(Err(_)) => {}
                None => pending().await,
            }
        }
    }
}

/// Why a task ended that had no reason to.
pub struct EndReason(String);

impl From<()> for EndReason {
    fn from((): ()) -> Self {
        Self("it returned".to_owned())
    }
}

impl<E: std::error::Error> From<Result<(), E>> for EndReason {
    fn from(outcome: Result<(), E>) -> Self {
        outcome.map_or_else(|error| Self(error.to_string()), Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures::FutureExt;

    use super::*;

    async fn fail() {
        panic!("as a test")
    }

    #[tokio::test]
    async fn a_task_that_ends_in_whatever_way_is_told_by_name_and_reason() {
        let mut tasks = BackgroundTasks::default();
        assert!(tasks.wait_for_end().now_or_never().is_none());
        tasks.spawn("the one that lives", pending::<()>());
        tasks.spawn("the metrics server", async { Err::<(), _>(io::Error::other("no more connections")) });
        let ended = tasks.wait_for_end().await;
        assert_eq!((ended.task, ended.reason.as_str()), ("the metrics server", "no more connections"));
        tasks.spawn("the watch", fail());
        assert_eq!(tasks.wait_for_end().await.reason, "it panicked");
        tasks.spawn("the watch", async {});
        assert_eq!(tasks.wait_for_end().await.reason, "it returned");
        assert!(tasks.wait_for_end().now_or_never().is_none());
    }
}
