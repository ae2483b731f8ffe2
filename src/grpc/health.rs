//! What the standard health service says: of the server, and of each component that it knows by name.

use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::handler::Handler;
use crate::app::catalog::Change;
use crate::wire::proto::customer_health_service_server::CustomerHealthServiceServer;

/// What stands before a component's name.
const COMPONENT_PREFIX: &str = "component/";

/// Sets the status of the server and of its one service.
pub async fn report_server(reporter: &HealthReporter, status: ServingStatus) {
    reporter.set_service_status("", status).await;
    reporter.set_service_status(CustomerHealthServiceServer::<Handler>::NAME, status).await;
}

/// Sets the status of a component whose file has changed.
pub async fn report_component(mut reporter: HealthReporter, change: Change) {
    let service = format!("{COMPONENT_PREFIX}{}", change.name);
    if change.gone {
        reporter.clear_service_status(&service).await;
        return;
    }
    let status = if change.problem.is_some() { ServingStatus::NotServing } else { ServingStatus::Serving };
    reporter.set_service_status(service, status).await;
}
