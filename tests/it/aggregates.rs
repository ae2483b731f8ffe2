//! Aggregates that look at all of a customer's values: the right number in plans that go to disk, and an end where they cannot.

use arrow::array::{ArrayRef, RecordBatch};
use customer_health::engine::{Engine, EngineConfig, RunRequest};
use customer_health::error::ErrorKind;

use crate::support::{
    Folder, assert_close, batch, block_on, engine, flags, floats, ints, one_indicator, silent, texts,
};

/// The plan of one field over rows whose customers are `a` and `b` by turns.
fn folder(field: &str, columns: impl IntoIterator<Item = (&'static str, ArrayRef)>) -> (Folder, String) {
    let folder = Folder::new();
    folder.text("card.yaml", &one_indicator("{weight: 1, scale: {range: [0, 100]}}"));
    let columns: Vec<(&str, ArrayRef)> = columns.into_iter().collect();
    let rows = columns[0].1.len();
    let ids = texts((0..rows).map(|row| if row % 2 == 0 { "a" } else { "b" }));
    folder.parquet(
        "t.parquet",
        &RecordBatch::try_from_iter(std::iter::once(("customer_id", ids)).chain(columns)).unwrap(),
    );
    let input = format!("{{path: t.parquet, fields: {{x: \"{field}\"}}}}");
    (folder, format!("scorecard: card.yaml\ninclude_drivers: true\ninputs: {{customer: {input}}}\n"))
}

/// Scores of `a` and `b`, NaN where there is none; the plan keeps no sets.
#[track_caller]
fn scores(field: &str, columns: impl IntoIterator<Item = (&'static str, ArrayRef)>) -> [f64; 2] {
    let (folder, yaml) = folder(field, columns);
    let plan = block_on(engine(Some(2)).explain_plan(&folder.component(&yaml), &RunRequest::new())).unwrap();
    let mut groupings = plan.lines().filter(|line| line.contains("Aggregate"));
    assert!(!groupings.any(|line| line.contains("DISTINCT")), "{field}: {plan}");
    let scores = folder.score(&yaml);
    ["a", "b"].map(|id| if scores.text(id, "weakest_factor").is_none() { f64::NAN } else { scores.of(id, "c") })
}

/// Of `a` n is 1, 2, 2, t is p, q, p; of `b` n is 5, 5, null, t is null, r, r.
fn some() -> [(&'static str, ArrayRef); 3] {
    [
        ("n", ints([Some(1), Some(5), Some(2), Some(5), Some(2), None])),
        ("t", texts([Some("p"), None, Some("q"), Some("r"), Some("p"), Some("r")])),
        ("f", flags([true, true, true, false, false, true])),
    ]
}

#[test]
fn distinct_values_beside_whatever_else_are_counted_in_groupings_of_their_own() {
    for (field, a, b) in [
        ("count(DISTINCT t) + avg(n)", 2.0 + 5.0 / 3.0, 6.0),
        ("count(DISTINCT t) * 10 + count(DISTINCT n)", 22.0, 11.0),
        ("count(DISTINCT t) * 10 + sum(DISTINCT n)", 23.0, 15.0),
        ("count(DISTINCT t) + avg(DISTINCT n) + count(*)", 2.0 + 1.5 + 3.0, 1.0 + 5.0 + 3.0),
        ("count(DISTINCT t) FILTER (WHERE f)", 2.0, 1.0),
        ("count(DISTINCT t) FILTER (WHERE NOT f) + count(DISTINCT t) * 10", 21.0, 11.0),
        ("count(DISTINCT n) FILTER (WHERE t = 'q')", 1.0, 0.0),
        ("median(DISTINCT n) + count(n)", 4.5, 7.0),
        ("percentile_cont(DISTINCT n, 0.5) + count(n)", 4.5, 7.0),
        ("count(DISTINCT t) + max(DISTINCT n) + stddev_pop(n) * 0", 4.0, 6.0),
        ("count(DISTINCT CASE WHEN f THEN n END) + median(n)", 4.0, 6.0),
        ("count(DISTINCT t) + length(last_value(t ORDER BY n, t)) + count(n)", 6.0, 4.0),
    ] {
        let [found_a, found_b] = scores(field, some());
        assert_close(found_a, a, &format!("a: {field}"));
        assert_close(found_b, b, &format!("b: {field}"));
    }
}

#[test]
fn distinct_values_of_other_types_and_of_none() {
    let field = "count(DISTINCT v) + avg(CASE WHEN v IS NULL THEN 0 ELSE 0 END)";
    let of = |values: ArrayRef| scores(field, [("v", values)]);
    assert_eq!(of(texts([None::<&str>, None, None, None])), [0.0, 0.0]);
    assert_eq!(of(texts(["x", "x"])), [1.0, 1.0]);
    assert_eq!(of(flags([Some(true), None, Some(false), None])), [2.0, 0.0]);
    assert_eq!(of(floats([Some(1.5), Some(1.5), Some(1.5), Some(f64::NAN)])), [1.0, 2.0]);
    let days: ArrayRef = std::sync::Arc::new(arrow::array::Date32Array::from(vec![Some(1), Some(1), Some(2), None]));
    assert_eq!(of(days), [2.0, 1.0]);
    // What has no value stays missing beside a count, which is 0.
    let [a, b] = scores("avg(v) + count(DISTINCT w)", [("v", floats([Some(2.0), None])), ("w", texts(["p", "q"]))]);
    assert_eq!(a, 3.0);
    assert!(b.is_nan());
}

#[test]
fn distinct_values_of_an_input_without_rows() {
    let (folder, yaml) = folder("count(DISTINCT t) + avg(n)", some().map(|(name, values)| (name, values.slice(0, 0))));
    assert_eq!(folder.score(&yaml).report.customers, 0);
}

/// Indicators of one input, each with its own aggregate, are one grouping to the engine.
#[test]
fn indicators_that_count_distinct_values_stand_beside_others() {
    let folder = Folder::new();
    let card = "  c:\n    input: customer\n    weight: 1\n    indicators:\n      \
                n: {weight: 1, scale: {range: [0, 100]}, aggregate: avg}\n      \
                t: {weight: 1, scale: {range: [0, 100]}, aggregate: count_distinct}\n      \
                f: {weight: 1, scale: {range: [0, 100]}, aggregate: count_distinct}\n";
    folder.text("card.yaml", &crate::support::scorecard(card));
    let ids = texts(["a", "b", "a", "b", "a", "b"]);
    folder.parquet(
        "t.parquet",
        &RecordBatch::try_from_iter(std::iter::once(("customer_id", ids)).chain(some())).unwrap(),
    );
    let scores = folder.score("scorecard: card.yaml\ninputs: {customer: t.parquet}\n");
    assert_close(scores.of("a", "c"), (5.0 / 3.0 + 2.0 + 2.0) / 3.0, "a");
    assert_close(scores.of("b", "c"), (5.0 + 1.0 + 2.0) / 3.0, "b");
}

/// With so many customers a grouping in two steps gives its first one up, and DataFusion's `percentile_cont` panicked.
#[test]
fn percentiles_of_many_customers_in_one_file_and_in_several() {
    let folder = Folder::new();
    folder.text("card.yaml", &one_indicator("{weight: 1, scale: {range: [0, 100]}}"));
    let ids: Vec<String> = (0..60_000).map(|number| format!("c{number}")).collect();
    for (file, step) in [("t/1.parquet", 0), ("t/2.parquet", 10), ("t/3.parquet", 40)] {
        let values = floats((0..ids.len()).map(|number| f64::from(u32::try_from(number % 7).unwrap() + step)));
        folder.parquet(file, &batch([("customer_id", texts(ids.iter().map(String::as_str))), ("v", values)]));
    }
    for (field, expected) in [
        ("percentile_cont(0.5) WITHIN GROUP (ORDER BY v)", 13.0),
        ("quantile_cont(v, 0.75)", 28.0),
        ("median(v) + count(DISTINCT v) - 3", 13.0),
    ] {
        let input = format!("{{path: t, fields: {{x: \"{field}\"}}}}");
        let yaml = format!("scorecard: card.yaml\ninputs: {{customer: {input}}}\n");
        for partitions in [1, 2] {
            let component = folder.component(&yaml);
            let engine = engine(Some(partitions));
            let report = block_on(engine.materialize(&component, &RunRequest::new(), &silent()));
            let report = report.unwrap_or_else(|error| panic!("{field}: {error}"));
            let scores = crate::support::Scores::read(&folder.path("out.parquet"), report);
            assert_close(scores.of("c3", "c"), expected, field);
        }
    }
}

/// What has to be in memory at once, and is more than the limit, ends the run by the limit's name.
#[test]
fn one_customer_with_more_values_than_memory() {
    for field in ["median(n)", "percentile_cont(0.9) WITHIN GROUP (ORDER BY n)"] {
        let (folder, yaml) = folder(field, [("n", floats((0..600_000).map(f64::from)))]);
        let config = EngineConfig { memory_limit: Some(2 << 20), ..EngineConfig::default() };
        let component = folder.component(&yaml);
        let engine = Engine::new(config).unwrap();
        let error = block_on(engine.materialize(&component, &RunRequest::new(), &silent())).err();
        let error = error.unwrap_or_else(|| panic!("{field}: more than the limit was taken"));
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
        assert!(error.to_string().contains("--memory-limit"), "{error}");
    }
}
