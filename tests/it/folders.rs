//! Folders as engines and exports leave them: columns by name, types that drift, partitions, logs, and what is no data.

use std::fs;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, NullArray, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{Field, Schema};
use arrow::ipc::writer::StreamWriter;
use customer_health::engine::EngineError;
use customer_health::error::ErrorKind;

use crate::support::{Folder, Run, Scores, assert_close, batch, floats, ints, texts};

const COLUMN: &str = "active_days";

fn table(ids: ArrayRef, values: ArrayRef) -> RecordBatch {
    batch([("customer_id", ids), (COLUMN, values)])
}

#[track_caller]
fn assert_scores(scores: &Scores, expected: &[(&str, f64)]) {
    assert_eq!(scores.ids(), expected.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    for (id, value) in expected {
        assert_close(scores.of(id, "engagement"), *value, id);
    }
}

#[track_caller]
fn refused(folder: &Folder, yaml: &str, words: &[&str]) {
    let Err(error) = folder.try_run(yaml, Run::default()) else { panic!("{yaml} is read") };
    let kind = EngineError::kind(&error);
    assert!(matches!(kind, ErrorKind::InvalidInput | ErrorKind::NotFound), "{kind:?}: {error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn csv_files_are_read_by_the_names_of_their_columns() {
    for names in [["1.csv", "2.csv"], ["2.csv", "1.csv"]] {
        let folder = Folder::new();
        folder.text(&format!("in/{}", names[0]), "customer_id,active_days\n6,15\n15,6\n");
        folder.text(&format!("in/{}", names[1]), "active_days,customer_id\n30,20\n");
        for input in ["{path: in/, format: csv}", "in/*.csv", "in/"] {
            let scores = folder.score(&format!("inputs: {{customer: {input}}}"));
            assert_scores(&scores, &[("15", 20.0), ("20", 100.0), ("6", 50.0)]);
        }
    }
}

#[test]
fn types_that_drift_are_widened_whatever_the_files_are_called() {
    let parts: [(ArrayRef, ArrayRef); 5] = [
        (texts(["a"]), Arc::new(Int32Array::from(vec![6]))),
        (texts(["b"]), ints([15])),
        (texts(["c"]), floats([22.5])),
        (texts(["d"]), texts(["30"])),
        (ints([7]), Arc::new(NullArray::new(1))),
    ];
    for turn in 0..parts.len() {
        let folder = Folder::new();
        for (at, (ids, values)) in parts.iter().enumerate() {
            let name = (at + turn) % parts.len();
            folder.parquet(&format!("p/{name}.parquet"), &table(ids.clone(), values.clone()));
            folder.text(&format!("a/{name}.arrow"), "");
            folder.arrow(&format!("a/{name}.arrow"), &table(ids.clone(), values.clone()));
        }
        for input in ["p", "{path: a, format: arrow}"] {
            let scores = folder.score(&format!("inputs: {{customer: {input}}}"));
            assert_scores(&scores, &[("7", 50.0), ("a", 20.0), ("b", 50.0), ("c", 75.0), ("d", 100.0)]);
        }
    }
}

#[test]
fn a_column_that_a_file_does_not_have_is_null_there() {
    let folder = Folder::new();
    folder.parquet("in/1.parquet", &batch([("customer_id", texts(["a"]))]));
    folder.parquet("in/2.parquet", &table(texts(["b"]), ints([30])));
    folder.parquet("in/3.parquet", &table(texts(["c"]), ints([6])).slice(0, 0));
    let scores = folder.score("inputs: {customer: in}");
    assert_scores(&scores, &[("a", 50.0), ("b", 100.0)]);
}

#[test]
fn what_cannot_be_reconciled_names_the_column_both_types_and_the_file() {
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1]));
    for names in [["1", "2"], ["2", "1"]] {
        let folder = Folder::new();
        folder.parquet(&format!("in/{}.parquet", names[0]), &table(texts(["a"]), ints([1])));
        folder.parquet(&format!("in/{}.parquet", names[1]), &table(texts(["b"]), times.clone()));
        refused(&folder, "inputs: {customer: in}", &[COLUMN, "Int64", "Timestamp", "in/1.parquet", "in/2.parquet"]);
    }
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let folder = Folder::new();
    let columns: [(&str, ArrayRef); 3] = [("customer_id", texts(["a"])), (COLUMN, ints([1])), (COLUMN, ints([30]))];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let twice = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    folder.parquet("in/1.parquet", &table(texts(["b"]), ints([1])));
    folder.parquet("in/2.parquet", &twice);
    refused(&folder, "inputs: {customer: in}", &[COLUMN, "twice", "in/2.parquet"]);
    refused(&folder, "inputs: {customer: in/2.parquet}", &[COLUMN, "twice", "in/2.parquet"]);
    folder.parquet(
        "case.parquet",
        &batch([("customer_id", texts(["a"])), ("ACTIVE_DAYS", ints([1])), (COLUMN, ints([30]))]),
    );
    assert_scores(&folder.score("inputs: {customer: case.parquet}"), &[("a", 100.0)]);
}

