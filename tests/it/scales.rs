//! Each scale and each aggregate, by numbers worked by hand.

use arrow::array::{ArrayRef, RecordBatch};

use customer_health::engine::RunRequest;

use crate::support::{Folder, assert_close, batch, block_on, engine, flags, floats, ints, one_indicator, texts};

/// Scores of component `c`, whose only indicator has this scale and reads these values, one customer each.
#[track_caller]
fn scores(indicator: &str, values: ArrayRef) -> Vec<f64> {
    let ids: Vec<String> = (0..values.len()).map(|row| format!("c{row:02}")).collect();
    let table = batch([("customer_id", texts(ids.iter().map(String::as_str))), ("x", values)]);
    let scores = run(indicator, &table, "");
    ids.iter()
        .map(|id| if scores.text(id, "weakest_factor").is_none() { f64::NAN } else { scores.of(id, "c") })
        .collect()
}

#[track_caller]
fn run(indicator: &str, table: &RecordBatch, input_keys: &str) -> crate::support::Scores {
    let folder = Folder::new();
    folder.text("card.yaml", &one_indicator(indicator));
    folder.parquet("t.parquet", table);
    folder.score(&format!(
        "scorecard: card.yaml\ninclude_drivers: true\ninputs: {{customer: {{path: t.parquet{input_keys}}}}}\n"
    ))
}

/// Equal to 1e-9, where NaN stands for missing.
#[track_caller]
fn assert_scores(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.is_nan(), expected.is_nan(), "value {at}: found {found}, expected {expected}");
        if !expected.is_nan() {
            assert_close(*found, *expected, &format!("value {at}"));
        }
    }
}

const MISSING: f64 = f64::NAN;

#[test]
fn range_of_fixed_ends_is_linear_and_clipped() {
    let scale = "{weight: 1, scale: {range: [10, 20]}}";
    let values = floats([Some(5.0), Some(10.0), Some(12.5), Some(20.0), Some(99.0), None]);
    assert_scores(&scores(scale, values), &[0.0, 0.0, 25.0, 100.0, 100.0, MISSING]);
}

#[test]
fn range_with_best_below_worst_is_lower_is_better() {
    let scale = "{weight: 1, scale: {range: [3, 0]}}";
    assert_scores(&scores(scale, ints([0, 1, 2, 3, 4])), &[100.0, 200.0 / 3.0, 100.0 / 3.0, 0.0, 0.0]);
}

#[test]
fn range_to_period_uses_the_analysis_period() {
    let scale = "{weight: 1, scale: {range: [period, 0]}}";
    assert_scores(&scores(scale, ints([0, 15, 30, 45])), &[100.0, 50.0, 0.0, 0.0]);
}

#[test]
fn range_over_the_population_uses_its_ends() {
    let scale = "{weight: 1, scale: {range: [min, max]}}";
    assert_scores(&scores(scale, ints([10, 20, 50])), &[0.0, 25.0, 100.0]);
}

#[test]
fn range_of_equal_ends_scores_50() {
    assert_scores(&scores("{weight: 1, scale: {range: [min, max]}}", ints([7, 7])), &[50.0, 50.0]);
    assert_scores(&scores("{weight: 1, scale: {range: [5, 5]}}", ints([1, 9])), &[50.0, 50.0]);
    assert_scores(&scores("{weight: 1, scale: {range: [0, max]}}", ints([0, 0])), &[50.0, 50.0]);
}

#[test]
fn percentiles_of_the_population_interpolate() {
    // Of 0, 10, 20, 30 the p05 lies at rank 0.15, which is 1.5, and the p95 at rank 2.85, which is 28.5.
    let found = scores("{weight: 1, scale: {range: [p05, p95]}}", ints([30, 0, 20, 10]));
    assert_scores(&found, &[100.0, 0.0, 18.5 / 27.0 * 100.0, 8.5 / 27.0 * 100.0]);
    let found = scores("{weight: 1, scale: {range: [0, p50]}}", ints([1, 2, 3, 4, 5]));
    assert_scores(&found, &[100.0 / 3.0, 200.0 / 3.0, 100.0, 100.0, 100.0]);
}

#[test]
fn nan_and_infinity_are_missing_for_scores_and_statistics() {
    let values = floats([1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3.0]);
    let found = scores("{weight: 1, scale: {range: [min, max]}}", values);
    assert_scores(&found, &[0.0, MISSING, MISSING, MISSING, 100.0]);
}

#[test]
fn bands_take_the_first_match() {
    let scale = "{weight: 1, scale: {bands: [{below: 1, score: 70}, {below: 4, score: 80}, {score: 30}]}}";
    assert_scores(&scores(scale, floats([0.0, 0.999, 1.0, 3.9, 4.0, -5.0])), &[70.0, 70.0, 80.0, 80.0, 30.0, 70.0]);
}

