//! Started by Dagster Pipes, `materialize` tells what happened in the protocol's messages.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::{Value, json};

use crate::support::{Folder, batch, ints, texts};

fn packed(value: &Value) -> String {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(value.to_string().as_bytes()).unwrap();
    BASE64_STANDARD.encode(zlib.finish().unwrap())
}

fn folder(yaml: &str) -> Folder {
    let folder = Folder::new();
    folder.parquet("c.parquet", &batch([("customer_id", texts(["a", "b"])), ("active_days", ints([3, 30]))]));
    folder.text("component.yaml", yaml);
    folder
}

/// Runs as Dagster does, and gives the messages.
fn run(folder: &Folder, context: &Value) -> (Output, Vec<(String, Value)>) {
    folder.text("context.json", &context.to_string());
    folder.text("messages.jsonl", "");
    let at = |name: &str| folder.path(name).display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_customer-health"))
        .current_dir(folder.path(""))
        .args(["materialize", "component.yaml"])
        .env("DAGSTER_PIPES_CONTEXT", packed(&json!({"path": at("context.json")})))
        .env("DAGSTER_PIPES_MESSAGES", packed(&json!({"path": at("messages.jsonl")})))
        .output()
        .unwrap();
    (output, messages(&folder.path("messages.jsonl")))
}

fn messages(path: &Path) -> Vec<(String, Value)> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| {
        let mut message: Value = serde_json::from_str(line).unwrap();
        assert_eq!(message["__dagster_pipes_version"], "0.1");
        (message["method"].as_str().unwrap().to_owned(), message["params"].take())
    });
    lines.collect()
}

fn of<'a>(messages: &'a [(String, Value)], method: &str) -> Vec<&'a Value> {
    messages.iter().filter(|(name, _)| name == method).map(|(_, params)| params).collect()
}

#[test]
fn a_materialization_is_reported_with_logs_checks_and_the_tables_beside_it() {
    let folder = folder(
        "asset_name: scores\noutput: out.parquet\ninputs: {customer: c.parquet}\nfan_out: {churn_risk: true}\n\
         customer_data_asset_key: crm/customers\n",
    );
    let context = json!({
        "asset_keys": ["crm/scores", "crm/scores_churn_risk"], "run_id": "d-1", "job_name": null,
        "partition_key": "2025-01-03", "extras": {"checks": ["scores_in_range"]},
        "partition_time_window": {"start": "2025-01-03T00:00:00+00:00", "end": "2025-01-04T00:00:00+00:00"},
    });
    let (output, messages) = run(&folder, &context);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(messages.first().unwrap().0, "opened");
    assert_eq!(messages.last().unwrap(), &("closed".to_owned(), json!({})));
    assert_eq!(of(&messages, "closed").len(), 1);
    assert!(!of(&messages, "log").is_empty());

    let told = of(&messages, "report_asset_materialization");
    let keys: Vec<_> = told.iter().map(|params| params["asset_key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["crm/scores", "crm/scores_churn_risk"]);
    let metadata = &told[0]["metadata"];
    assert_eq!(metadata["dagster/partition_row_count"], json!({"raw_value": 2, "type": "int"}));
    assert_eq!(told[0]["data_version"].as_str().unwrap().len(), 64);
    assert!(metadata["average_health_score"]["raw_value"].is_f64(), "{metadata}");
    let deps = &metadata["dagster/column_lineage"]["raw_value"]["deps_by_column"];
    let source = json!([{"asset_key": ["crm", "customers"], "column_name": "active_days"}]);
    assert_eq!(deps["health_score"], source);

    let checks = of(&messages, "report_asset_check");
    assert_eq!(checks.len(), 1, "an undeclared check fails the step");
    assert_eq!((&checks[0]["check_name"], &checks[0]["passed"]), (&json!("scores_in_range"), &json!(true)));
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("run d-1, partition 2025-01-03"), "{report}");
    assert!(report.contains("scored as of 2025-01-03T23:59:59.999999Z"), "{report}");
}

/// Dagster is told of the check, and a step that failed besides would take the materialization's place.
#[test]
fn a_check_that_does_not_pass_is_reported_and_fails_no_step() {
    let folder = folder("asset_name: scores\noutput: out.parquet\ninputs: {customer: c.parquet}\n");
    folder.parquet("c.parquet", &batch([("customer_id", texts(Vec::<&str>::new()))]));
    let context = json!({"asset_keys": ["scores"], "extras": {"checks": ["row_count_positive"]}});
    let (output, messages) = run(&folder, &context);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(of(&messages, "report_asset_materialization").len(), 1);
    let checks = of(&messages, "report_asset_check");
    assert_eq!((&checks[0]["check_name"], &checks[0]["passed"]), (&json!("row_count_positive"), &json!(false)));
    assert_eq!(messages.last().unwrap(), &("closed".to_owned(), json!({})));
}

#[test]
fn a_failure_closes_with_its_reason_and_reports_nothing() {
    let folder = folder("asset_nam: scores\n");
    let (output, messages) = run(&folder, &json!({"asset_keys": ["scores"], "extras": {}}));
    assert_eq!(output.status.code(), Some(3));
    let methods: Vec<_> = messages.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(methods, ["opened", "closed"]);
    let exception = &messages[1].1["exception"];
    assert_eq!(exception["name"], "INVALID_COMPONENT");
    assert!(exception["message"].as_str().unwrap().contains("asset_nam"), "{exception}");
    assert_eq!((&exception["stack"], &exception["cause"]), (&json!([]), &Value::Null));
}

#[test]
fn what_cannot_be_told_to_dagster_keeps_no_table_back() {
    let folder = folder("output: out.parquet\ninputs: {customer: c.parquet}\n");
    for (context, messages) in [("nonsense", "nonsense"), ("eJw=", "eJw="), ("", "x")] {
        let run = Command::new(env!("CARGO_BIN_EXE_customer-health"))
            .current_dir(folder.path(""))
            .args(["materialize", "component.yaml"])
            .env("DAGSTER_PIPES_CONTEXT", context)
            .env("DAGSTER_PIPES_MESSAGES", messages)
            .output()
            .unwrap();
        assert!(run.status.success());
        let told = String::from_utf8(run.stderr).unwrap();
        assert!(told.contains("warning: DAGSTER_PIPES_CONTEXT") && told.contains("Dagster is told nothing"), "{told}");
    }
}
