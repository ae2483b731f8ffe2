//! Who may run now: so many at once, so many waiting, and one at a time for each output.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::app::run::runs::RunError;

/// How much a server does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// Runs and explanations that work at once, at least 1.
    pub max_runs: usize,
    /// Runs and explanations that wait for their turn; what comes on top is refused.
    pub max_queued: usize,
}

impl Default for RunLimits {
    /// As many runs as there are processors, and 64 that wait.
    fn default() -> Self {
        Self { max_runs: std::thread::available_parallelism().map_or(1, NonZeroUsize::get), max_queued: 64 }
    }
}

/// Admits runs and explanations of a server.
#[derive(Debug)]
pub struct Admission {
    limits: RunLimits,
    places: Arc<Semaphore>,
    working: Arc<Semaphore>,
    /// A lock for each output that a run writes or waits for.
    outputs: Mutex<HashMap<PathBuf, Weak<TurnMutex<()>>>>,
}

/// A place among those that work or wait, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// The right to work, given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _output: Option<OwnedMutexGuard<()>>,
    // None only where the semaphore is closed, which no code does.
    _working: Option<OwnedSemaphorePermit>,
    _place: Place,
}

impl Admission {
    /// Admission with these limits.
    pub fn new(limits: RunLimits) -> Self {
        let limits = RunLimits { max_runs: limits.max_runs.clamp(1, Semaphore::MAX_PERMITS), ..limits };
        let places = limits.max_runs.saturating_add(limits.max_queued).min(Semaphore::MAX_PERMITS);
        Self {
            limits,
            places: Arc::new(Semaphore::new(places)),
            working: Arc::new(Semaphore::new(limits.max_runs)),
            outputs: Mutex::default(),
        }
    }

    /// Counts those that work, and those that wait.
    pub fn count_load(&self) -> (usize, usize) {
        let RunLimits { max_runs, max_queued } = self.limits;
        let places = max_runs.saturating_add(max_queued).min(Semaphore::MAX_PERMITS);
        let inside = places.saturating_sub(self.places.available_permits());
        let working = max_runs.saturating_sub(self.working.available_permits());
        (working, inside.saturating_sub(working))
    }

    /// Takes a place, where one is left.
    ///
    /// # Errors
    /// [`RunError::Full`] where none is.
    pub fn take_place(&self) -> Result<Place, RunError> {
        let RunLimits { max_runs, max_queued } = self.limits;
        let permit = self.places.clone().try_acquire_owned();
        permit.map(|_permit| Place { _permit }).map_err(|_| RunError::Full { max_runs, max_queued })
    }

    /// Waits until no other run writes the output, then until fewer than the limit are working.
    ///
    /// In this order there is no deadlock: a run that holds an output waits only for its turn to work, and a run that works
    /// waits for nothing.
    pub async fn wait_for_turn(&self, place: Place, output: Option<PathBuf>) -> Turn {
        let output = match output {
            Some(path) => Some(self.output_lock(path).lock_owned().await),
            None => None,
        };
        let working = self.working.clone().acquire_owned().await.ok();
        Turn { _output: output, _working: working, _place: place }
    }

    fn output_lock(&self, path: PathBuf) -> Arc<TurnMutex<()>> {
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = outputs.get(&path).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        outputs.insert(path, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_goes_beyond_work_and_queue_is_refused_until_a_place_is_free() {
        let admission = Admission::new(RunLimits { max_runs: 1, max_queued: 1 });
        let (first, second) = (admission.take_place().unwrap(), admission.take_place().unwrap());
        assert!(matches!(admission.take_place(), Err(RunError::Full { max_runs: 1, max_queued: 1 })));
        let first = admission.wait_for_turn(first, None).now_or_never().unwrap();
        let mut waiting = Box::pin(admission.wait_for_turn(second, None));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(admission.count_load(), (1, 1));
        drop(first);
        assert!(waiting.now_or_never().is_some());
        assert!(admission.take_place().is_ok());
    }

    #[test]
    fn an_output_has_one_writer_and_its_queue_keeps_no_other_waiting() {
        let admission = Admission::new(RunLimits { max_runs: 2, max_queued: 2 });
        let turn = |path: &str| admission.wait_for_turn(admission.take_place().unwrap(), Some(path.into()));
        let first = turn("a").now_or_never().unwrap();
        let mut second = Box::pin(turn("a"));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(turn("b").now_or_never().is_some());
        drop(first);
        assert!(second.now_or_never().is_some());
        assert!(admission.output_lock("c".into()).try_lock().is_ok());
        assert_eq!(admission.outputs.lock().unwrap().len(), 1, "outputs that nobody writes are forgotten");
    }
}
