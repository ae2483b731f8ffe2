//! Progress on stderr: a spinner where a person watches, plain lines where a log does.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::print::{self, Lines};
use crate::client::Notice;
use crate::wire::proto::Stage;

/// Shortest time between two plain lines about rows.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far a run is.
#[derive(Debug)]
pub struct Progress {
    shown: Shown,
    /// Warnings that the summary will tell, unless the run fails before there is one; `None` tells them at once.
    held: Option<Vec<String>>,
}

#[derive(Debug)]
enum Shown {
    Not,
    Spinner(ProgressBar),
    Lines { last: Option<(Stage, Instant)> },
}

impl Progress {
    /// Shows nothing where `quiet`; `summary` says that warnings are told in a summary at the end.
    pub fn new(quiet: bool, summary: bool) -> Self {
        let shown = if quiet {
            Shown::Not
        } else if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
            let spinner = ProgressBar::new_spinner();
            spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            spinner.enable_steady_tick(Duration::from_millis(100));
            Shown::Spinner(spinner)
        } else {
            Shown::Lines { last: None }
        };
        Self { shown, held: summary.then(Vec::new) }
    }

    /// Takes in what the server told.
    pub fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Progress(progress) => self.stage(progress.stage(), progress.rows),
            Notice::Warning(warning) => match &mut self.held {
                Some(held) => held.push(warning.message),
                None => self.line(&format!("warning: {}", warning.message)),
            },
            // For orchestrators; the summary tells people the same. Nothing is sent back as chunks here.
            Notice::Log(_) | Notice::Chunk(_) => {}
        }
    }

    /// Takes the spinner away, before anything else is written.
    pub fn finish(&mut self) {
        if let Shown::Spinner(spinner) = &self.shown {
            spinner.finish_and_clear();
        }
    }

    /// Tells the warnings that no summary will tell, because the run failed.
    pub fn finish_without_summary(&mut self) {
        self.finish();
        for warning in self.held.take().unwrap_or_default() {
            self.line(&format!("warning: {warning}"));
        }
    }

    fn stage(&mut self, stage: Stage, rows: u64) {
        match &mut self.shown {
            Shown::Not => {}
            Shown::Spinner(spinner) => spinner.set_message(message(stage, rows)),
            Shown::Lines { last } => {
                let now = Instant::now();
                let due = last.is_none_or(|(before, at)| before != stage || now.duration_since(at) >= LINE_EVERY);
                if due {
                    *last = Some((stage, now));
                    print::stderr(&Lines::one(message(stage, rows)));
                }
            }
        }
    }

    fn line(&self, text: &str) {
        match &self.shown {
            Shown::Not => {}
            Shown::Spinner(spinner) => spinner.suspend(|| print::stderr(&Lines::one(text))),
            Shown::Lines { .. } => print::stderr(&Lines::one(text)),
        }
    }
}

fn message(stage: Stage, rows: u64) -> String {
    let doing = match stage {
        Stage::Unspecified => "working",
        Stage::Open => "opening inputs",
        Stage::Profile => "counting rows",
        Stage::Population => "finding population statistics",
        Stage::Score => "scoring customers",
        Stage::Publish => "publishing",
        Stage::Check => "checking the table",
    };
    if rows == 0 { doing.to_owned() } else { format!("{doing}: {}", HumanCount(rows)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_stage_and_the_rows() {
        assert_eq!(message(Stage::Open, 0), "opening inputs");
        assert_eq!(message(Stage::Score, 12_345), "scoring customers: 12,345");
    }
}
