//! The table as promised, seen by a reader that knows Parquet and nothing of this crate.

use std::fs::File;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;

use crate::support::{Folder, Run, Scores, batch, floats, ints, texts};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.parquet(
        "c.parquet",
        &batch([
            ("customer_id", texts(["a", "b", "c"])),
            ("last_login_days", ints([0, 10, 30])),
            ("active_days", ints([30, 10, 0])),
        ]),
    );
    folder
}

fn fields(scores: &Scores) -> Vec<(String, DataType, bool)> {
    let schema = scores.table.schema();
    schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone(), f.is_nullable())).collect()
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn expected(columns: &[(&str, DataType, bool)]) -> Vec<(String, DataType, bool)> {
    columns.iter().map(|(name, data_type, null)| ((*name).to_owned(), data_type.clone(), *null)).collect()
}

fn metadata(folder: &Folder) -> Arc<ParquetMetaData> {
    let file = File::open(folder.path("out.parquet")).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().metadata().clone()
}

#[test]
fn the_schema_is_exactly_the_promised_one() {
    let scores = folder().score("inputs: {customer: c.parquet}");
    assert_eq!(
        fields(&scores),
        expected(&[
            ("customer_id", DataType::Utf8, false),
            ("health_score", DataType::Float64, false),
            ("engagement_score", DataType::Float64, false),
            ("product_usage_score", DataType::Float64, false),
            ("payment_health_score", DataType::Float64, false),
            ("support_health_score", DataType::Float64, false),
            ("risk_category", DataType::Utf8, false),
            ("is_churn_risk", DataType::Boolean, false),
            ("is_expansion_opportunity", DataType::Boolean, false),
            ("calculated_at", utc(), false),
        ])
    );
    let told: Vec<_> = scores.report.output.columns.iter().map(|c| (c.name.clone(), c.nullable)).collect();
    let found: Vec<_> = fields(&scores).into_iter().map(|(name, _, null)| (name, null)).collect();
    assert_eq!(told, found, "the report tells the same");
}

#[test]
fn parquets_own_schema_says_required_utf8_and_utc() {
    let folder = folder();
    folder.score("inputs: {customer: c.parquet}");
    let metadata = metadata(&folder);
    let schema = metadata.file_metadata().schema_descr();
    let shown: Vec<String> = schema
        .columns()
        .iter()
        .map(|c| format!("{} {} {:?}", c.name(), c.max_def_level(), c.logical_type_ref()))
        .collect();
    assert_eq!(shown[0], "customer_id 0 Some(String)");
    assert!(shown.iter().all(|column| column.contains(" 0 ")), "all columns are required: {shown:?}");
    let time = shown.last().unwrap();
    assert!(time.contains("is_adjusted_to_u_t_c: true") && time.contains("MICROS"), "{time}");
}

#[test]
fn calculated_at_is_one_value_and_the_start_of_the_run() {
    let scores = folder().score("inputs: {customer: c.parquet}");
    let times = scores.table.column_by_name("calculated_at").unwrap();
    let times = arrow::array::AsArray::as_primitive::<arrow::datatypes::TimestampMicrosecondType>(times);
    let expected = scores.report.calculated_at.timestamp_micros();
    assert!(times.iter().all(|time| time == Some(expected)), "{times:?}");
}

#[test]
fn without_the_factor_breakdown_there_are_no_component_columns() {
    let scores = folder().score("inputs: {customer: c.parquet}\ninclude_factor_breakdown: false");
    let names =
        ["customer_id", "health_score", "risk_category", "is_churn_risk", "is_expansion_opportunity", "calculated_at"];
    assert_eq!(scores.columns(), names);
}

