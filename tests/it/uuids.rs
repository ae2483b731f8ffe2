//! Keys of sixteen bytes are UUIDs in their usual text, and are the same keys as those written as text elsewhere.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryViewArray, FixedSizeBinaryArray, LargeBinaryArray, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use customer_health::component::Component;
use customer_health::engine::{EngineError, RunRequest};
use customer_health::scorecard::InputName;
use parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::support::{Folder, Run, Scores, assert_close, batch, block_on, engine, floats, ints, texts};

/// UUIDs of no version, of version 4 and of version 7; the bytes of the last but the variant could be text.
const UUIDS: [(&str, [u8; 16]); 4] = [
    ("00000000-0000-0000-0000-000000000001", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ("16fd2706-8baf-433b-82eb-8c7fada847da", *b"\x16\xfd\x27\x06\x8b\xaf\x43\x3b\x82\xeb\x8c\x7f\xad\xa8\x47\xda"),
    ("fedcba98-7654-7210-8fed-cba987654321", *b"\xfe\xdc\xba\x98\x76\x54\x72\x10\x8f\xed\xcb\xa9\x87\x65\x43\x21"),
    ("41424344-4546-47c3-8949-4a4b4c4d4e4f", *b"ABCDEFG\xc3\x89IJKLMNO"),
];

/// Twice the same customers: a key in each of the types that bytes come in, with sessions from 4 downwards.
fn keys() -> Vec<ArrayRef> {
    let bytes: Vec<&[u8]> = UUIDS.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let fixed: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter(bytes.iter()).unwrap());
    let binary: ArrayRef = Arc::new(BinaryArray::from_vec(bytes.clone()));
    let of = |held| DataType::Dictionary(Box::new(DataType::Int32), Box::new(held));
    let dictionary = cast(&binary, &of(DataType::Binary)).unwrap();
    vec![
        fixed,
        binary,
        Arc::new(LargeBinaryArray::from_vec(bytes.clone())),
        Arc::new(BinaryViewArray::from_iter_values(bytes)),
        dictionary,
    ]
}

fn usage(ids: ArrayRef) -> RecordBatch {
    batch([("customer_id", ids), ("session_count", ints([4, 3, 2, 1]))])
}

/// A table of customers whose ids are text.
fn with_customers() -> Folder {
    let folder = Folder::new();
    let rows: Vec<String> = UUIDS.iter().map(|(id, _)| format!("{id},0\n")).collect();
    folder.text("c.csv", &format!("customer_id,last_login_days\n{}", rows.concat()));
    folder
}

#[track_caller]
fn all_matched(scores: &Scores, what: &str) {
    let mut expected: Vec<&str> = UUIDS.iter().map(|(id, _)| *id).collect();
    expected.sort_unstable();
    assert_eq!(scores.ids(), expected, "{what}");
    for ((id, _), used) in UUIDS.iter().zip([100.0, 75.0, 50.0, 25.0]) {
        assert_close(scores.of(id, "product_usage"), used, what);
    }
    let usage = scores.input(InputName::Usage);
    assert_eq!((usage.customers, usage.unmatched, usage.rows_kept), (4, 0, 4), "{what}");
    assert!(scores.report.checks.iter().all(|check| check.passed || check.name == "neutral_share"), "{what}");
}

const BOTH: &str = "inputs: {customer: c.csv, usage: u.parquet}";

#[test]
fn bytes_of_any_type_meet_the_same_uuids_as_text() {
    for ids in keys() {
        let (folder, what) = (with_customers(), ids.data_type().to_string());
        folder.parquet("u.parquet", &usage(ids.clone()));
        folder.arrow("u.arrow", &usage(ids));
        let run = Run { checks: true, ..Run::default() };
        all_matched(&folder.run(BOTH, run), &what);
        all_matched(&folder.run("inputs: {customer: c.csv, usage: u.arrow}", run), &what);
    }
}

