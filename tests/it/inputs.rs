//! Any number and mix of inputs, in any shape that tables come in.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Int16Array, LargeStringArray, RecordBatch,
    StringViewArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use chrono::DateTime;
use customer_health::engine::RunRequest;
use customer_health::error::ErrorKind;
use customer_health::scorecard::InputName;

use crate::support::{Folder, Run, assert_close, batch, block_on, engine, flags, floats, ints, silent, texts};

const ALL: [(InputName, &str, &str); 4] = [
    (InputName::Customer, "engagement", "active_days"),
    (InputName::Subscription, "payment_health", "payment_failures"),
    (InputName::Usage, "product_usage", "daily_active_days"),
    (InputName::Support, "support_health", "critical_issues"),
];

/// A customer table: `active_days` scores value / 30.
fn activity(ids: ArrayRef, values: ArrayRef) -> RecordBatch {
    batch([("customer_id", ids), ("active_days", values)])
}

/// Engagement of `a` where `active_days` is this array of one value.
#[track_caller]
fn engagement(value: ArrayRef) -> f64 {
    let folder = Folder::new();
    folder.parquet("t.parquet", &activity(texts(["a"]), value));
    let scores = folder.score("inputs: {customer: t.parquet}");
    assert_eq!(scores.missing("engagement"), 0);
    scores.of("a", "engagement")
}

#[test]
fn any_mix_of_one_to_four_inputs() {
    let folder = Folder::new();
    for (at, (name, _, field)) in ALL.iter().enumerate() {
        let own = format!("only {name}");
        let table = batch([("customer_id", texts(["all", own.as_str()])), (field, ints([1, at as i64]))]);
        folder.parquet(&format!("{name}.parquet"), &table);
    }
    for mix in 1..16_usize {
        let connected = |at: usize| mix & (1 << at) != 0;
        let mut yaml = String::from("inputs:\n");
        for (at, (name, ..)) in ALL.iter().enumerate().filter(|(at, _)| connected(*at)) {
            yaml += &format!("  {name}: {name}.parquet # {at}\n");
        }
        let scores = folder.score(&yaml);
        let inputs = mix.count_ones() as usize;
        assert_eq!(scores.table.num_rows(), inputs + 1, "customers of mix {mix}");
        assert_eq!(scores.report.inputs.len(), inputs);
        for (at, (name, component, _)) in ALL.iter().enumerate() {
            // Connected: `all` and its own customer have data. Else nobody has.
            let expected = if connected(at) { inputs - 1 } else { inputs + 1 };
            assert_eq!(scores.missing(component), expected as u64, "{component} in mix {mix}");
            if !connected(at) {
                assert_close(scores.of("all", component), 50.0, name.as_str());
            }
        }
    }
}

#[test]
fn empty_files_are_inputs_without_rows() {
    let folder = Folder::new();
    let table = activity(texts(["a"]), ints([30]));
    folder.parquet("some.parquet", &table);
    folder.parquet("none.parquet", &table.slice(0, 0));
    let scores = folder.score("inputs: {customer: some.parquet, usage: none.parquet}");
    assert_eq!(scores.ids(), ["a"]);
    assert_eq!(scores.input(InputName::Usage).rows_read, 0);
    assert_close(scores.of("a", "product_usage"), 50.0, "neutral");

    let run = Run { output: Some("nobody.parquet"), ..Run::default() };
    let scores = folder.run("inputs: {customer: none.parquet}", run);
    assert_eq!(scores.table.num_rows(), 0);
    assert_eq!(scores.report.customers, 0);
    assert_eq!(scores.report.scores, None);
    assert_eq!(scores.columns()[..2], ["customer_id", "health_score"], "an empty table has its schema");
}

#[test]
fn a_file_with_no_rows_for_anyone_else_is_hinted_at() {
    let folder = Folder::new();
    folder.parquet("c.parquet", &activity(texts(["a", "b"]), ints([1, 2])));
    folder.parquet("u.parquet", &batch([("customer_id", texts(["x"])), ("daily_active_days", ints([3]))]));
    let scores = folder.score("inputs: {customer: c.parquet, usage: u.parquet}");
    assert_eq!(scores.ids(), ["a", "b", "x"]);
    assert_eq!(scores.input(InputName::Usage).unmatched, 1);
    assert!(scores.report.hints.iter().any(|hint| hint.contains("usage")), "{:?}", scores.report.hints);
}