#[test]
fn folders_of_partitions_give_columns() {
    let folder = Folder::new();
    folder.parquet("in/dt=2025-06-10/h=10%3A00/a.parquet", &table(texts(["a", "b"]), ints([30, 15])));
    folder.parquet("in/dt=2025-05-01/h=11%3A00/a.parquet", &table(texts(["a", "c"]), ints([0, 0])));
    folder.parquet("in/dt=__HIVE_DEFAULT_PARTITION__/h=1/a.parquet", &table(texts(["d"]), ints([0])));
    let run = Run { as_of: Some("2025-07-01T00:00:00Z".parse().unwrap()), ..Run::default() };
    let scores = folder.run("inputs: {customer: {path: in, timestamp: dt}}", run);
    assert_scores(&scores, &[("a", 100.0), ("b", 50.0)]);
    let scores = folder.run("inputs: {customer: {path: 'in/*/*/*.parquet', where: h = '10:00'}}", run);
    assert_scores(&scores, &[("a", 100.0), ("b", 50.0)]);

    folder.parquet("key/customer_id=007/a.parquet", &batch([(COLUMN, ints([30]))]));
    folder.parquet("key/customer_id=8/a.parquet", &batch([(COLUMN, ints([15]))]));
    assert_scores(&folder.score("inputs: {customer: key}"), &[("007", 100.0), ("8", 50.0)]);

    // Where the files have it too, it is theirs.
    folder.parquet("both/customer_id=x/a.parquet", &table(texts(["a"]), ints([30])));
    assert_scores(&folder.score("inputs: {customer: both}"), &[("a", 100.0)]);
}

#[test]
fn folders_are_read_to_any_depth_and_stars_stay_in_theirs() {
    let folder = Folder::new();
    folder.parquet("in/a.parquet", &table(texts(["a"]), ints([30])));
    folder.parquet("in/2025/06/b.parquet", &table(texts(["b"]), ints([15])));
    assert_scores(&folder.score("inputs: {customer: in}"), &[("a", 100.0), ("b", 50.0)]);
    assert_scores(&folder.score("inputs: {customer: in/*.parquet}"), &[("a", 100.0)]);
    assert_scores(&folder.score("inputs: {customer: in/*/*/*.parquet}"), &[("b", 50.0)]);
    assert_scores(&folder.score("inputs: {customer: in/**/*.parquet}"), &[("a", 100.0), ("b", 50.0)]);
}