#[test]
fn the_types_that_say_uuid_are_read_as_such() {
    let folder = with_customers();
    let ids = keys().remove(0);
    let says = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]);
    let key = Field::new("customer_id", ids.data_type().clone(), false).with_metadata(says);
    let schema = Schema::new(vec![key, Field::new("session_count", DataType::Int64, true)]);
    let table = RecordBatch::try_new(Arc::new(schema), vec![ids, ints([4, 3, 2, 1])]).unwrap();
    folder.arrow("u.arrow", &table);
    all_matched(&folder.score("inputs: {customer: c.csv, usage: u.arrow}"), "Arrow's extension");

    // As writers of Parquet have it that are not of Arrow.
    let message = "message m { required fixed_len_byte_array(16) customer_id (UUID); required int64 session_count; }";
    let file = File::create(folder.path("u.parquet")).unwrap();
    let schema = Arc::new(parse_message_type(message).unwrap());
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let bytes = UUIDS.map(|(_, bytes)| FixedLenByteArray::from(bytes.to_vec()));
    column.typed::<FixedLenByteArrayType>().write_batch(&bytes, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[4, 3, 2, 1], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    all_matched(&folder.score(BOTH), "Parquet's logical type");
}

#[test]
fn rows_of_a_uuid_are_grouped_and_those_without_one_are_dropped_and_counted() {
    let [first, second, ..] = UUIDS.map(|(_, bytes)| bytes);
    let rows = [Some(first), None, Some(second), Some(first), None];
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows.iter().copied(), 16).unwrap();
    let binary = BinaryArray::from_iter(rows.iter().map(|row| row.as_ref().map(<[u8; 16]>::as_slice)));
    let keys: [ArrayRef; 2] = [Arc::new(fixed), Arc::new(binary)];
    for ids in keys {
        let folder = with_customers();
        let days = texts(["2025-06-11", "2025-06-12", "2025-06-13", "2025-06-14", "2025-06-15"]);
        let table = batch([("customer_id", ids), ("session_count", ints([3, 9, 2, 1, 9])), ("day", days)]);
        folder.parquet("u.parquet", &table);
        for more in ["", ", timestamp: day, where: session_count > 0"] {
            let text = format!("inputs: {{customer: c.csv, usage: {{path: u.parquet{more}}}}}");
            let as_of = "2025-07-01T00:00:00Z".parse().ok();
            let scores = folder.run(&text, Run { as_of, ..Run::default() });
            assert_close(scores.of(UUIDS[0].0, "product_usage"), 100.0, "3 + 1 sessions");
            assert_close(scores.of(UUIDS[1].0, "product_usage"), 50.0, "2 sessions");
            let input = scores.input(InputName::Usage);
            assert_eq!((input.customers, input.duplicates_merged), (2, 1));
            assert_eq!(scores.dropped(InputName::Usage), 2, "null keys");
        }
    }
}

#[test]
fn no_rows_and_one_row_are_as_many_customers() {
    let folder = Folder::new();
    for ids in keys() {
        for rows in [0, 1] {
            folder.parquet("u.parquet", &usage(ids.clone()).slice(0, rows));
            let scores = folder.run("inputs: {usage: u.parquet}", Run { output: Some("o.parquet"), ..Run::default() });
            assert_eq!(scores.ids(), UUIDS[..rows].iter().map(|(id, _)| *id).collect::<Vec<_>>());
            std::fs::remove_file(folder.path("o.parquet")).unwrap();
        }
    }
}

#[test]
fn a_trend_and_an_explanation_know_customers_by_bytes() {
    let folder = with_customers();
    folder.parquet("u.parquet", &usage(keys().remove(1)));
    let before = batch([("customer_id", keys().remove(0)), ("health_score", floats([90.0, 10.0, 10.0, 10.0]))]);
    folder.parquet("before.parquet", &before);
    let text = "inputs: {usage: u.parquet}\ncalculate_trend: true\nhistory: before.parquet\n";
    let scores = folder.score(text);
    assert_eq!(scores.ids().len(), 4);
    assert_close(scores.number(UUIDS[0].0, "previous_health_score").unwrap(), 90.0, "before");
    assert_eq!(scores.text(UUIDS[0].0, "trend").as_deref(), Some("declining"));

    let component = Component::new(&folder.recipe(text, "o.parquet")).unwrap();
    let explained = block_on(async { engine(None).explain(&component, &RunRequest::new(), UUIDS[2].0).await }).unwrap();
    assert_close(explained.health_score, scores.health(UUIDS[2].0), "as in the table");
}