#[test]
fn ids_may_be_numbers_in_one_file_and_text_in_another() {
    let folder = Folder::new();
    folder.parquet("c.parquet", &activity(texts(["1", " 2 ", "-3"]), ints([30, 15, 0])));
    let others: [(&str, ArrayRef); 3] = [
        ("subscription", Arc::new(Int16Array::from(vec![1, 2, -3]))),
        ("usage", Arc::new(UInt64Array::from(vec![1, 2, 4]))),
        ("support", Arc::new(Decimal128Array::from(vec![1, 2, -3]).with_precision_and_scale(10, 0).unwrap())),
    ];
    let mut yaml = String::from("inputs:\n  customer: c.parquet\n");
    for (name, ids) in others {
        folder.parquet(&format!("{name}.parquet"), &batch([("user_id", ids), ("x", ints([1, 1, 1]))]));
        yaml += &format!("  {name}: {name}.parquet\n");
    }
    assert_eq!(folder.score(&yaml).ids(), ["-3", "1", "2", "4"]);
}

#[test]
fn text_of_any_type_is_a_key_and_a_value() {
    let ids = ["a", "b", "a"];
    let words = ["active", "canceled", "canceled"];
    let arrays = |words: [&str; 3]| -> [ArrayRef; 4] {
        [
            texts(words),
            Arc::new(LargeStringArray::from(words.to_vec())),
            Arc::new(StringViewArray::from(words.to_vec())),
            Arc::new(words.into_iter().collect::<DictionaryArray<Int32Type>>()),
        ]
    };
    for (ids, words) in arrays(ids).into_iter().zip(arrays(words)) {
        let folder = Folder::new();
        folder.arrow("s.arrow", &batch([("customer_id", ids.clone()), ("status", words.clone())]));
        folder.parquet("s.parquet", &batch([("customer_id", ids), ("status", words)]));
        for file in ["s.arrow", "s.parquet"] {
            let scores = folder.score(&format!("inputs: {{subscription: {file}}}"));
            assert_close(scores.of("a", "payment_health"), 50.0, "mean of active and canceled");
            assert_close(scores.of("b", "payment_health"), 0.0, "canceled");
        }
    }
}

#[test]
fn numbers_of_any_type_are_numbers() {
    let decimal = Decimal128Array::from(vec![1250]).with_precision_and_scale(8, 2).unwrap();
    assert_close(engagement(Arc::new(decimal)), 12.5 / 0.3, "decimal");
    assert_close(engagement(Arc::new(Float32Array::from(vec![7.5]))), 25.0, "float32");
    assert_close(engagement(Arc::new(UInt64Array::from(vec![15]))), 50.0, "unsigned");
    assert_close(engagement(texts(["15.0"])), 50.0, "text");
    assert_close(engagement(flags([true])), 1.0 / 0.3, "true is 1");
    let dictionary: DictionaryArray<Int32Type> = ["15"].into_iter().collect();
    assert_close(engagement(Arc::new(dictionary)), 50.0, "dictionary of text");
}

#[test]
fn nan_beside_a_single_number_is_missing() {
    // A file's statistics know nothing of NaN: to them this column is constant.
    let folder = Folder::new();
    folder.parquet("t.parquet", &activity(texts(["a", "b"]), floats([f64::NAN, 30.0])));
    let scores = folder.score("inputs: {customer: t.parquet}");
    assert_eq!(scores.missing("engagement"), 1);
    assert_close(scores.of("a", "engagement"), 50.0, "neutral");
    assert_close(scores.of("b", "engagement"), 100.0, "30 of 30");
}

#[test]
fn ten_thousand_rows_of_one_customer_are_one_customer() {
    let folder = Folder::new();
    let values: Vec<i64> = (0..10_000).map(|row| row % 16).collect();
    let table = activity(texts(vec!["a"; 10_000]), ints(values));
    folder.parquet_in_groups("t.parquet", &table, 700);
    let scores = folder.score("inputs: {customer: t.parquet}");
    assert_eq!(scores.ids(), ["a"]);
    assert_close(scores.of("a", "engagement"), 50.0, "the largest is 15 of 30");
    let input = scores.input(InputName::Customer);
    assert_eq!(
        (input.rows_read, input.rows_kept, input.customers, input.duplicates_merged),
        (10_000, 10_000, 1, 9_999)
    );
}

