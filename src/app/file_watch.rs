//! Watches files that may change while a server runs, and tells of each edit of a component in log and health.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::app::catalog::{Catalog, Change};

/// How often files are looked at, by their content. Notifications of the system would be quicker, but do not come from network file
/// systems, nor through the links by which a ConfigMap is swapped.
const EVERY: Duration = Duration::from_secs(1);

/// What stands before a component's name in health.
const PREFIX: &str = "component/";

/// Looks at something, for ever.
pub async fn often(look: impl Fn()) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        look();
    }
}

/// Looks at the folder of components, for ever.
pub async fn watch(catalog: Arc<Catalog>, mut health: HealthReporter) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
        for change in catalog.changes() {
            tell(&change);
            report(&change, &mut health).await;
        }
    }
}

fn tell(Change { name, problem, kept, gone }: &Change) {
    match (problem, kept) {
        (Some(problem), true) => tracing::error!(component = name, "broken, its last good text is kept: {problem}"),
        (Some(problem), false) => tracing::error!(component = name, "broken, it cannot be used: {problem}"),
        (None, _) if *gone => tracing::info!(component = name, "removed"),
        (None, _) => tracing::info!(component = name, "read"),
    }
}

async fn report(change: &Change, health: &mut HealthReporter) {
    let service = format!("{PREFIX}{}", change.name);
    if change.gone {
        health.clear_service_status(&service).await;
        return;
    }
    let status = if change.problem.is_some() { ServingStatus::NotServing } else { ServingStatus::Serving };
    health.set_service_status(service, status).await;
}
