//! Inputs in which customers repeat late: a run that took them for one row each begins again, and scores as it should.

use std::sync::{Arc, Mutex};

use customer_health::component::Component;
use customer_health::engine::{Event, Observer, RunRequest};

use crate::support::{Folder, Scores, assert_close, batch, block_on, engine, ints, scorecard, texts};

/// More rows than a sample of keys has.
const CUSTOMERS: usize = 70_000;

const CARD: &str = "  engagement: {input: customer, weight: 0.5, indicators: {active_days: {weight: 1, scale: {range: [0, 30]}}}}
  product_usage: {input: usage, weight: 0.5, indicators: {sessions: {weight: 1, scale: {range: [0, max]}, aggregate: sum}}}
";

const YAML: &str = "scorecard: ./card.yaml\ninputs: {customer: c.parquet, usage: u.parquet}\n";

/// Scores, and the lines of the log.
fn run(folder: &Folder, yaml: &str) -> (Scores, Vec<String>) {
    folder.text("card.yaml", &scorecard(CARD));
    let component = Component::new(&folder.recipe(yaml, "out.parquet")).unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    let observer: Observer = Arc::new(move |event| {
        if let Event::Log(line) = event {
            kept.lock().unwrap().push(line);
        }
    });
    let report = block_on(engine(None).materialize(&component, &RunRequest::new(), &observer)).unwrap();
    let lines = lines.lock().unwrap().clone();
    (Scores::read(&folder.path("out.parquet"), report), lines)
}

fn tables(repeated: usize) -> Folder {
    let folder = Folder::new();
    let ids: Vec<String> = (0..CUSTOMERS).map(|number| format!("c{number}")).collect();
    let days = ints((0..CUSTOMERS).map(|number| number as i64 % 31));
    let (keys, plans) = (texts(ids.iter().map(String::as_str)), texts(ids.iter().map(|_| "pro")));
    folder.parquet("c.parquet", &batch([("customer_id", keys), ("active_days", days), ("plan", plans)]));
    // One session each, and at the end of the file three more for some.
    let users = ids.iter().chain(&ids[..repeated]).map(String::as_str);
    let sessions = ints((0..CUSTOMERS + repeated).map(|row| if row < CUSTOMERS { 1 } else { 3 }));
    folder.parquet("u.parquet", &batch([("customer_id", texts(users)), ("sessions", sessions)]));
    folder
}

#[test]
fn customers_that_repeat_beyond_the_sample_are_grouped() {
    let (scores, lines) = run(&tables(2), YAML);
    assert_eq!(scores.table.num_rows(), CUSTOMERS);
    // The largest value of all is a sum, which no footer tells.
    for (customer, expected) in [("c0", 100.0), ("c1", 100.0), ("c2", 25.0), ("c69999", 25.0)] {
        assert_close(scores.of(customer, "product_usage"), expected, customer);
    }
    assert_eq!(scores.report.inputs[1].duplicates_merged, 2);
    assert_eq!(lines.iter().filter(|line| line.contains("beginning again")).count(), 1, "{lines:?}");
    let stages: Vec<_> = scores.report.stages.iter().map(|stage| stage.stage).collect();
    let mut once = stages.clone();
    once.dedup();
    assert_eq!(stages, once, "each stage is told once");
}

#[test]
fn one_row_each_is_scored_in_one_go() {
    let (scores, lines) = run(&tables(0), YAML);
    assert_eq!(scores.table.num_rows(), CUSTOMERS);
    assert_close(scores.of("c5", "product_usage"), 100.0, "c5");
    assert!(!lines.iter().any(|line| line.contains("beginning again")), "{lines:?}");
}

#[test]
fn what_the_operator_cannot_join_is_made_sure_of_beforehand() {
    // The text of a mapped indicator travels through the join.
    let mapped = "components: {engagement: {indicators: {plan: {weight: 1, scale: {map: {pro: 100}}}}}}\n";
    let (scores, lines) = run(&tables(2), &format!("{YAML}{mapped}include_drivers: true\n"));
    assert_close(scores.of("c1", "product_usage"), 100.0, "c1");
    assert_close(scores.of("c2", "product_usage"), 25.0, "c2");
    assert!(!lines.iter().any(|line| line.contains("beginning again")), "{lines:?}");
}
