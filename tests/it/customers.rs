//! Who is a customer, and what it means that an input has no rows of one.

use chrono::{DateTime, Utc};
use customer_health::component::Component;
use customer_health::engine::RunRequest;
use customer_health::scorecard::InputName;

use crate::support::{Folder, Run, Scores, assert_close, block_on, engine, scorecard};

const CARD: &str = "  c: {input: customer, weight: 1, indicators: {x: {weight: 1, scale: {range: [0, 100]}}}}\n  \
    u:\n    input: usage\n    weight: 1\n    indicators:\n      \
    events: {weight: 1, scale: {range: [0, max]}, aggregate: sum}\n";

/// Customers a-e, of whom a, b and c have 8, 2 and 1 events in the period, d one before it, e none; f and g are only seen there.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.text("c.csv", "customer_id,x\na,80\nb,60\nc,40\nd,20\ne,0\n");
    let event = |id: &str, day: &str, events: u32| format!("{id},{day},{events}\n");
    let mut rows = "customer_id,day,events\n".to_owned();
    for (id, day, events) in [
        ("a", "2025-06-10", 5),
        ("a", "2025-06-12", 3),
        ("b", "2025-06-20", 2),
        ("c", "2025-06-30", 1),
        ("d", "2025-04-01", 9),
        ("f", "2025-06-11", 20),
        ("f", "2025-06-12", 20),
        ("g", "2025-06-12", 1),
        ("", "2025-06-12", 1),
    ] {
        rows += &event(id, day, events);
    }
    folder.text("u.csv", &rows);
    folder.text("card.yaml", &scorecard(CARD));
    folder
}

fn run(folder: &Folder, more: &str, usage: &str) -> Scores {
    folder.run(&text(more, usage), Run { as_of: Some(as_of()), checks: true, ..Run::default() })
}

fn as_of() -> DateTime<Utc> {
    "2025-07-01T00:00:00Z".parse().unwrap()
}

fn text(more: &str, usage: &str) -> String {
    format!("inputs: {{customer: c.csv, usage: {{path: u.csv, timestamp: day{usage}}}}}\nscorecard: card.yaml\n{more}")
}