#[test]
fn what_engines_and_file_systems_leave_is_passed_over() {
    let folder = Folder::new();
    folder.parquet("in.parquet/part-0.parquet", &table(texts(["a"]), ints([30])));
    folder.parquet("in.parquet/_temporary/0/part-0.parquet", &table(texts(["ghost"]), ints([30])));
    for name in ["_SUCCESS", ".part-0.parquet.crc", "._part-0.parquet", "_committed_1", ".DS_Store"] {
        folder.text(&format!("in.parquet/{name}"), "");
    }
    folder.text("in.parquet/notes.txt", "not read");
    for input in ["in.parquet", "in.parquet/"] {
        let scores = folder.score(&format!("inputs: {{customer: {input}}}"));
        assert_scores(&scores, &[("a", 100.0)]);
        let warnings = scores.report.warnings.join("\n");
        assert!(warnings.contains("1 files of other formats") && warnings.contains("notes.txt"), "{warnings}");
        assert!(warnings.contains("1 data files in hidden") && warnings.contains("_temporary"), "{warnings}");
    }
    fs::remove_file(folder.path("in.parquet/notes.txt")).unwrap();
    assert_scores(&folder.score("inputs: {customer: {path: in.parquet/*, format: parquet}}"), &[("a", 100.0)]);
}

#[test]
fn an_empty_part_is_an_export_that_broke() {
    let folder = Folder::new();
    folder.parquet("in/1.parquet", &table(texts(["a"]), ints([30])));
    folder.text("in/2.parquet", "");
    refused(&folder, "inputs: {customer: in}", &["in/2.parquet", "0 bytes"]);
}

#[test]
fn a_broken_file_of_a_folder_is_named() {
    for ending in ["parquet", "arrow"] {
        let folder = Folder::new();
        folder.parquet("in/1.parquet", &table(texts(["a"]), ints([30])));
        folder.arrow("in/1.arrow", &table(texts(["a"]), ints([30])));
        folder.text(&format!("in/2.{ending}"), "this is no table");
        refused(
            &folder,
            &format!("inputs: {{customer: {{path: in, format: {ending}}}}}"),
            &[&format!("in/2.{ending}")],
        );
    }
}

/// Found while the rows are read, long after all of the files were opened.
#[test]
fn a_file_with_a_broken_page_is_named() {
    let folder = Folder::new();
    let ids: Vec<String> = (0..3_000).map(|number| format!("c{number}")).collect();
    let rows = table(texts(ids.iter().map(String::as_str)), ints(0..3_000));
    for name in ["in/1.parquet", "in/2.parquet", "in/3.parquet", "h/region=a/1.parquet", "h/region=b/1.parquet"] {
        folder.parquet(name, &rows);
    }
    for broken in ["in/2.parquet", "h/region=b/1.parquet"] {
        let mut bytes = fs::read(folder.path(broken)).unwrap();
        // The pages of the values, behind those of the keys.
        let from = bytes.len() / 2;
        bytes[from..][..from / 2].fill(0xff);
        fs::write(folder.path(broken), bytes).unwrap();
    }
    for (input, broken, whole) in [("in", "in/2.parquet", "in/1"), ("in/*.parquet", "in/2.parquet", "in/3")] {
        refused(&folder, &format!("inputs: {{customer: {input}}}"), &[broken, "`customer`", "complete"]);
        let error = folder.try_run(&format!("inputs: {{customer: {input}}}"), Run::default()).err().unwrap();
        assert!(!error.to_string().contains(whole), "{error}");
    }
    refused(&folder, "inputs: {customer: h}", &["h/region=b/1.parquet"]);
    refused(&folder, "inputs: {customer: in/2.parquet}", &["in/2.parquet"]);
}