#[test]
fn a_history_whose_columns_do_not_do_is_refused() {
    let folder = with_customers();
    for (key, score, told) in [
        (floats([1.5]), floats([50.0]), "column `customer_id` has the type Float64, expected text, a whole number"),
        (texts(["a"]), Arc::new(BinaryArray::from_vec(vec![b"5"])) as ArrayRef, "column `health_score` has the type"),
    ] {
        folder.parquet("before.parquet", &batch([("customer_id", key), ("health_score", score)]));
        let text = "inputs: {customer: c.csv}\ncalculate_trend: true\nhistory: before.parquet\n";
        let error = folder.try_run(text, Run::default()).err().expect("it ran").to_string();
        assert!(error.contains(told) && error.contains("before.parquet"), "{error}");
    }
}

#[test]
fn text_in_bytes_stays_text_whatever_its_length() {
    let names = ["ABCDEFGHIJKLMNOP", "kund\u{e4}-000000001", "short", " sixteen blanks "];
    let ids: ArrayRef = Arc::new(BinaryArray::from_iter_values(names));
    let folder = Folder::new();
    folder.parquet("u.parquet", &usage(ids));
    let scores = folder.score("inputs: {usage: u.parquet}");
    let mut expected: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    expected.sort_unstable();
    assert_eq!(scores.ids(), expected);
}

#[test]
fn files_of_one_folder_may_have_them_in_several_ways() {
    let folder = with_customers();
    for (at, ids) in keys().into_iter().enumerate().take(2) {
        folder.parquet(&format!("u/{at}.parquet"), &usage(ids).slice(2 * at, 2));
    }
    all_matched(&folder.score("inputs: {customer: c.csv, usage: u}"), "two types");
}

#[test]
fn text_in_another_spelling_is_another_key_and_told() {
    let folder = Folder::new();
    folder.parquet("u.parquet", &usage(keys().remove(0)));
    let ids = StringArray::from_iter_values(UUIDS.iter().map(|(id, _)| format!("{{{}}}", id.to_uppercase())));
    folder.parquet("c.parquet", &batch([("customer_id", Arc::new(ids)), ("last_login_days", ints([0, 0, 0, 0]))]));
    let scores = folder.score("inputs: {customer: c.parquet, usage: u.parquet}");
    assert_eq!(scores.ids().len(), 8);
    let hints = scores.report.hints.join("\n");
    assert!(hints.contains("input `usage`: none of its keys (`customer_id`) is in another input"), "{hints}");
}

#[test]
fn other_bytes_are_refused_by_name() {
    let folder = with_customers();
    let five: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([*b"abcde"].iter()).unwrap());
    folder.parquet("u.parquet", &batch([("customer_id", five), ("session_count", ints([4]))]));
    let error = folder.try_run(BOTH, Run::default()).err().expect("it ran");
    assert!(matches!(error, EngineError::Inputs { .. }), "{error:?}");
    let told =
        "column `customer_id` has the type FixedSizeBinary(5), expected text, a whole number or a UUID of 16 bytes";
    assert!(error.to_string().contains(told), "{error}");

    let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"\xff\xfe\x00"]));
    folder.parquet("u.parquet", &batch([("customer_id", bytes.clone()), ("session_count", ints([4]))]));
    let error = folder.try_run(BOTH, Run::default()).err().expect("it ran");
    assert!(matches!(error, EngineError::Inputs { .. }), "{error:?}");
    let told = "u.parquet): the key `customer_id` has bytes that are neither text nor a UUID of 16 bytes";
    assert!(error.to_string().contains(told), "{error}");

    let before = batch([("customer_id", bytes), ("health_score", floats([4.0]))]);
    folder.parquet("before.parquet", &before);
    let text = "inputs: {customer: c.csv}\ncalculate_trend: true\nhistory: before.parquet\n";
    let error = folder.try_run(text, Run::default()).err().expect("it ran").to_string();
    assert!(error.contains("history (") && error.contains("before.parquet"), "{error}");
}
