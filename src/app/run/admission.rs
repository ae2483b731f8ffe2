//! Who may run now: so many at once, so many waiting, and one at a time for each output.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::app::run::runs::RunError;

/// How much a server does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Runs and explanations that work at once, at least 1.
    pub max_runs: usize,
    /// Runs and explanations that wait for their turn; what comes on top is refused.
    pub max_queued: usize,
}

impl Default for Limits {
    /// As many runs as there are processors, and 64 that wait.
    fn default() -> Self {
        Self { max_runs: std::thread::available_parallelism().map_or(1, NonZeroUsize::get), max_queued: 64 }
    }
}

/// The door of a server.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    places: Arc<Semaphore>,
    working: Arc<Semaphore>,
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
    // None only where a semaphore is closed, which nobody does.
    _working: Option<OwnedSemaphorePermit>,
    _place: Place,
}

impl Admission {
    /// A door with these limits.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { max_runs: limits.max_runs.clamp(1, Semaphore::MAX_PERMITS), ..limits };
        let places = limits.max_runs.saturating_add(limits.max_queued).min(Semaphore::MAX_PERMITS);
        Self {
            limits,
            places: Arc::new(Semaphore::new(places)),
            working: Arc::new(Semaphore::new(limits.max_runs)),
            outputs: Mutex::default(),
        }
    }

    /// How many work, and how many wait.
    pub fn load(&self) -> (usize, usize) {
        let Limits { max_runs, max_queued } = self.limits;
        let places = max_runs.saturating_add(max_queued).min(Semaphore::MAX_PERMITS);
        let inside = places.saturating_sub(self.places.available_permits());
        let working = max_runs.saturating_sub(self.working.available_permits());
        (working, inside.saturating_sub(working))
    }

    /// A place, where one is left.
    ///
    /// # Errors
    /// [`RunError::Full`] where none is.
    pub fn enter(&self) -> Result<Place, RunError> {
        let Limits { max_runs, max_queued } = self.limits;
        let permit = self.places.clone().try_acquire_owned();
        permit.map(|_permit| Place { _permit }).map_err(|_| RunError::Full { max_runs, max_queued })
    }

    /// Waits until nobody writes the output, then until fewer than the most are working.
    ///
    /// In this order, whoever holds an output waits for work only, and whoever works waits for nothing.
    pub async fn turn(&self, place: Place, output: Option<PathBuf>) -> Turn {
        let output = match output {
            Some(path) => Some(self.output(path).lock_owned().await),
            None => None,
        };
        let working = self.working.clone().acquire_owned().await.ok();
        Turn { _output: output, _working: working, _place: place }
    }

    fn output(&self, path: PathBuf) -> Arc<TurnMutex<()>> {
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
        let door = Admission::new(Limits { max_runs: 1, max_queued: 1 });
        let (first, second) = (door.enter().unwrap(), door.enter().unwrap());
        assert!(matches!(door.enter(), Err(RunError::Full { max_runs: 1, max_queued: 1 })));
        let first = door.turn(first, None).now_or_never().unwrap();
        let mut waiting = Box::pin(door.turn(second, None));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(door.load(), (1, 1));
        drop(first);
        assert!(waiting.now_or_never().is_some());
        assert!(door.enter().is_ok());
    }

    #[test]
    fn an_output_has_one_writer_and_its_queue_keeps_no_other_waiting() {
        let door = Admission::new(Limits { max_runs: 2, max_queued: 2 });
        let turn = |path: &str| door.turn(door.enter().unwrap(), Some(path.into()));
        let first = turn("a").now_or_never().unwrap();
        let mut second = Box::pin(turn("a"));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(turn("b").now_or_never().is_some());
        drop(first);
        assert!(second.now_or_never().is_some());
        assert!(door.output("c".into()).try_lock().is_ok());
        assert_eq!(door.outputs.lock().unwrap().len(), 1, "outputs that nobody writes are forgotten");
    }
}
