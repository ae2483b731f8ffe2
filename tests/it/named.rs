//! Components that the server was started with: asked for by name, read anew when they change.

use std::fs;
use std::time::Duration;

use customer_health::client::Client;
use customer_health::engine::{EngineConfig, Roots};
use customer_health::error::ErrorKind;
use customer_health::grpc::ServerConfig;
use customer_health::proto::component_source::Source;
use customer_health::proto::{ComponentSource, MaterializeSyncRequest};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Folder, Running, batch, ints, texts};

fn asking(name: &str) -> MaterializeSyncRequest {
    let component = ComponentSource { source: Some(Source::Name(name.to_owned())), ..Default::default() };
    MaterializeSyncRequest { component: Some(component), ..Default::default() }
}

async fn asset(client: &mut Client, name: &str) -> String {
    client.materialize_sync(asking(name)).await.unwrap().asset_name
}

#[tokio::test]
async fn an_edit_counts_a_broken_one_does_not_and_health_tells() {
    let folder = Folder::new();
    folder.parquet("c.parquet", &batch([("customer_id", texts(["a"])), ("active_days", ints([3]))]));
    let text = |name: &str| format!("asset_name: {name}\ninputs: {{customer: c.parquet}}\noutput: out.parquet\n");
    folder.text("crm.yaml", &text("first"));
    let engine = EngineConfig { roots: Some(Roots::new([folder.path("")]).unwrap()), ..ServerConfig::default().engine };
    let components = Some(folder.path(""));
    let running = Running::with(ServerConfig { engine, components, ..ServerConfig::default() }).await;
    let mut client = running.client().await;
    assert_eq!(asset(&mut client, "crm").await, "first");
    folder.text("crm.yaml", &text("second"));
    assert_eq!(asset(&mut client, "crm").await, "second");

    let mut health = HealthClient::new(running.channel().await);
    let asked = HealthCheckRequest { service: "component/crm".to_owned() };
    folder.text("crm.yaml", "asset_nam: third\n");
    assert_eq!(asset(&mut client, "crm").await, "second", "the last good text is kept");
    for (wanted, before) in [(ServingStatus::NotServing, ""), (ServingStatus::Serving, "fourth")] {
        if !before.is_empty() {
            folder.text("crm.yaml", &text(before));
        }
        let patience = tokio::time::timeout(Duration::from_secs(10), async {
            while health.check(asked.clone()).await.ok().map(|answer| answer.into_inner().status()) != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        patience.await.unwrap_or_else(|_| panic!("health never said {wanted:?}"));
    }
    assert_eq!(asset(&mut client, "crm").await, "fourth");

    let error = client.materialize_sync(asking("crn")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("no component `crn`") && error.message.contains("did you mean `crm`?"), "{error}");
    fs::remove_file(folder.path("crm.yaml")).unwrap();
    assert_eq!(client.materialize_sync(asking("crm")).await.unwrap_err().kind, ErrorKind::NotFound);
    drop((client, health));
    running.stop().await;
}

#[tokio::test]
async fn a_server_without_components_says_so() {
    let running = Running::start().await;
    let error = running.client().await.materialize_sync(asking("crm")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("serve --components DIR"), "{error}");
    running.stop().await;
}
