//! The events of a run, sent to every call that waits for it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::{Event, Observer, Stage};

/// Sends the events of a run to its observers, which may join while it works.
#[derive(Default)]
pub struct EventBroadcast(Mutex<State>);

#[derive(Default)]
struct State {
    stage: Option<Stage>,
    observers: Vec<Observer>,
}

impl EventBroadcast {
    /// Adds an observer, and sends it the stage that the run is in.
    pub fn subscribe(&self, observer: Observer) {
        let mut state = self.lock_state();
        if let Some(stage) = state.stage {
            observer(Event::Started(stage));
        }
        state.observers.push(observer);
    }

    /// Sends an event to all observers.
    pub fn send(&self, event: &Event) {
        let mut state = self.lock_state();
        if let Event::Started(stage) = event {
            state.stage = Some(*stage);
        }
        state.observers.iter().for_each(|observer| observer(event.clone()));
    }

    /// Drops all observers, so that streams that they hold open can end.
    pub fn close(&self) {
        self.lock_state().observers.clear();
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for EventBroadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBroadcast").field("stage", &self.lock_state().stage).finish_non_exhaustive()
    }
}