#[test]
fn columns_of_one_name_are_refused_in_every_format() {
    let columns = [("customer_id", texts(["a", "b"])), (COLUMN, ints([10, 20])), (COLUMN, ints([30, 0]))];
    let rows = batch(columns);
    for file in ["t.parquet", "t.arrow", "t.csv"] {
        let folder = Folder::new();
        match file {
            "t.parquet" => folder.parquet(file, &rows),
            "t.arrow" => folder.arrow(file, &rows),
            _ => folder.text(file, &format!("customer_id,{COLUMN},{COLUMN}\na,10,30\nb,20,0\n")),
        }
        refused(&folder, &format!("inputs: {{customer: {file}}}"), &[COLUMN, "twice", "a name of its own"]);
    }
    // A stream begins with what a file has behind its first bytes.
    let folder = Folder::new();
    let mut writer = StreamWriter::try_new(fs::File::create(folder.path("s.arrow")).unwrap(), &rows.schema()).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    refused(&folder, "inputs: {customer: s.arrow}", &[COLUMN, "twice"]);
}

#[test]
fn a_path_that_looks_like_a_hint_stays_whole() {
    let folder = Folder::new();
    let yaml = "inputs:\n  customer: \"no\\n  hint: such.parquet\"\n";
    let error = folder.try_run(yaml, Run::default()).err().expect("nothing is there");
    let [problem] = error.problems() else { panic!("{error}") };
    assert!(problem.message.contains("such.parquet"), "{problem:?}");
    assert!(problem.hint.as_ref().is_some_and(|hint| hint.starts_with("check the path")), "{problem:?}");
}

#[test]
fn a_folders_files_tell_their_format() {
    let folder = Folder::new();
    folder.text("in/1.csv", "customer_id,active_days\na,30\n");
    assert_scores(&folder.score("inputs: {customer: in}"), &[("a", 100.0)]);
    folder.text("in/2.jsonl", "{\"customer_id\": \"b\", \"active_days\": 15}\n");
    refused(&folder, "inputs: {customer: in}", &["csv", "json", "2.jsonl", "format"]);
    assert_scores(&folder.score("inputs: {customer: {path: in, format: json}}"), &[("b", 50.0)]);
}

#[test]
fn names_of_folders_that_are_there_are_no_patterns() {
    let folder = Folder::new();
    folder.parquet("Lake 100% [prod]/t=1%3A/1#2 ?.parquet", &table(texts(["a"]), ints([30])));
    for path in ["", "t=1%3A/", "t=1%3A/1#2 ?.parquet", "t=*/*.parquet"] {
        let scores =
            folder.score(&format!("inputs: {{customer: {{path: 'Lake 100% [prod]/{path}', format: parquet}}}}"));
        assert_scores(&scores, &[("a", 100.0)]);
    }
}

#[test]
fn of_a_delta_table_the_current_version_is_read_and_other_logs_are_refused() {
    let folder = Folder::new();
    folder.parquet("in/0.parquet", &table(texts(["a", "gone"]), ints([30, 30])));
    folder.parquet("in/1.parquet", &table(texts(["a", "b"]), ints([30, 15])));
    let log = |version: u8, text: &str| folder.text(&format!("in/_delta_log/{version:020}.json"), text);
    log(0, r#"{"add":{"path":"0.parquet","partitionValues":{}}}"#);
    log(1, "{\"remove\":{\"path\":\"0.parquet\"}}\n{\"add\":{\"path\":\"1.parquet\",\"partitionValues\":{}}}\n");
    assert_scores(&folder.score("inputs: {customer: in}"), &[("a", 100.0), ("b", 50.0)]);
    refused(&folder, "inputs: {customer: in/*.parquet}", &["Delta", "without a pattern"]);
    log(1, r#"{"add":{"path":"1.parquet","partitionValues":{},"deletionVector":{"storageType":"u"}}}"#);
    refused(&folder, "inputs: {customer: in}", &["Delta", "deletion vectors"]);

    for (sign, kind) in [("metadata/v1.metadata.json", "Iceberg"), (".hoodie/hoodie.properties", "Hudi")] {
        let folder = Folder::new();
        folder.parquet("in/data/0.parquet", &table(texts(["a"]), ints([30])));
        folder.text(&format!("in/{sign}"), "{}");
        refused(&folder, "inputs: {customer: in}", &[kind, "earlier versions"]);
    }
}
