//! Watches files that may change while a server runs, and tells of each edit of a component.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::app::catalog::{Catalog, Change};

/// How often files are looked at, by their content. Notifications of the system would be quicker, but do not come from
/// network file systems, nor through the links by which a ConfigMap is swapped.
const INTERVAL: Duration = Duration::from_secs(1);

/// Calls `refresh` at every interval, for ever.
pub async fn poll_files(refresh: impl Fn()) {
    let mut ticks = start_ticks();
    loop {
        ticks.tick().await;
        refresh();
    }
}

/// Reads the folder of components at every interval, for ever; each change is logged and handed to `report`.
pub async fn watch_catalog<F: Future<Output = ()>>(catalog: Arc<Catalog>, mut report: impl FnMut(Change) -> F) {
    let mut ticks = start_ticks();
    let mut readable = true;
    loop {
        ticks.tick().await;
        match catalog.refresh() {
            Ok(()) => readable = true,
            Err(error) if readable => {
                readable = false;
                tracing::error!("the folder of components cannot be read, what was read before is kept: {error}");
            }
            Err(_) => {}
        }
        for change in catalog.take_changes() {
            log_change(&change);
            report(change).await;
        }
    }
}

fn start_ticks() -> Interval {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn log_change(Change { name, problem, kept, gone }: &Change) {
    match (problem, kept) {
        (Some(problem), true) => tracing::error!(component = name, "broken, its last good text is kept: {problem}"),
        (Some(problem), false) => tracing::error!(component = name, "broken, it cannot be used: {problem}"),
        (None, _) if *gone => tracing::info!(component = name, "removed"),
        (None, _) => tracing::info!(component = name, "read"),
    }
}
