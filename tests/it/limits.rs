//! Limits: what exceeds one is refused by its name and flag, and what is within it is served.

use std::time::{Duration, Instant};

use customer_health::engine::{Engine, EngineConfig, EngineError, RunReport, RunRequest};
use customer_health::error::ErrorKind;
use customer_health::proto::ListScorecardsRequest;
use customer_health::proto::customer_health_service_client::CustomerHealthServiceClient;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Folder, Served, batch, block_on, ints, silent, texts};

const YAML: &str = "inputs: {customer: c.parquet}\n";

fn folder(rows: usize) -> Folder {
    let folder = Folder::new();
    let ids: Vec<String> = (0..rows).map(|row| format!("customer {row:08}")).collect();
    let days = ints((0..rows as i64).map(|row| row % 31));
    let table = batch([("customer_id", texts(ids.iter().map(String::as_str))), ("active_days", days)]);
    folder.parquet("c.parquet", &table);
    folder.arrow("c.arrow", &table);
    folder.text("c.csv", &format!("customer_id,active_days\n{}", "a,1\n".repeat(rows)));
    folder
}

fn run(folder: &Folder, yaml: &str, config: EngineConfig) -> Result<RunReport, EngineError> {
    let component = folder.component(yaml);
    block_on(Engine::new(config).unwrap().materialize(&component, &RunRequest::new(), &silent()))
}

#[track_caller]
fn refused(folder: &Folder, yaml: &str, config: EngineConfig, flag: &str, kind: ErrorKind) {
    folder.text("out.parquet", "the old table");
    let error = run(folder, yaml, config).expect_err(flag);
    let told = error.to_string();
    assert!(told.contains(flag) && told.contains("hint: "), "{told}");
    assert_eq!(error.kind(), kind, "{told}");
    assert_eq!(std::fs::read(folder.path("out.parquet")).unwrap(), b"the old table");
}

#[test]
fn too_many_rows_are_refused_in_every_format() {
    let folder = folder(100);
    for file in ["c.parquet", "c.arrow", "c.csv"] {
        let yaml = format!("inputs: {{customer: {file}}}\n");
        let limited = |rows| EngineConfig { max_rows: Some(rows), ..EngineConfig::default() };
        refused(&folder, &yaml, limited(99), "--max-rows", ErrorKind::InvalidInput);
        run(&folder, &yaml, limited(100)).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn too_many_bytes_are_refused_packed_or_not() {
    let folder = folder(10_000);
    let limited = EngineConfig { max_input_bytes: Some(1_000), ..EngineConfig::default() };
    refused(&folder, YAML, limited.clone(), "--max-input-bytes", ErrorKind::InvalidInput);
    refused(&folder, "inputs: {customer: c.csv}\n", limited, "--max-input-bytes", ErrorKind::InvalidInput);
}

#[test]
fn memory_and_temporary_files_have_limits_of_their_own() {
    let folder = folder(60_000);
    // Every customer twice, so that rows have to be grouped.
    let yaml = "inputs: {customer: c.parquet, usage: c.parquet}\n";
    let temp = tempfile::tempdir().unwrap();
    let tight = |memory, disk| EngineConfig {
        memory_limit: Some(memory),
        temp_limit: Some(disk),
        temp_dir: Some(temp.path().to_owned()),
        ..EngineConfig::default()
    };
    refused(&folder, yaml, tight(2 << 20, 1 << 10), "--temp-limit", ErrorKind::ResourceExhausted);
    refused(&folder, yaml, tight(1 << 10, 1 << 30), "--memory-limit", ErrorKind::ResourceExhausted);
    run(&folder, yaml, tight(64 << 20, 1 << 30)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(temp.path().read_dir().unwrap().count(), 0, "temporary files are left");
}

#[test]
fn the_deepest_expression_that_is_taken_can_be_evaluated() {
    let folder = folder(3);
    let sum = format!("active_days{}", " + 0".repeat(198));
    let yaml = |sum: &str| format!("inputs:\n  customer: {{path: c.parquet, fields: {{active_days: '{sum}'}}}}\n");
    folder.score(&yaml(&sum));
    let error = folder.try_component(&yaml(&format!("{sum} + 0 + 0 + 0"))).unwrap_err().to_string();
    assert!(error.contains("more than 200 operations inside of one another"), "{error}");
}

#[test]
fn yaml_that_grows_is_refused_before_it_does() {
    let folder = Folder::new();
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        text += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    let error = folder.try_component(&text).unwrap_err().to_string();
    assert!(error.contains("those that aliases stand for") && error.contains("hint: "), "{error}");
    let error = folder.try_component(&"[".repeat(100_000)).unwrap_err().to_string();
    assert!(error.contains("inside of one another"), "{error}");
    let error = folder.try_component(&"# long\n".repeat(200_000)).unwrap_err().to_string();
    assert!(error.contains("at most 1048576 are taken"), "{error}");
}

#[test]
fn a_record_without_end_is_refused_at_once() {
    let folder = folder(1);
    // Files with holes in them: gigabytes that take no disk.
    let hollow = |name: &str, begin: &str, bytes: u64| {
        folder.text(name, begin);
        std::fs::File::options().write(true).open(folder.path(name)).unwrap().set_len(bytes).unwrap();
    };
    hollow("quote.csv", "customer_id,active_days\nx,\"", 2 << 30);
    hollow("line.csv", "customer_id,active_days\nx,1\ny,", 2 << 30);
    hollow("line.json", "{\"customer_id\": \"x\"}\n{\"customer_id\": \"", 2 << 30);
    for (file, record) in [("quote.csv", 2), ("line.csv", 3), ("line.json", 2)] {
        let yaml = format!("inputs: {{customer: {file}}}\n");
        let since = Instant::now();
        let told = format!("record {record} is longer than 16777216 bytes");
        refused(&folder, &yaml, EngineConfig::default(), &told, ErrorKind::InvalidInput);
        assert!(since.elapsed() < Duration::from_secs(10), "{file}: {:?}", since.elapsed());
    }
    let columns: String = (0..3_000).map(|at| format!("c{at},")).collect();
    folder.text("wide.csv", &format!("{columns}customer_id\n"));
    let yaml = "inputs: {customer: wide.csv}\n";
    refused(&folder, yaml, EngineConfig::default(), "more than 2048 columns", ErrorKind::InvalidInput);
}

#[test]
fn calls_beyond_those_of_a_connection_wait_for_one_to_end() {
    for (most, waits) in [("1", true), ("2", false)] {
        let server = Served::start(&Folder::new(), &["--max-streams", most]);
        let connect = async || Channel::from_shared(server.uri.clone()).unwrap().connect().await.unwrap();
        block_on(async {
            let (channel, other) = (connect().await, connect().await);
            // It answers as long as somebody listens.
            let watched = HealthClient::new(channel.clone()).watch(HealthCheckRequest::default()).await.unwrap();
            let mut watched = watched.into_inner();
            watched.message().await.unwrap();
            let list = async |channel: &Channel, within| {
                let call = CustomerHealthServiceClient::new(channel.clone());
                timeout(within, async move { { call }.list_scorecards(ListScorecardsRequest {}).await.unwrap() }).await
            };
            assert!(list(&other, Duration::from_secs(10)).await.is_ok(), "another connection waits too");
            assert_eq!(list(&channel, Duration::from_millis(500)).await.is_err(), waits, "with {most}");
            drop(watched);
            assert!(list(&channel, Duration::from_secs(10)).await.is_ok(), "with {most}");
        });
        server.stop();
    }
}