#[test]
fn opt_in_columns_follow_in_order() {
    let folder = folder();
    folder.parquet("old.parquet", &batch([("customer_id", texts(["a"])), ("health_score", floats([50.0]))]));
    let scores = folder
        .score("inputs: {customer: c.parquet}\ncalculate_trend: true\nhistory: old.parquet\ninclude_drivers: true\n");
    let entry = Fields::from(vec![
        Field::new("component", DataType::Utf8, false),
        Field::new("indicator", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
        Field::new("score", DataType::Float64, true),
        Field::new("weight", DataType::Float64, false),
        Field::new("contribution", DataType::Float64, false),
    ]);
    let all = fields(&scores);
    assert_eq!(all[9].0, "calculated_at");
    assert_eq!(
        all[10..15],
        expected(&[
            ("previous_health_score", DataType::Float64, true),
            ("health_score_change", DataType::Float64, true),
            ("trend", DataType::Utf8, true),
            ("weakest_factor", DataType::Utf8, true),
            ("data_coverage", DataType::Float64, false),
        ])
    );
    let DataType::List(item) = &all[15].1 else { panic!("drivers is no list: {:?}", all[15]) };
    let DataType::Struct(fields) = item.data_type() else { panic!("drivers has no structs: {item:?}") };
    let shape =
        |fields: &Fields| -> Vec<_> { fields.iter().map(|f| (f.name().clone(), f.data_type().clone())).collect() };
    assert_eq!(shape(fields), shape(&entry));
    assert_eq!(all.len(), 16);
    assert_eq!(scores.text("b", "trend"), None, "no earlier score, no trend");
}

#[test]
fn columns_are_named_after_the_components() {
    let folder = folder();
    let yaml = "inputs: {customer: c.parquet}\ncomponents:\n  product_usage: null\n  payment_health: null\n  \
                loyalty: {input: customer, weight: 0.5, indicators: {active_days: {weight: 1, scale: {range: [0, 30]}}}}\n";
    let scores = folder.score(yaml);
    assert_eq!(scores.columns()[2..5], ["engagement_score", "support_health_score", "loyalty_score"]);
    assert!((scores.of("b", "loyalty") - 100.0 / 3.0).abs() < 1e-9);
}

#[test]
fn columns_are_zstd_with_statistics() {
    let folder = folder();
    folder.score("inputs: {customer: c.parquet}");
    let metadata = metadata(&folder);
    assert!(metadata.num_row_groups() > 0);
    for group in metadata.row_groups() {
        for column in group.columns() {
            let name = column.column_path().string();
            assert!(matches!(column.compression(), Compression::ZSTD(_)), "{name}: {:?}", column.compression());
            let statistics = column.statistics().unwrap_or_else(|| panic!("{name} has no statistics"));
            assert!(statistics.min_bytes_opt().is_some() && statistics.max_bytes_opt().is_some(), "{name}");
        }
    }
}

#[test]
fn the_file_tells_where_it_comes_from() {
    let folder = folder();
    let scores = folder.score("asset_name: my_scores\ninputs: {customer: c.parquet}");
    let metadata = metadata(&folder);
    let pairs = metadata.file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let report = &scores.report;
    for (what, value) in [
        ("asset name", "my_scores"),
        ("run id", &report.run_id),
        ("component version", env!("CARGO_PKG_VERSION")),
        ("scorecard hash", &report.scorecard_hash),
        ("row count", "3"),
    ] {
        let told = pairs.iter().any(|pair| pair.value.as_deref().is_some_and(|found| found.contains(value)));
        assert!(told, "no {what} ({value}) in {pairs:?}");
    }
    assert!(pairs.iter().any(|pair| pair.key.contains("population")), "no population in {pairs:?}");
}

#[test]
fn the_report_counts_what_the_table_holds() {
    let folder = folder();
    let scores = folder.score("inputs: {customer: c.parquet}\nchurn_risk_threshold: 51\n");
    let report = &scores.report;
    let all: Vec<f64> = scores.all().into_values().collect();
    assert_eq!((report.customers, report.output.rows), (3, 3));
    assert_eq!(report.output.bytes, folder.path("out.parquet").metadata().unwrap().len());
    let summary = report.scores.unwrap();
    assert!((summary.mean - all.iter().sum::<f64>() / 3.0).abs() < 1e-9);
    assert!((summary.median - scores.health("b")).abs() < 0.011, "median {} beside {:?}", summary.median, all);
    assert!((summary.min - scores.health("c")).abs() < 1e-9 && (summary.max - scores.health("a")).abs() < 1e-9);
    let at_risk = scores.ids().iter().filter(|id| scores.flag(id, "is_churn_risk")).count() as u64;
    assert_eq!(report.churn_risks, at_risk);
    assert_eq!(report.categories.iter().map(|(_, customers)| customers).sum::<u64>(), 3);
    assert_eq!(report.categories[0], ("high_risk".to_owned(), at_risk));
}

#[test]
fn a_second_run_takes_the_place_of_the_first() {
    let folder = folder();
    let first = folder.score("inputs: {customer: c.parquet}");
    let second = folder.run("inputs: {customer: c.parquet}", Run { output: Some("out.parquet"), ..Run::default() });
    assert_ne!(first.report.run_id, second.report.run_id);
    assert_eq!(first.ids(), second.ids());
    let names: Vec<String> =
        folder.path("").read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.contains("tmp") && !name.contains('#')), "nothing is left over: {names:?}");
}
