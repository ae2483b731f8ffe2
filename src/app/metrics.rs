//! Numbers for the operator: counted while the server works, and told as OpenMetrics text.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::engine::Stage;
use crate::error::ErrorKind;

/// Outcome of a run that went well; the others are the reasons of failures.
const OK: &str = "OK";

/// Ends of the histograms' buckets, in seconds: from what a small file takes to what a large one does.
const SECONDS: [f64; 13] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1_800.0, 3_600.0];

type Label = [(&'static str, &'static str); 1];

/// The numbers of a server; copies count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    runs: Family<Label, Counter>,
    run_seconds: Histogram,
    stage_seconds: Family<Label, Histogram, fn() -> Histogram>,
    rows: Counter,
    running: Gauge,
    queued: Gauge,
    memory: Gauge,
    spilled: Counter,
    uploaded: Counter,
    upload_held: Gauge,
    /// Reads the numbers that are not counted but looked up.
    source: OnceLock<Box<dyn Fn() -> Reading + Send + Sync>>,
}

/// Numbers that are looked up for each scrape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Runs and explanations that work.
    pub running: usize,
    /// Runs and explanations that wait for their turn.
    pub queued: usize,
    /// Bytes of memory that are reserved in the engine.
    pub memory: usize,
    /// Bytes that were spilled to disk so far.
    pub spilled: u64,
    /// Bytes of inputs that came along with calls so far.
    pub uploaded: u64,
    /// Bytes that those take on disk now.
    pub upload_held: u64,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("customer_health");
        let (running, queued, memory, upload_held) =
            (Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default());
        let (rows, spilled, uploaded) = (Counter::default(), Counter::default(), Counter::default());
        let runs = Family::<Label, Counter>::default();
        let run_seconds = new_histogram();
        let stage_seconds = Family::<Label, Histogram, fn() -> Histogram>::new_with_constructor(new_histogram);
        registry.register("runs", "Runs that ended, by outcome: OK or the reason of the failure", runs.clone());
        let (seconds, bytes) = (|| Unit::Seconds, || Unit::Bytes);
        registry.register_with_unit("run", "Time of a run, without its wait", seconds(), run_seconds.clone());
        registry.register_with_unit("stage", "Time of a run's stage", seconds(), stage_seconds.clone());
        registry.register("rows_scored", "Customers scored", rows.clone());
        registry.register("runs_running", "Runs and explanations that work", running.clone());
        registry.register("runs_queued", "Runs and explanations that wait for their turn", queued.clone());
        let told = "Memory that runs have reserved for grouping, sorting and joining";
        registry.register_with_unit("memory_reserved", told, bytes(), memory.clone());
        registry.register_with_unit("spilled", "Written to disk for want of memory", bytes(), spilled.clone());
        registry.register_with_unit("uploaded", "Inputs that came along with calls", bytes(), uploaded.clone());
        let told = "Disk that inputs which came along take now";
        registry.register_with_unit("uploads_held", told, bytes(), upload_held.clone());
        // From zero on, so that the first failure of a kind is an increase.
        for outcome in ErrorKind::ALL.into_iter().map(ErrorKind::reason).chain([OK]) {
            drop(runs.get_or_create(&[("outcome", outcome)]));
        }
        for stage in Stage::ALL {
            drop(stage_seconds.get_or_create(&[("stage", stage.as_str())]));
        }
        Self(Arc::new(Inner {
            registry,
            runs,
            run_seconds,
            stage_seconds,
            rows,
            running,
            queued,
            memory,
            spilled,
            uploaded,
            upload_held,
            source: OnceLock::new(),
        }))
    }
}

fn new_histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// Counts a run that ended, or that was asked for and never began.
    pub(crate) fn count_run(&self, failure: Option<ErrorKind>) {
        self.0.runs.get_or_create(&[("outcome", failure.map_or(OK, ErrorKind::reason))]).inc();
    }

    /// Notes how long a run worked.
    pub(crate) fn observe_run(&self, elapsed: Duration) {
        self.0.run_seconds.observe(elapsed.as_secs_f64());
    }

    /// Notes how long a stage took.
    pub(crate) fn observe_stage(&self, stage: Stage, elapsed: Duration) {
        self.0.stage_seconds.get_or_create(&[("stage", stage.as_str())]).observe(elapsed.as_secs_f64());
    }

    /// Counts rows that were scored.
    pub(crate) fn count_rows(&self, more: u64) {
        self.0.rows.inc_by(more);
    }

    /// Sets the source of the other numbers. They belong to one server: a second source is ignored.
    pub(crate) fn read_from(&self, source: impl Fn() -> Reading + Send + Sync + 'static) {
        // Fails only for the second source.
        let _ = self.0.source.set(Box::new(source));
    }

    /// All numbers as OpenMetrics text.
    pub fn text(&self) -> String {
        let inner = &*self.0;
        let reading = inner.source.get().map(|read| read()).unwrap_or_default();
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        inner.running.set(gauge(reading.running as u64));
        inner.queued.set(gauge(reading.queued as u64));
        inner.memory.set(gauge(reading.memory as u64));
        inner.upload_held.set(gauge(reading.upload_held));
        inner.spilled.inner().store(reading.spilled, Ordering::Relaxed);
        inner.uploaded.inner().store(reading.uploaded, Ordering::Relaxed);
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = encode(&mut text, &inner.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_zero_and_have_their_units() {
        let metrics = Metrics::default();
        metrics.count_run(Some(ErrorKind::NotFound));
        metrics.observe_stage(Stage::Score, Duration::from_millis(20));
        metrics.read_from(|| Reading { spilled: 7, ..Reading::default() });
        let text = metrics.text();
        for line in [
            "customer_health_runs_total{outcome=\"NOT_FOUND\"} 1",
            "customer_health_runs_total{outcome=\"OK\"} 0",
            "customer_health_stage_seconds_bucket{le=\"0.03\",stage=\"score\"} 1",
            "customer_health_stage_seconds_count{stage=\"check\"} 0",
            "customer_health_spilled_bytes_total 7",
            "customer_health_memory_reserved_bytes 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