#[test]
fn bands_without_a_last_one_leave_higher_values_missing() {
    let scale = "{weight: 1, scale: {bands: [{below: 1, score: 70}, {below: 4, score: 80}]}}";
    assert_scores(&scores(scale, ints([0, 2, 9])), &[70.0, 80.0, MISSING]);
}

#[test]
fn map_compares_trimmed_and_case_blind() {
    let scale = "{weight: 1, scale: {map: {Active: 100, canceled: 0}, default: 40}}";
    let values = texts([Some("active"), Some(" ACTIVE\t"), Some("Canceled"), Some("paused"), Some(""), None]);
    assert_scores(&scores(scale, values), &[100.0, 100.0, 0.0, 40.0, MISSING, MISSING]);
}

#[test]
fn map_without_default_leaves_other_text_missing() {
    let scale = "{weight: 1, scale: {map: {yes: 90}}}";
    assert_scores(&scores(scale, texts(["yes", "no"])), &[90.0, MISSING]);
}

#[test]
fn map_reads_booleans_and_whole_numbers_as_text() {
    let scale = "{weight: 1, scale: {map: {true: 100, false: 20}}}";
    assert_scores(&scores(scale, flags([Some(true), Some(false), None])), &[100.0, 20.0, MISSING]);
    let scale = "{weight: 1, scale: {map: {1: 10, 2: 60}, default: 0}}";
    assert_scores(&scores(scale, ints([1, 2, 3])), &[10.0, 60.0, 0.0]);
}

#[test]
fn percentile_ranks_and_ties_share_the_lowest_rank() {
    let higher = "{weight: 1, scale: {percentile: higher_is_better}}";
    let values = || floats([Some(5.0), Some(1.0), Some(5.0), None, Some(9.0), Some(2.0)]);
    assert_scores(&scores(higher, values()), &[50.0, 0.0, 50.0, MISSING, 100.0, 25.0]);
    let lower = "{weight: 1, scale: {percentile: lower_is_better}}";
    assert_scores(&scores(lower, values()), &[25.0, 100.0, 25.0, MISSING, 0.0, 75.0]);
}

#[test]
fn percentile_of_one_customer_is_50() {
    assert_scores(&scores("{weight: 1, scale: {percentile: higher_is_better}}", ints([7])), &[50.0]);
}

