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

/// Span, log lines and numbers of a run; dropped before the run's end, it tells that the run was given up.
#[derive(Debug)]
pub struct RunTelemetry {
    recorder: Arc<EventRecorder>,
    /// Cancelled when the server gives up all runs.
    stop: CancellationToken,
}

/// Records what happens while a run works.
#[derive(Debug)]
pub struct EventRecorder {
    span: Span,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    started: Option<Instant>,
    /// The stage that works, since when, and its span, which ends when it is dropped.
    stage: Option<(Stage, Instant, Span)>,
    rows: u64,
    ended: bool,
}

impl RunTelemetry {
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
        Self { recorder: Arc::new(EventRecorder { span, metrics, state: Mutex::default() }), stop }
    }

    /// The span for all that the run does.
    pub fn span(&self) -> Span {
        self.recorder.span.clone()
    }

    /// What records the run's events.
    pub fn recorder(&self) -> Arc<EventRecorder> {
        self.recorder.clone()
    }

    /// Records that the run has its turn.
    pub fn start(&self) {
        self.recorder.lock_state().started = Some(Instant::now());
        tracing::info!(target: LINES, "run started");
    }

    /// Records how the run ended.
    pub fn finish(&self, outcome: Result<&RunReport, &EngineError>) {
        match outcome {
            Ok(report) => {
                let seconds = self.recorder.end_run(None);
                tracing::info!(target: LINES, rows = report.customers, seconds, output = report.output.path, "run done");
            }
            Err(error) => {
                let seconds = self.recorder.end_run(Some(error.kind()));
                tracing::warn!(target: LINES, reason = error.kind().reason(), seconds, "run failed: {error}");
            }
        }
    }
}

impl Drop for RunTelemetry {
    fn drop(&mut self) {
        if self.recorder.lock_state().ended {
            return;
        }
        let kind = match std::thread::panicking() {
            true => ErrorKind::Internal,
            false if self.stop.is_cancelled() => ErrorKind::Unavailable,
            false => ErrorKind::Cancelled,
        };
        let seconds = self.recorder.end_run(Some(kind));
        self.recorder.span.in_scope(|| match kind {
            ErrorKind::Internal => {
                tracing::error!(target: LINES, reason = kind.reason(), seconds, "run failed by a panic")
            }
            _ => tracing::info!(target: LINES, reason = kind.reason(), seconds, "run given up"),
        });
    }
}

impl EventRecorder {
    /// Records an event.
    pub fn record(&self, event: &Event) {
        match event {
            Event::Started(stage) => {
                let name = stage.as_str();
                let span = tracing::info_span!(
                    target: "customer_health::stage", parent: &self.span, "stage", "otel.name" = name, stage = name
                );
                let mut state = self.lock_state();
                self.end_stage(&mut state);
                state.stage = Some((*stage, Instant::now(), span));
                self.span.in_scope(|| tracing::info!(target: LINES, stage = name, "stage started"));
            }
            Event::Rows(rows) => {
                let mut state = self.lock_state();
                self.metrics.count_rows(rows.saturating_sub(state.rows));
                state.rows = *rows;
            }
            Event::Warning(text) => self.span.in_scope(|| tracing::warn!(target: LINES, "{text}")),
            Event::Log(text) => self.span.in_scope(|| tracing::info!(target: LINES, "{text}")),
        }
    }

    fn end_stage(&self, state: &mut State) {
        if let Some((stage, since, _span)) = state.stage.take() {
            self.metrics.observe_stage(stage, since.elapsed());
        }
    }

    /// Ends the run, and returns how many seconds it worked.
    fn end_run(&self, failure: Option<ErrorKind>) -> f64 {
        let mut state = self.lock_state();
        state.ended = true;
        self.end_stage(&mut state);
        self.metrics.count_run(failure);
        if let Some(kind) = failure {
            self.span.record("otel.status_code", "ERROR").record("error.type", kind.reason());
        }
        let Some(started) = state.started else { return 0.0 };
        self.metrics.observe_run(started.elapsed());
        started.elapsed().as_secs_f64()
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