#[test]
fn null_and_blank_keys_are_dropped_and_counted() {
    let folder = Folder::new();
    let ids = texts([Some("a"), None, Some(""), Some("  "), Some(" a "), Some("b")]);
    folder.parquet("t.parquet", &activity(ids, ints([30, 1, 1, 1, 3, 3])));
    let scores = folder.score("inputs: {customer: t.parquet}");
    assert_eq!(scores.ids(), ["a", "b"]);
    let input = scores.input(InputName::Customer);
    assert_eq!((input.rows_read, input.rows_kept, input.duplicates_merged), (6, 3, 1));
    assert_eq!(scores.dropped(InputName::Customer), 3);
    assert!(input.dropped[0].reason.contains("key"), "{:?}", input.dropped);
}

#[test]
fn a_float_key_is_refused() {
    let folder = Folder::new();
    folder.parquet("t.parquet", &activity(floats([1.0]), ints([1])));
    let error = folder.try_run("inputs: {customer: t.parquet}", Run::default()).err().expect("a float is no key");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    for part in ["`customer`", "t.parquet", "`customer_id`", "Float64"] {
        assert!(text.contains(part), "{part} in: {text}");
    }
}

#[test]
fn the_key_is_the_one_named_else_the_first_that_is_usual() {
    let folder = Folder::new();
    folder.parquet(
        "t.parquet",
        &batch([
            ("account_id", texts(["account"])),
            ("user_id", texts(["user"])),
            ("tenant", texts(["tenant"])),
            ("active_days", ints([3])),
        ]),
    );
    assert_eq!(folder.score("inputs: {customer: t.parquet}").ids(), ["account"]);
    assert_eq!(folder.score("inputs: {customer: {path: t.parquet, key: tenant}}").ids(), ["tenant"]);
}

#[test]
fn text_that_is_no_number_is_missing_and_counted() {
    let folder = Folder::new();
    let words = texts([Some("15"), Some("many"), Some("n/a"), None, Some("")]);
    folder.parquet("t.parquet", &activity(texts(["a", "b", "c", "d", "e"]), words));
    let scores = folder.score("inputs: {customer: t.parquet}");
    assert_eq!(scores.missing("engagement"), 4);
    assert_close(scores.of("a", "engagement"), 50.0, "15 of 30");
    let fields = &scores.input(InputName::Customer).fields;
    assert_eq!(fields.iter().find(|field| field.indicator == "active_days").unwrap().unparsable, 2);
}

#[test]
fn csv_arrow_and_json_are_read_like_parquet() {
    let folder = Folder::new();
    let table = activity(texts(["007", "b"]), floats([Some(15.0), None]));
    folder.parquet("t.parquet", &table);
    folder.arrow("t.arrow", &table);
    folder.text("t.csv", "customer_id,active_days\n007,15.0\nb,\n");
    folder.text("t.json", "{\"customer_id\": \"007\", \"active_days\": 15.0}\n{\"customer_id\": \"b\"}\n");
    folder.text("t.dat", "customer_id,active_days\n007,15.0\nb,\n");
    for input in ["t.parquet", "t.arrow", "t.csv", "t.json", "{path: t.dat, format: csv}"] {
        let scores = folder.score(&format!("inputs: {{customer: {input}}}"));
        assert_eq!(scores.ids(), ["007", "b"], "{input}");
        assert_close(scores.of("007", "engagement"), 50.0, input);
        assert_eq!(scores.missing("engagement"), 1, "{input}");
    }
}

#[test]
fn a_glob_and_a_folder_are_all_their_files() {
    let folder = Folder::new();
    for (at, id) in ["a", "b", "c"].into_iter().enumerate() {
        folder.parquet(&format!("parts/p{at}.parquet"), &activity(texts([id]), ints([3])));
    }
    folder.text("parts/README.txt", "no table");
    for (path, ids) in [
        ("parts/", vec!["a", "b", "c"]),
        ("parts/*.parquet", vec!["a", "b", "c"]),
        ("parts/p[01].parquet", vec!["a", "b"]),
    ] {
        let scores = folder.score(&format!("inputs: {{customer: \"{path}\"}}"));
        assert_eq!(scores.ids(), ids, "{path}");
        assert_eq!(scores.input(InputName::Customer).files, ids.len() as u64);
    }
}

