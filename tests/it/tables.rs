//! What a run tells beside the scores: tables that fan out, checks, lineage, versions, and facts for the record.

use std::collections::BTreeMap;
use std::fs;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use customer_health::client::{Client, Notice};
use customer_health::error::ErrorKind;
use customer_health::proto::{
    Check, CheckSeverity, Input, InputOverride, MaterializeRequest, MaterializeResult, OutputOverride, Table,
};

use crate::support::{Folder, Running, batch, ints, read_parquet, source, texts};

const FANNED: &str = "asset_name: scores\noutput: out/scores.parquet\nfan_out: {churn_risk: true, expansion: exp.parquet}\n\
     inputs: {customer: c.parquet}\ncustomer_data_asset_key: crm/customers\n";
const PLAIN: &str = "output: out/scores.parquet\ninputs: {customer: c.parquet}\n";

fn folder() -> Folder {
    let folder = Folder::new();
    let ids: Vec<String> = (0..100).map(|row| format!("c{row:02}")).collect();
    let table = batch([
        ("customer_id", texts(ids.iter().map(String::as_str))),
        ("last_login_days", ints(0..100)),
        ("active_days", ints((0..100).map(|row| 31 - row / 3))),
        ("region", texts((0..100).map(|row| ["eu", "us"][row % 2]))),
    ]);
    folder.parquet("c.parquet", &table);
    folder
}

fn asking(text: &str, folder: &Folder) -> MaterializeRequest {
    MaterializeRequest {
        component: source(text, &folder.path("")),
        as_of: Some(prost_types::Timestamp { seconds: 1_750_000_000, nanos: 0 }),
        ..Default::default()
    }
}

async fn run(client: &mut Client, request: MaterializeRequest) -> MaterializeResult {
    client.materialize(request, |_| ()).await.unwrap_or_else(|error| panic!("{error}"))
}

fn health(table: &RecordBatch) -> Vec<f64> {
    table.column_by_name("health_score").unwrap().as_primitive::<Float64Type>().values().to_vec()
}

fn flagged(table: &RecordBatch, flag: &str) -> usize {
    table.column_by_name(flag).unwrap().as_boolean().true_count()
}