#[track_caller]
fn used(scores: &Scores, expected: &[(&str, f64)]) {
    assert_eq!(scores.ids(), expected.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    for (id, score) in expected {
        assert_close(scores.of(id, "u"), *score, id);
    }
}

#[test]
fn without_a_word_the_customers_of_all_inputs_are_scored_and_strangers_are_told() {
    let scores = run(&folder(), "", "");
    used(&scores, &[("a", 20.0), ("b", 5.0), ("c", 2.5), ("d", 50.0), ("e", 50.0), ("f", 100.0), ("g", 2.5)]);
    let warnings = scores.report.warnings.join("\n");
    assert!(warnings.contains("2 of 7 customers are not in the input `customer`"), "{warnings}");
    assert!(
        warnings.contains("2 customers have no data of the input `usage` in the period and count as 50"),
        "{warnings}"
    );
    assert!(warnings.contains("4 of the 5 customers"), "{warnings}");
}

#[test]
fn only_the_named_inputs_customers_are_scored_and_measured() {
    // The most events are a's 8, not the stranger's 40.
    let scores = run(&folder(), "customers_from: customer\n", "");
    used(&scores, &[("a", 100.0), ("b", 25.0), ("c", 12.5), ("d", 50.0), ("e", 50.0)]);
    let usage = scores.input(InputName::Usage);
    assert_eq!((usage.customers, usage.unmatched, usage.duplicates_merged), (3, 0, 1));
    let dropped: Vec<(&str, u64)> = usage.dropped.iter().map(|d| (d.reason.as_str(), d.rows)).collect();
    assert_eq!(
        dropped,
        [
            ("null or blank key", 1),
            ("outside the analysis period", 1),
            ("of customers that are not scored (`customers_from`)", 3)
        ]
    );
    assert!(!scores.report.warnings.join("\n").contains("are not in the input"));
    let failed = |name: &str| scores.report.checks.iter().any(|check| check.name == name && !check.passed);
    assert!(!failed("flags_match_category") && !failed("customer_id_unique_not_null"));
    // The other way round.
    let scores = run(&folder(), "customers_from: usage\n", "");
    used(&scores, &[("a", 20.0), ("b", 5.0), ("c", 2.5), ("f", 100.0), ("g", 2.5)]);
}

#[test]
fn a_customer_without_events_has_none_of_them_where_the_input_has_every_event() {
    let scores = run(&folder(), "", ", without_rows: zero");
    used(&scores, &[("a", 20.0), ("b", 5.0), ("c", 2.5), ("d", 0.0), ("e", 0.0), ("f", 100.0), ("g", 2.5)]);
    assert_eq!((scores.input(InputName::Usage).customers, scores.missing("u"), scores.missing("c")), (5, 0, 2));
    assert!(!scores.report.warnings.join("\n").contains("without_rows"));
    let scores = run(&folder(), "customers_from: customer\n", ", without_rows: zero");
    used(&scores, &[("a", 100.0), ("b", 25.0), ("c", 12.5), ("d", 0.0), ("e", 0.0)]);
}

#[test]
fn no_events_are_a_count_of_zero_and_a_recency_of_the_whole_period() {
    let folder = folder();
    folder.text(
        "card.yaml",
        &scorecard(
            "  u:\n    input: usage\n    weight: 1\n    indicators:\n      \
             many: {weight: 1, scale: {range: [10, 0]}}\n      \
             rows: {weight: 1, scale: {range: [30, 0]}, field: events, aggregate: count}\n      \
             since: {weight: 1, scale: {range: [period, 0]}}\n      \
             most: {weight: 1, scale: {range: [0, 10]}}\n      \
             typical: {weight: 1, scale: {percentile: higher_is_better}, field: events, aggregate: sum}\n",
        ),
    );
    let fields = ", without_rows: zero, fields: {many: 'sum(events) + count(*) * 2', \
                  since: CAST(as_of AS DATE) - max(day), most: max(events)}";
    let yaml = text("customers_from: customer\n", fields);
    let component = Component::new(&folder.recipe(&yaml, "out.parquet")).unwrap();
    let request = RunRequest { as_of: Some(as_of()), ..RunRequest::new() };
    let explain = |id: &str| block_on(async { engine(None).explain(&component, &request, id).await }).unwrap();
    let values = |id: &str| -> Vec<String> {
        let indicators = explain(id).components.remove(0).indicators;
        indicators.iter().map(|i| i.value.clone().unwrap_or("-".to_owned())).collect()
    };
    assert_eq!(values("a"), ["12", "2", "19", "5", "8"]);
    assert_eq!(values("c"), ["3", "1", "1", "1", "1"]);
    assert_eq!(values("e"), ["0", "0", "30", "-", "0"], "what is no count, sum or recency stays missing");
    let scores: Vec<Option<f64>> = explain("e").components[0].indicators.iter().map(|i| i.score).collect();
    assert_eq!(scores, [Some(100.0), Some(100.0), Some(0.0), None, Some(0.0)]);
    // c is the third of five, behind two that share the lowest rank.
    assert_eq!(explain("c").components[0].indicators[4].score, Some(50.0));
}

#[test]
fn shapes_of_data_change_nothing() {
    let folder = folder();
    for usage in [
        "customer_id,day,events\n",
        "customer_id,day,events\na,2025-06-12,\n",
        "customer_id,day,events\nz,2025-06-12,4\n",
    ] {
        folder.text("u.csv", usage);
        let scores = run(&folder, "customers_from: customer\n", ", without_rows: zero");
        assert_eq!(scores.ids(), ["a", "b", "c", "d", "e"], "{usage}");
    }
    folder.text("c.csv", "customer_id,x\n");
    std::fs::remove_file(folder.path("out.parquet")).unwrap();
    assert!(run(&folder, "customers_from: customer\n", "").ids().is_empty());
}

#[test]
fn customers_come_from_an_input_that_is_there() {
    let folder = folder();
    let yaml = "inputs: {usage: u.csv}\nscorecard: card.yaml\ncustomers_from: customer\n";
    let error = folder.try_run(yaml, Run::default()).err().expect("it ran").to_string();
    assert!(error.contains("component.yaml:3:17: the input `customer` is not connected"), "{error}");
    let error =
        folder.try_run(&text("customers_from: custmer\n", ""), Run::default()).err().expect("it ran").to_string();
    assert!(error.contains("did you mean `customer`?"), "{error}");
}