#[test]
fn a_window_excludes_its_start_and_includes_its_end() {
    let as_of = DateTime::from_timestamp(1_735_603_200, 0);
    let day = |days: i64| 1_735_603_200_000 - days * 86_400_000;
    let folder = Folder::new();
    let times = vec![Some(day(30)), Some(day(30) + 1), Some(day(0)), Some(day(0) + 1), None];
    let table = batch([
        ("customer_id", texts(["start", "after", "end", "beyond", "unknown"])),
        ("active_days", ints([1, 1, 1, 1, 1])),
        ("at", Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC"))),
    ]);
    folder.parquet("t.parquet", &table);
    let run = Run { as_of, ..Run::default() };
    let scores = folder.run("inputs: {customer: {path: t.parquet, timestamp: at}}", run);
    assert_eq!(scores.ids(), ["after", "end"]);
    assert_eq!(scores.dropped(InputName::Customer), 3);

    // A date is its midnight; text is read as a time.
    let dates = Arc::new(Date32Array::from(vec![20_088 - 30, 20_088 - 29, 20_088, 20_089]));
    let ids = || texts(["start", "after", "end", "beyond"]);
    folder.parquet("d.parquet", &batch([("customer_id", ids()), ("at", dates)]));
    let words = texts(["2024-12-01", "2024-12-01T00:00:01", "2024-12-31T00:00:00Z", "2024-12-31T00:00:00.5Z"]);
    folder.parquet("w.parquet", &batch([("customer_id", ids()), ("at", words)]));
    for file in ["d.parquet", "w.parquet"] {
        let scores = folder.run(&format!("inputs: {{customer: {{path: {file}, timestamp: at}}}}"), run);
        assert_eq!(scores.ids(), ["after", "end"], "{file}");
    }
}

#[test]
fn row_groups_outside_the_window_are_not_read() {
    let folder = Folder::new();
    let days = Arc::new(Date32Array::from_iter_values(19_000..20_000));
    let table = batch([("customer_id", ints(0..1000)), ("day", days), ("active_days", ints((0..1000).map(|_| 15)))]);
    folder.parquet_in_groups("t.parquet", &table, 100);
    let component = folder.component("inputs: {customer: {path: t.parquet, timestamp: day}}");
    // The last row's day is 19,999, so that 30 days reach back to 19,969, which is not in.
    let as_of = DateTime::from_timestamp(19_999 * 86_400, 0);
    let request = RunRequest { as_of, ..RunRequest::new() };
    let plan = block_on(engine(None).explain_plan(&component, &request)).unwrap();
    assert!(plan.contains("pruning_predicate=day_"), "{plan}");
    assert!(plan.contains("_max@0 > 2024-09-03"), "{plan}");
    let report = block_on(engine(None).materialize(&component, &request, &silent())).unwrap();
    assert_eq!((report.customers, report.inputs[0].rows_kept), (30, 30));
}

#[test]
fn where_keeps_rows_for_which_it_is_true() {
    let folder = Folder::new();
    folder.parquet("t.parquet", &activity(texts(["yes", "no", "unknown"]), ints([Some(20), Some(2), None])));
    let scores = folder.score("inputs: {customer: {path: t.parquet, where: active_days > 10}}");
    assert_eq!(scores.ids(), ["yes"]);
    assert_eq!(scores.dropped(InputName::Customer), 2);
}

#[test]
fn a_broken_file_is_named() {
    let folder = Folder::new();
    folder.parquet("whole.parquet", &activity(texts(["a"; 500]), ints(0..500_i64)));
    let bytes = std::fs::read(folder.path("whole.parquet")).unwrap();
    std::fs::write(folder.path("half.parquet"), &bytes[..bytes.len() / 2]).unwrap();
    for (file, kind) in [("half.parquet", ErrorKind::InvalidInput), ("gone.parquet", ErrorKind::NotFound)] {
        let yaml = format!("inputs: {{usage: {file}}}");
        let error = folder.try_run(&yaml, Run::default()).err().expect("the file cannot be read");
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(file) && text.contains("`usage`"), "{text}");
    }
    assert!(!folder.path("out.parquet").exists(), "a failed run leaves nothing behind");
}