#[tokio::test]
async fn tables_that_fan_out_hold_the_flagged_rows_in_order() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let text = FANNED.to_owned() + "churn_risk_threshold: 55\nexpansion_opportunity_threshold: 57\n";
    let mut request = asking(&text, &folder);
    let result = run(&mut client, request.clone()).await;
    let told: Vec<_> = result.outputs.iter().map(|o| (o.table(), o.asset_name.as_str(), o.rows)).collect();
    let names: Vec<_> = result.outputs.iter().map(|output| output.table_name.as_str()).collect();
    assert_eq!(names, ["scores", "churn_risk", "expansion"]);
    let scores = read_parquet(&folder.path("out/scores.parquet"));
    let churn = read_parquet(&folder.path("out/scores_churn_risk.parquet"));
    let expansion = read_parquet(&folder.path("exp.parquet"));
    assert_eq!(
        told,
        [
            (Table::Scores, "scores", 100),
            (Table::ChurnRisk, "scores_churn_risk", churn.num_rows() as u64),
            (Table::Expansion, "scores_expansion", expansion.num_rows() as u64),
        ]
    );
    assert_eq!(churn.schema().fields(), scores.schema().fields());
    assert!(churn.num_rows() > 1 && expansion.num_rows() > 1, "{told:?}");
    for (table, flag) in [(&churn, "is_churn_risk"), (&expansion, "is_expansion_opportunity")] {
        assert_eq!(flagged(table, flag), table.num_rows());
        assert_eq!(flagged(&scores, flag), table.num_rows());
    }
    assert!(health(&churn).is_sorted(), "the worst come first");
    assert!(health(&expansion).iter().rev().is_sorted(), "the best come first");

    request.outputs =
        vec![OutputOverride { table: Table::ChurnRisk.into(), path: "moved.parquet".to_owned(), ..Default::default() }];
    run(&mut client, request.clone()).await;
    assert_eq!(health(&read_parquet(&folder.path("moved.parquet"))), health(&churn));
    // The same by the table's name, as a caller says it whose contract has no value for the table.
    request.outputs = vec![OutputOverride {
        table_name: "churn_risk".to_owned(),
        path: "named.parquet".to_owned(),
        ..Default::default()
    }];
    run(&mut client, request).await;
    assert_eq!(health(&read_parquet(&folder.path("named.parquet"))), health(&churn));
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn each_number_is_told_by_table_and_name_as_well() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let result = run(&mut client, MaterializeRequest { run_checks: true, ..asking(FANNED, &folder) }).await;
    let report = result.report.unwrap();
    let mut measures = report.measures;
    let mut take = |table: &str, name: &str, labels: &[(&str, &str)]| {
        let labels: std::collections::BTreeMap<String, String> =
            labels.iter().map(|(kind, of)| ((*kind).to_owned(), (*of).to_owned())).collect();
        let found = measures.iter().position(|m| m.table == table && m.name == name && m.labels == labels);
        measures.remove(found.unwrap_or_else(|| panic!("no {name} {labels:?} of {table}"))).value
    };
    assert_eq!(result.outputs.len(), 3);
    for output in &result.outputs {
        assert_eq!(take(&output.table_name, "rows", &[]), output.rows as f64);
        assert_eq!(take(&output.table_name, "bytes", &[]), output.bytes as f64);
    }
    assert_eq!(take("scores", "customers", &[]), 100.0);
    let scores = report.scores.unwrap();
    for (name, value) in [("mean", scores.mean), ("median", scores.median), ("min", scores.min), ("max", scores.max)] {
        assert_eq!(take("scores", "health_score", &[("statistic", name)]), value);
    }
    assert!(!report.categories.is_empty() && !report.checks.is_empty());
    for category in &report.categories {
        assert_eq!(take("scores", "customers", &[("category", category.name.as_str())]), category.customers as f64);
    }
    assert_eq!(take("scores", "churn_risks", &[]), report.churn_risks as f64);
    assert_eq!(take("scores", "expansion_opportunities", &[]), report.expansion_opportunities as f64);
    assert_eq!(take("scores", "churn_risk_cutoff", &[]), report.churn_risk_cutoff);
    assert_eq!(take("scores", "expansion_opportunity_cutoff", &[]), report.expansion_opportunity_cutoff);
    if let Some(customers) = report.flags_beside_categories {
        assert_eq!(take("scores", "flags_beside_categories", &[]), customers as f64);
    }
    for check in &report.checks {
        assert_eq!(take("scores", "check", &[("check", check.name.as_str())]), f64::from(u8::from(check.passed)));
        for (fact, value) in &check.facts {
            assert_eq!(
                take("scores", "check_fact", &[("check", check.name.as_str()), ("fact", fact.as_str())]),
                *value
            );
        }
    }
    assert_eq!(measures, [], "no number but those of the report");
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn no_two_tables_may_be_one_file() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    for place in ["out/scores.parquet", "c.parquet", "exp.parquet"] {
        let mut request = asking(FANNED, &folder);
        request.outputs =
            vec![OutputOverride { table: Table::ChurnRisk.into(), path: place.to_owned(), ..Default::default() }];
        let error = client.materialize(request, |_| ()).await.unwrap_err();
        assert!([ErrorKind::InvalidComponent, ErrorKind::OutputConflict].contains(&error.kind), "{place}: {error:?}");
    }
    assert!(!folder.path("out/scores.parquet").exists() && !folder.path("exp.parquet").exists());
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn checks_come_with_the_run_that_asks_for_them() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    assert!(run(&mut client, asking(PLAIN, &folder)).await.report.unwrap().checks.is_empty());
    let request = MaterializeRequest { run_checks: true, preview_rows: 2, ..asking(PLAIN, &folder) };
    let report = run(&mut client, request.clone()).await.report.unwrap();
    let checks: BTreeMap<&str, &Check> = report.checks.iter().map(|check| (check.name.as_str(), check)).collect();
    let errors = ["customer_id_unique_not_null", "scores_in_range", "flags_match_category", "row_count_positive"];
    let warnings = ["weights_sum_to_one", "inputs_have_expected_columns", "neutral_share", "texts_mapped"];
    assert_eq!(checks.len(), errors.len() + warnings.len());
    for name in errors {
        assert!(checks[name].passed && checks[name].severity() == CheckSeverity::Error, "{:?}", checks[name]);
    }
    for name in warnings {
        assert_eq!((checks[name].passed, checks[name].severity()), (name != "neutral_share", CheckSeverity::Warn));
    }
    assert_eq!(checks["neutral_share"].facts["payment_health"], 1.0);
    let preview: serde_json::Value = serde_json::from_str(&report.preview_json).unwrap();
    assert_eq!(preview.as_array().unwrap().len(), 2);
    assert!(preview[0]["health_score"].is_number(), "{preview}");

    // Weights that do not sum to 1, an input without any field, and no row at all.
    let empty = batch([("customer_id", texts(Vec::<&str>::new())), ("colour", texts(Vec::<&str>::new()))]);
    folder.parquet("c.parquet", &empty);
    let text = PLAIN.to_owned() + "engagement_weight: 0.9\n";
    let request = MaterializeRequest { component: source(&text, &folder.path("")), allow_empty: true, ..request };
    let report = run(&mut client, request).await.report.unwrap();
    let failed: Vec<&str> =
        report.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect();
    assert_eq!(failed, ["row_count_positive", "weights_sum_to_one", "inputs_have_expected_columns"]);
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn columns_tell_where_they_come_from_and_schemas_are_arrow() {
    let (running, folder) = (Running::start().await, folder());
    let result = run(&mut running.client().await, asking(FANNED, &folder)).await;
    for output in &result.outputs {
        let lineage: BTreeMap<&str, Vec<(&str, &str)>> = output
            .lineage
            .iter()
            .map(|one| {
                let sources = one.sources.iter().map(|s| (s.asset_key.as_str(), s.column.as_str()));
                (one.column.as_str(), sources.collect())
            })
            .collect();
        assert_eq!(lineage["customer_id"], [("crm/customers", "customer_id")]);
        let engagement = vec![("crm/customers", "active_days"), ("crm/customers", "last_login_days")];
        assert_eq!(lineage["engagement_score"], engagement);
        assert_eq!(lineage["health_score"], engagement);
        assert_eq!(lineage["payment_health_score"], [], "it has no input");
        assert_eq!(lineage["calculated_at"], [], "it comes from the run");
        assert_eq!(lineage.len(), output.columns.len());
        let schema = arrow::ipc::convert::try_schema_from_ipc_buffer(&output.arrow_schema).unwrap();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, output.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>());
        assert!(output.uri.starts_with("file:///") && output.uri.ends_with(".parquet"), "{}", output.uri);
    }
    running.stop().await;
}

