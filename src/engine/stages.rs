//! How long the stages of a run take, told as they begin.

use std::time::Instant;

use super::Observer;
use super::report::{Event, Stage, StageReport};

/// Times the stages of a run and tells of each.
pub struct Stages<'a> {
    observer: &'a Observer,
    /// Stages that have ended.
    pub ended: Vec<StageReport>,
    current: Option<(Stage, Instant)>,
}

impl<'a> Stages<'a> {
    /// No stage yet.
    pub fn new(observer: &'a Observer) -> Self {
        Self { observer, ended: Vec::new(), current: None }
    }

    /// Ends the current stage and begins another.
    pub fn begin(&mut self, stage: Stage) {
        self.end();
        (self.observer)(Event::Started(stage));
        self.current = Some((stage, Instant::now()));
    }

    /// Tells a line for the log.
    pub fn log(&self, line: String) {
        (self.observer)(Event::Log(line));
    }

    /// Ends the current stage.
    pub fn end(&mut self) {
        if let Some((stage, since)) = self.current.take() {
            let elapsed = since.elapsed();
            // A run that has to begin again goes through its stages twice.
            match self.ended.iter_mut().find(|ended| ended.stage == stage) {
                Some(ended) => ended.elapsed += elapsed,
                None => self.ended.push(StageReport { stage, elapsed }),
            }
        }
    }
}
