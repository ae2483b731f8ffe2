//! One run as the operator sees it: its span, its lines in the log, its numbers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::app::metrics::Metrics;
use crate::component::Component;
use crate::engine::{EngineError, Event, RunReport, RunRequest, Stage};
use crate::error::ErrorKind;

/// Target of the lines of a run: the operators' filters know it, wherever the code stands.
const LINES: &str = "customer_health::service::observed";

/// A run that is watched; one that is dropped before its end was given up.
#[derive(Debug)]
pub struct Observed {
    watch: Arc<Watch>,
    /// Cancelled when the server gives up all runs.
    stop: CancellationToken,
}

/// What is told while a run works.
#[derive(Debug)]
pub struct Watch {
    span: Span,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    /// The stage that works, since when, and its span, which ends when it is dropped.
    stage: Option<(Stage, Instant, Span)>,
    rows: u64,
    ended: bool,
}

impl Observed {
    /// A run that was admitted and waits for its turn.
    ///
    /// Its span is that of an error, so that no level of the log leaves it out: each line of a run has its id.
    pub fn new(component: &Component, run: &RunRequest, metrics: Metrics, stop: CancellationToken) -> Self {
        let span = tracing::error_span!(
            target: "customer_health::run",
            "run",
            run_id = run.run_id,
            asset = component.asset().name,
            partition_key = run.partition_key,
            "otel.status_code" = tracing::field::Empty,
            "error.type" = tracing::field::Empty,
        );
        span.in_scope(|| tracing::info!(target: LINES, "run admitted"));
        Self { watch: Arc::new(Watch { span, metrics, state: Mutex::default() }), stop }
    }

    /// The span for all that the run does.
    pub fn span(&self) -> Span {
        self.watch.span.clone()
    }

    /// What hears of the run's events.
    pub fn watch(&self) -> Arc<Watch> {
        self.watch.clone()
    }

    /// Notes that the run has its turn.
    pub fn begin(&self) {
        self.watch.state().began = Some(Instant::now());
        tracing::info!(target: LINES, "run started");
    }

    /// Notes how the run ended.
    pub fn end(&self, outcome: Result<&RunReport, &EngineError>) {
        match outcome {
            Ok(report) => {
                let seconds = self.watch.end(None);
                tracing::info!(target: LINES, rows = report.customers, seconds, output = report.output.path, "run done");
            }
            Err(error) => {
                let seconds = self.watch.end(Some(error.kind()));
                tracing::warn!(target: LINES, reason = error.kind().reason(), seconds, "run failed: {error}");
            }
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if self.watch.state().ended {
            return;
        }
        let kind = match std::thread::panicking() {
            true => ErrorKind::Internal,
            false if self.stop.is_cancelled() => ErrorKind::Unavailable,
            false => ErrorKind::Cancelled,
        };
        let seconds = self.watch.end(Some(kind));
        self.watch.span.in_scope(|| match kind {
            ErrorKind::Internal => {
                tracing::error!(target: LINES, reason = kind.reason(), seconds, "run failed by a panic")
            }
            _ => tracing::info!(target: LINES, reason = kind.reason(), seconds, "run given up"),
        });
    }
}

impl Watch {
    /// Notes an event.
    pub fn hear(&self, event: &Event) {
        match event {
            Event::Started(stage) => {
                let name = stage.as_str();
                let span = tracing::info_span!(
                    target: "customer_health::stage", parent: &self.span, "stage", "otel.name" = name, stage = name
                );
                let mut state = self.state();
                self.end_stage(&mut state);
                state.stage = Some((*stage, Instant::now(), span));
                self.span.in_scope(|| tracing::info!(target: LINES, stage = name, "stage started"));
            }
            Event::Rows(rows) => {
                let mut state = self.state();
                self.metrics.rows(rows.saturating_sub(state.rows));
                state.rows = *rows;
            }
            Event::Warning(text) => self.span.in_scope(|| tracing::warn!(target: LINES, "{text}")),
            Event::Log(text) => self.span.in_scope(|| tracing::info!(target: LINES, "{text}")),
        }
    }

    fn end_stage(&self, state: &mut State) {
        if let Some((stage, since, _span)) = state.stage.take() {
            self.metrics.stage(stage, since.elapsed());
        }
    }

    /// Ends the run, and tells how many seconds it worked.
    fn end(&self, failure: Option<ErrorKind>) -> f64 {
        let mut state = self.state();
        state.ended = true;
        self.end_stage(&mut state);
        self.metrics.ended(failure);
        if let Some(kind) = failure {
            self.span.record("otel.status_code", "ERROR").record("error.type", kind.reason());
        }
        let Some(began) = state.began else { return 0.0 };
        self.metrics.worked(began.elapsed());
        began.elapsed().as_secs_f64()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
