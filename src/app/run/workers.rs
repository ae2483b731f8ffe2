//! The threads that runs work on, apart from those that answer calls, health and signals: work that blocks its thread holds up
//! other work and nothing else.

use std::future::{Future, pending};
use std::io;
use std::panic::resume_unwind;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

/// Threads for work; dropping them does not wait for the work.
#[derive(Debug)]
pub struct Workers {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Workers {
    /// As many threads as there are processors.
    ///
    /// # Errors
    /// Where the system has no threads to give.
    pub fn new() -> io::Result<Self> {
        Self::build(Builder::new_multi_thread().thread_name("work"))
    }

    fn build(builder: &mut Builder) -> io::Result<Self> {
        let runtime = builder.enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Spawns work that is waited for in other ways.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs work to its end; a panic in it goes on here. Dropping the future aborts the work.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let task = self.handle.spawn(work);
        let _guard = AbortOnDrop(task.abort_handle());
        match task.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The threads are gone, and the caller is about to hear that the server stops.
            Err(_) => pending().await,
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::app::panic_guard::catch_panic;
    use crate::app::run::runs::RunError;

    #[tokio::test]
    async fn work_that_never_lets_go_of_its_thread_holds_up_nobody_else() {
        let workers = Workers::build(Builder::new_multi_thread().worker_threads(1)).unwrap();
        let start = Instant::now();
        let stuck = workers.run(async { std::thread::sleep(Duration::from_secs(30)) });
        assert!(timeout(Duration::from_millis(50), stuck).await.is_err());
        sleep(Duration::from_millis(1)).await;
        drop(workers);
        assert!(start.elapsed() < Duration::from_secs(10), "it was waited for");
    }

    #[tokio::test]
    async fn a_panic_is_the_callers_and_the_threads_go_on() {
        let workers = Workers::build(Builder::new_multi_thread().worker_threads(1)).unwrap();
        let fault = catch_panic::<()>(workers.run(async { panic!("as a test") })).await;
        assert!(matches!(fault, Err(RunError::Fault)));
        assert_eq!(workers.run(async { 1 }).await, 1);
    }
}