/// Four rows of `a`: 4 at day 1, null at day 4, 10 at day 2, 4 at day 3. One row of `b`: null.
fn rows() -> RecordBatch {
    let day = |day: i64| 1_735_603_200_000_000 - (10 - day) * 86_400_000_000;
    let times = [1, 4, 2, 3, 1].map(day);
    batch([
        ("customer_id", texts(["a", "a", "a", "a", "b"])),
        ("x", floats([Some(4.0), None, Some(10.0), Some(4.0), None])),
        ("word", texts([Some("low"), None, Some("high"), Some("mid"), None])),
        ("at", std::sync::Arc::new(arrow::array::TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC"))),
    ])
}

#[track_caller]
fn aggregated(aggregate: &str) -> (f64, Option<f64>) {
    let folder = Folder::new();
    folder.text(
        "card.yaml",
        &one_indicator(&format!("{{weight: 1, scale: {{range: [0, 100]}}, aggregate: {aggregate}}}")),
    );
    folder.parquet("t.parquet", &rows());
    let yaml = "scorecard: card.yaml\ninclude_drivers: true\ninputs: {customer: {path: t.parquet, timestamp: at}}\n";
    let run = crate::support::Run { as_of: chrono::DateTime::from_timestamp(1_735_603_200, 0), ..Default::default() };
    let scores = folder.run(yaml, run);
    let b = scores.text("b", "weakest_factor").map(|_| scores.of("b", "c"));
    (scores.of("a", "c"), b)
}

#[test]
fn every_aggregate_of_four_rows() {
    for (aggregate, a, b) in [
        ("min", 4.0, None),
        ("max", 10.0, None),
        ("sum", 18.0, None),
        ("avg", 6.0, None),
        ("count", 3.0, Some(0.0)),
        ("count_distinct", 2.0, Some(0.0)),
        ("last", 4.0, None),
    ] {
        let found = aggregated(aggregate);
        assert_close(found.0, a, aggregate);
        assert_eq!(found.1, b, "{aggregate} of no value");
    }
}

#[test]
fn map_scores_each_row_and_then_aggregates() {
    let map = "scale: {map: {low: 10, mid: 40, high: 100}}";
    let run_with = |aggregate: &str| {
        let folder = Folder::new();
        folder.text("card.yaml", &one_indicator(&format!("{{field: word, weight: 1, {map}{aggregate}}}")));
        folder.parquet("t.parquet", &rows());
        let yaml = "scorecard: card.yaml\ninputs: {customer: {path: t.parquet, timestamp: at}}\n";
        let run =
            crate::support::Run { as_of: chrono::DateTime::from_timestamp(1_735_603_200, 0), ..Default::default() };
        folder.run(yaml, run).of("a", "c")
    };
    assert_close(run_with(""), 50.0, "avg by default");
    assert_close(run_with(", aggregate: min"), 10.0, "min");
    assert_close(run_with(", aggregate: max"), 100.0, "max");
    assert_close(run_with(", aggregate: last"), 40.0, "last");
}

#[test]
fn a_mapping_is_scalar_or_aggregate_and_wins_over_a_column() {
    let indicator = "{weight: 1, scale: {range: [0, 100]}, aggregate: max}";
    let scored = |sql: &str| {
        let folder = Folder::new();
        folder.text("card.yaml", &one_indicator(indicator));
        folder.parquet("t.parquet", &rows());
        let yaml =
            format!("scorecard: card.yaml\ninputs: {{customer: {{path: t.parquet, fields: {{x: \"{sql}\"}}}}}}\n");
        folder.score(&yaml).of("a", "c")
    };
    assert_close(scored("x * 2"), 20.0, "scalar, aggregated with max");
    assert_close(scored("count(*) FILTER (WHERE word <> 'low')"), 2.0, "aggregate with a filter");
    assert_close(scored("sum(x) / count(x) + 1"), 7.0, "aggregates inside arithmetic");
    assert_close(scored("CASE word WHEN 'high' THEN 1 ELSE 30 END"), 30.0, "case");
}

#[test]
fn a_component_is_the_mean_of_what_is_there_weighted() {
    let folder = Folder::new();
    let indicators = "  c:\n    input: customer\n    weight: 1\n    indicators:\n      \
                      x: {weight: 3, scale: {range: [0, 100]}}\n      y: {weight: 1, scale: {range: [0, 100]}}\n    \
                      caps: [{when: x > 70 AND y IS NOT NULL, at_most: 35}]\n";
    folder.text("card.yaml", &crate::support::scorecard(indicators));
    folder.parquet(
        "t.parquet",
        &batch([
            ("customer_id", texts(["both", "only_x", "capped", "capped_but_lower", "none"])),
            ("x", floats([Some(60.0), Some(60.0), Some(80.0), None, None])),
            ("y", floats([Some(20.0), None, Some(0.0), Some(10.0), None])),
        ]),
    );
    let scores = folder.score("scorecard: card.yaml\ninputs: {customer: t.parquet}\n");
    assert_close(scores.of("both", "c"), 50.0, "(3 * 60 + 20) / 4");
    assert_close(scores.of("only_x", "c"), 60.0, "y takes no part");
    assert_close(scores.of("capped", "c"), 35.0, "60, capped");
    assert_close(scores.of("capped_but_lower", "c"), 10.0, "null > 70 is not true");
    assert_close(scores.of("none", "c"), 50.0, "neutral");
}

/// Scores by a scorecard of one component, `c`, with these indicators.
#[track_caller]
fn component_of(indicators: &str, table: &RecordBatch) -> crate::support::Scores {
    let folder = Folder::new();
    let card = format!("  c:\n    input: customer\n    weight: 1\n    indicators:\n{indicators}");
    folder.text("card.yaml", &crate::support::scorecard(&card));
    folder.parquet("t.parquet", table);
    folder.score("scorecard: card.yaml\ninputs: {customer: t.parquet}\n")
}

#[test]
fn several_percentiles_in_one_component_rank_apart() {
    let table = batch([
        ("customer_id", texts(["a", "b", "c"])),
        ("x", ints([1, 2, 3])),
        ("y", ints([5, 9, 7])),
        ("z", ints([Some(4), None, Some(1)])),
    ]);
    let indicators = "      x: {weight: 1, scale: {percentile: higher_is_better}}\n      \
                      y: {weight: 1, scale: {percentile: higher_is_better}}\n      \
                      z: {weight: 1, scale: {percentile: lower_is_better}}\n";
    let scores = component_of(indicators, &table);
    assert_close(scores.of("a", "c"), 0.0, "(0 + 0 + 0) / 3");
    assert_close(scores.of("b", "c"), 75.0, "(50 + 100) / 2");
    assert_close(scores.of("c", "c"), 250.0 / 3.0, "(100 + 50 + 100) / 3");
}

#[test]
fn a_perfect_component_is_100_and_not_a_rounding_error_more() {
    let one = || ints([1]);
    let table = batch([("customer_id", texts(["a"])), ("x", one()), ("y", one()), ("z", one())]);
    let indicator = |name: &str, weight: f64| format!("      {name}: {{weight: {weight}, scale: {{range: [0, 1]}}}}\n");
    let tenths = || (1..10).map(|tenth| f64::from(tenth) / 10.0);
    // In floating point, sum(w * 100) / sum(w) is more than 100 for some weights; these are the first such.
    let above = |(x, y, z): &(f64, f64, f64)| (x * 100.0 + y * 100.0 + z * 100.0) / (x + y + z) > 100.0;
    let mut weights = tenths().flat_map(|x| tenths().flat_map(move |y| tenths().map(move |z| (x, y, z))));
    let first = weights.find(above).expect("there are such weights");
    // Of the second ones sum(w * 100) is no more than sum(w) * 100, and only the quotient is.
    for (x, y, z) in [first, (0.1, 0.6, 0.1)] {
        assert!(above(&(x, y, z)));
        let scores = component_of(&(indicator("x", x) + &indicator("y", y) + &indicator("z", z)), &table);
        assert!(scores.of("a", "c") <= 100.0, "{} with the weights {x}, {y}, {z}", scores.of("a", "c"));
    }
}

/// Plan and scores of a field that counts distinct values.
fn distinct(field: &str, values: ArrayRef) -> (String, crate::support::Scores) {
    let folder = Folder::new();
    folder.text("card.yaml", &one_indicator("{weight: 1, scale: {range: [0, 4]}}"));
    let ids = texts((0..values.len()).map(|row| if row % 2 == 0 { "even" } else { "odd" }));
    folder.parquet("t.parquet", &batch([("customer_id", ids), ("v", values)]));
    let yaml = format!("scorecard: card.yaml\ninputs: {{customer: {{path: t.parquet, fields: {{x: \"{field}\"}}}}}}\n");
    let (engine, component) = (engine(Some(2)), folder.component(&yaml));
    let plan = block_on(engine.explain_plan(&component, &RunRequest::new())).unwrap();
    (plan, folder.score(&yaml))
}

/// A set for each customer is memory that no limit holds; two groupings go to disk.
#[test]
fn distinct_values_are_counted_by_two_groupings() {
    let texts_seen = || texts([Some("a"), Some("a"), Some("b"), None, Some("a"), Some("a"), Some("c"), None]);
    for field in ["count(DISTINCT v)", "count(DISTINCT v) * 1.0", "count(DISTINCT upper(v))"] {
        let (plan, scores) = distinct(field, texts_seen());
        assert!(!plan.contains("DISTINCT"), "{field}: {plan}");
        assert_close(scores.of("even", "c"), 75.0, field);
        assert_close(scores.of("odd", "c"), 25.0, field);
    }
    let (plan, scores) = distinct("count(DISTINCT v) + max(v)", ints([1, 0, 2, 0, 1, 0]));
    assert!(!plan.contains("DISTINCT"), "{plan}");
    assert_close(scores.of("even", "c"), 100.0, "even");
    assert_close(scores.of("odd", "c"), 25.0, "odd");
    // Of all nulls there is none, and one row each is counted as any other.
    let (_, scores) = distinct("count(DISTINCT v)", texts([None::<&str>, None]));
    assert_close(scores.of("even", "c"), 0.0, "nothing there");
    let (_, scores) = distinct("count(DISTINCT v)", texts(["a", "b"]));
    assert_close(scores.of("odd", "c"), 25.0, "one row each");
}

/// The same aggregate in several fields is one column of the grouping, and each field has its value.
#[test]
fn one_aggregate_in_two_places_is_computed_once() {
    let (plan, scores) = distinct("count(DISTINCT v) + count(DISTINCT v) - count(DISTINCT v)", ints([1, 5, 2, 5]));
    assert!(!plan.contains("DISTINCT"), "{plan}");
    assert_close(scores.of("even", "c"), 50.0, "even");
}

#[test]
fn a_period_longer_than_time_takes_all_rows() {
    use arrow::compute::cast;
    use arrow::datatypes::{DataType, TimeUnit};

    let days: ArrayRef = std::sync::Arc::new(arrow::array::Date32Array::from(vec![-700_000, 0, 20_000]));
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond];
    let types = units.map(|unit| DataType::Timestamp(unit, None)).into_iter().chain([DataType::Date32]);
    for (data_type, period) in types.flat_map(|t| [97_000_000, u32::MAX].map(|period| (t.clone(), period))) {
        let folder = Folder::new();
        folder.text("card.yaml", &one_indicator("{weight: 1, scale: {range: [0, 3]}, aggregate: count}"));
        let times = cast(&days, &data_type).unwrap();
        folder.parquet("t.parquet", &batch([("customer_id", texts(["a"; 3])), ("at", times), ("x", ints([1, 2, 3]))]));
        let scores = folder.score(&format!(
            "scorecard: card.yaml\nanalysis_period_days: {period}\ninputs: {{customer: {{path: t.parquet, timestamp: at}}}}\n"
        ));
        assert_close(scores.of("a", "c"), 100.0, &format!("{data_type}, {period}"));
    }
}
