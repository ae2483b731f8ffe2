//! Those who are told how a run gets on: all calls that wait for it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::{Event, Observer, Stage};

/// The observers of a run, who may come while it works.
#[derive(Default)]
pub struct Listeners(Mutex<Told>);

#[derive(Default)]
struct Told {
    stage: Option<Stage>,
    observers: Vec<Observer>,
}

impl Listeners {
    /// Tells one more, who first hears of the stage that the run is in.
    pub fn add(&self, observer: Observer) {
        let mut told = self.told();
        if let Some(stage) = told.stage {
            observer(Event::Started(stage));
        }
        told.observers.push(observer);
    }

    /// Tells all.
    pub fn tell(&self, event: &Event) {
        let mut told = self.told();
        if let Event::Started(stage) = event {
            told.stage = Some(*stage);
        }
        told.observers.iter().for_each(|observer| observer(event.clone()));
    }

    /// Lets all go, so that streams that they hold open can end.
    pub fn close(&self) {
        self.told().observers.clear();
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("stage", &self.told().stage).finish_non_exhaustive()
    }
}