#[tokio::test]
async fn the_data_version_changes_with_data_and_settings_only() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let mut version = async |text: &str, day: i64| {
        let seconds = 1_750_000_000 + day * 86_400;
        let as_of = Some(prost_types::Timestamp { seconds, nanos: 0 });
        let report = run(&mut client, MaterializeRequest { as_of, ..asking(text, &folder) }).await.report.unwrap();
        (report.data_version, report.config_hash)
    };
    let first = version(PLAIN, 0).await;
    assert_eq!((first.0.len(), first.1.len()), (64, 64));
    assert_eq!(version(PLAIN, 0).await, first);
    assert_eq!(version(PLAIN, 1).await, first, "nothing here depends on the time");
    fs::copy(folder.path("c.parquet"), folder.path("same.parquet")).unwrap();
    assert_eq!(version(&PLAIN.replace("c.parquet", "same.parquet"), 0).await, first, "the name does not count");
    let described = PLAIN.to_owned() + "description: how they fare\nowners: [team:success]\n";
    assert_eq!(version(&described, 0).await, first, "facts about the asset do not count");

    let weighted = version(&(PLAIN.to_owned() + "engagement_weight: 0.9\n"), 0).await;
    assert!(weighted.0 != first.0 && weighted.1 != first.1);
    let filtered = version(&PLAIN.replace("c.parquet", "{path: c.parquet, where: \"region = 'eu'\"}"), 0).await;
    assert!(filtered.0 != first.0 && filtered.1 != first.1);
    folder.parquet("c.parquet", &batch([("customer_id", texts(["a"])), ("active_days", ints([3]))]));
    let other = version(PLAIN, 0).await;
    assert!(other.0 != first.0 && other.1 == first.1);
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_partition_is_put_on_record_and_narrows_what_is_read() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let text = PLAIN.replace("c.parquet", "{path: c.parquet, where: last_login_days < 50}");
    let request = MaterializeRequest {
        partition_key: "eu".to_owned(),
        tags: [("dagster/job".to_owned(), "nightly".to_owned())].into(),
        inputs: vec![InputOverride {
            input: Input::Customer.into(),
            r#where: "region = 'eu'".to_owned(),
            ..Default::default()
        }],
        output: "eu.parquet".to_owned(),
        ..asking(&text, &folder)
    };
    let mut lines = Vec::new();
    let on_notice = |notice| {
        if let Notice::Log(line) = notice {
            lines.push(line.message);
        }
    };
    let report = client.materialize(request.clone(), on_notice).await.unwrap().report.unwrap();
    assert_eq!((report.partition_key.as_str(), report.customers), ("eu", 25), "both conditions hold");
    assert_eq!(report.tags["dagster/job"], "nightly");
    assert!(lines.iter().any(|line| line.contains("customer")), "{lines:?}");
    let file = fs::File::open(folder.path("eu.parquet")).unwrap();
    let reader = parquet::file::reader::SerializedFileReader::new(file).unwrap();
    let facts = parquet::file::reader::FileReader::metadata(&reader).file_metadata().key_value_metadata().unwrap();
    assert!(facts.iter().any(|fact| fact.value.as_deref() == Some("eu")), "{facts:?}");

    // A condition reaches only its own input's columns, and is one expression.
    for condition in ["nobody = 1", "1 = 1) OR (1 = 1", "(SELECT 1) = 1", "region"] {
        let mut request = request.clone();
        request.inputs[0].r#where = condition.to_owned();
        let error = client.materialize(request, |_| ()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidComponent, "{condition}: {error}");
    }
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn the_trend_may_read_another_runs_scores() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let mut monday = MaterializeRequest { output: "monday.parquet".to_owned(), ..asking(PLAIN, &folder) };
    monday.as_of.as_mut().unwrap().seconds -= 60;
    run(&mut client, monday).await;
    let mut monday = health(&read_parquet(&folder.path("monday.parquet")));
    let tuesday = MaterializeRequest {
        output: "tuesday.parquet".to_owned(),
        history: "monday.parquet".to_owned(),
        analysis_period_days: Some(7),
        ..asking(&(PLAIN.to_owned() + "calculate_trend: true\n"), &folder)
    };
    run(&mut client, tuesday).await;
    let table = read_parquet(&folder.path("tuesday.parquet"));
    let previous = table.column_by_name("previous_health_score").unwrap();
    assert_eq!(previous.null_count(), 0);
    let mut previous = previous.as_primitive::<Float64Type>().values().to_vec();
    monday.sort_by(f64::total_cmp);
    previous.sort_by(f64::total_cmp);
    assert_eq!(previous, monday);
    let mut tuesday = health(&table);
    tuesday.sort_by(f64::total_cmp);
    assert_ne!(tuesday, monday, "the analysis period counts");
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_preview_is_bounded_in_rows_and_in_bytes() {
    let (running, folder) = (Running::start().await, folder());
    let mut client = running.client().await;
    let mut shown = async |ids: Vec<String>| {
        let logins: Vec<i64> = (0..).take(ids.len()).collect();
        folder.parquet(
            "c.parquet",
            &batch([("customer_id", texts(ids.iter().map(String::as_str))), ("login_frequency", ints(logins))]),
        );
        let request = MaterializeRequest { preview_rows: 500, allow_empty: true, ..asking(PLAIN, &folder) };
        let text = run(&mut client, request).await.report.unwrap().preview_json;
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!(rows.iter().all(|row| row["health_score"].is_number()));
        (rows.len(), text.len())
    };
    assert_eq!(shown((0..600).map(|number| number.to_string()).collect()).await.0, 500);
    let (rows, bytes) = shown((0..600).map(|number| format!("{number:04000}")).collect()).await;
    assert!((200..300).contains(&rows) && bytes <= 1 << 20, "{rows} rows, {bytes} bytes");
    assert_eq!(shown(vec![]).await.0, 0);
    drop(client);
    running.stop().await;
}
