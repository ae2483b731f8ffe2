//! Folders on a store are the tables that they are on disk: partitions, logs, what is no data, columns that drift.

use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use customer_health::error::ErrorKind;

use crate::stores::{fails, run, scores};
use crate::support::{Answer, Folder, S3, batch, ints, texts};

fn table(ids: [&str; 2], days: [i64; 2]) -> RecordBatch {
    batch([("customer_id", texts(ids)), ("active_days", ints(days))])
}

/// The folder's files as objects below `in/`.
fn upload(s3: &S3, folder: &Path, below: &str) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{below}/{}", entry.file_name().display());
        match entry.path().is_dir() {
            true => upload(s3, &entry.path(), &name),
            false => drop(fs::copy(entry.path(), s3.file(&name)).unwrap()),
        }
    }
}

/// On a real store no object has a folder's name; the one here has folders.
fn no_folders(s3: &S3) {
    s3.answer(|seen, _| match seen.method == "HEAD" && seen.path == "/bucket/in" {
        true => Answer::Status(404),
        false => Answer::Pass,
    });
}

/// Scores from the bucket, which are those from the folder.
async fn same_scores(folder: &Folder, path: &str, more: &str) -> Vec<(String, String)> {
    let s3 = S3::start().await;
    upload(&s3, &folder.path("in"), "in");
    no_folders(&s3);
    let input = |path: &str| format!("inputs: {{customer: {{path: \"{path}\"{more}}}}}\n");
    run(&s3, folder, &format!("{}output: local.parquet\n", input(path))).await.unwrap();
    let there = input(&format!("s3://bucket/{path}"));
    let report = run(&s3, folder, &format!("{there}output: \"s3://bucket/out/o.parquet\"\n")).await;
    let report = report.unwrap_or_else(|error| panic!("{path}: {error}"));
    let found = scores(&s3.file("out/o.parquet"));
    assert_eq!(found, scores(&folder.path("local.parquet")), "{path}");
    assert_eq!(report.customers, found.len() as u64);
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partition_folders_have_columns_in_their_names() {
    let folder = Folder::new();
    for (at, day) in ["2025-06-01", "2025-06-02", "__HIVE_DEFAULT_PARTITION__"].into_iter().enumerate() {
        let days = [at as i64 * 3, 9 - at as i64];
        folder.parquet(&format!("in/day={day}/region=north%20west/1.parquet"), &table(["a", "b"], days));
    }
    assert_eq!(same_scores(&folder, "in/", "").await.len(), 2);
    let fields = ", fields: {active_days: \"date_part('day', CAST(day AS DATE)) * 10\"}";
    same_scores(&folder, "in", fields).await;
    same_scores(&folder, "in/*/*/*.parquet", ", where: \"region = 'north west'\"").await;
    assert_eq!(same_scores(&folder, "in/day=2025-06-0*/region=*/*.parquet", "").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_engines_leave_beside_their_data_is_none() {
    let folder = Folder::new();
    folder.parquet("in/part-0.snappy.parquet", &table(["a", "b"], [3, 9]));
    folder.parquet("in/part-1.snappy.parquet", &table(["c", "d"], [12, 30]));
    folder.parquet("in/_temporary/0/part-2.parquet", &table(["no", "none"], [1, 1]));
    for name in ["in/_SUCCESS", "in/.part-0.snappy.parquet.crc", "in/_committed_1", "in/notes.txt"] {
        folder.text(name, "x");
    }
    assert_eq!(same_scores(&folder, "in", "").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_whose_columns_drift_are_one_table() {
    let folder = Folder::new();
    folder.parquet("in/1.parquet", &table(["a", "b"], [3, 9]));
    let ids = texts(["c", "d"]);
    folder.parquet("in/2.parquet", &batch([("login_frequency", ints([1, 2])), ("customer_id", ids)]));
    folder.text("in/3.csv", "active_days,customer_id\n4,e\n");
    folder.text("in/4.csv", "customer_id,active_days\nf,7.5\n");
    assert_eq!(same_scores(&folder, "in/*.parquet", "").await.len(), 4);
    assert_eq!(same_scores(&folder, "in", ", format: csv").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_delta_table_its_log_tells_which_files_count() {
    let folder = Folder::new();
    folder.parquet("in/0.parquet", &table(["a", "gone"], [30, 30]));
    folder.parquet("in/r=x%20y/1.parquet", &table(["a", "b"], [30, 15]));
    let log = |version: u8, text: &str| folder.text(&format!("in/_delta_log/{version:020}.json"), text);
    log(0, r#"{"add":{"path":"0.parquet","partitionValues":{}}}"#);
    log(
        1,
        "{\"remove\":{\"path\":\"0.parquet\"}}\n\
         {\"add\":{\"path\":\"r=x%2520y/1.parquet\",\"partitionValues\":{\"r\":\"x y\"}}}\n",
    );
    let ids: Vec<String> =
        same_scores(&folder, "in", ", where: \"r = 'x y'\"").await.into_iter().map(|row| row.0).collect();
    assert_eq!(ids, ["a", "b"]);

    let s3 = S3::start().await;
    upload(&s3, &folder.path("in"), "in");
    no_folders(&s3);
    fs::remove_file(s3.file("in/r=x%20y/1.parquet")).unwrap();
    let input = "inputs: {customer: \"s3://bucket/in\"}\noutput: \"s3://bucket/out/o.parquet\"\n";
    let (kind, message) = fails(&s3, &folder, input).await;
    assert!(matches!(kind, ErrorKind::InvalidInput | ErrorKind::NotFound), "{message}");
    assert!(message.contains("s3://bucket/in") && message.contains("1.parquet"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_named_with_its_bucket() {
    let (s3, folder) = (S3::start().await, Folder::new());
    let ids: Vec<String> = (0..3_000).map(|number| format!("c{number}")).collect();
    let rows = batch([("customer_id", texts(ids.iter().map(String::as_str))), ("active_days", ints(0..3_000))]);
    folder.parquet("in/1.parquet", &rows);
    folder.parquet("in/2.parquet", &rows);
    let mut bytes = fs::read(folder.path("in/2.parquet")).unwrap();
    let from = bytes.len() / 2;
    bytes[from..][..from / 2].fill(0xff);
    fs::write(folder.path("in/2.parquet"), &bytes).unwrap();
    folder.text("in/h/1.csv", "customer_id,active_days\na,1\n");
    folder.text("in/h/2.csv", "customer_id,active_days\na,1,2\n");
    upload(&s3, &folder.path("in"), "in");
    for (path, file) in [("in/*.parquet", "s3://bucket/in/2.parquet"), ("in/h/*.csv", "2.csv")] {
        let input = format!("inputs: {{customer: \"s3://bucket/{path}\"}}\noutput: \"s3://bucket/out/o.parquet\"\n");
        let (kind, message) = fails(&s3, &folder, &input).await;
        assert!(kind == ErrorKind::InvalidInput && message.contains(file), "{message}");
    }
}
