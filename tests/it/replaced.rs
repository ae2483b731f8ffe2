//! What a run may take the place of, and what it is compared with.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use chrono::{DateTime, Utc};
use customer_health::component::Component;
use customer_health::engine::{EngineError, RunRequest};
use customer_health::error::ErrorKind;

use crate::support::{Folder, Run, batch, block_on, engine, ints, silent, texts};

const TEXT: &str = "inputs: {customer: {path: c.csv, timestamp: at}}\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.text("c.csv", "customer_id,last_login_days,at\na,3,2025-06-20\nb,4,2025-06-21\n");
    folder
}

fn day(text: &str) -> Option<DateTime<Utc>> {
    Some(format!("{text}T00:00:00Z").parse().unwrap())
}

fn on<'a>(text: &str, output: &'a str) -> Run<'a> {
    Run { as_of: day(text), output: Some(output), ..Run::default() }
}

#[track_caller]
fn fails(folder: &Folder, text: &str, run: Run<'_>) -> EngineError {
    folder.try_run(text, run).err().expect("it was scored")
}

#[test]
fn nobody_does_not_take_the_place_of_somebody() {
    let folder = folder();
    folder.run(TEXT, on("2025-07-01", "out.parquet"));
    let good = fs::read(folder.path("out.parquet")).unwrap();
    folder.text("c.csv", "customer_id,last_login_days,at\na,3,soon\nb,4,2024-01-01\n,4,2025-06-20\n");
    let error = fails(&folder, TEXT, on("2025-07-01", "out.parquet"));
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let told = error.to_string();
    for part in ["has 2: it stays", "`customer`: 3 rows read, 0 count", "1 unreadable timestamp", "--allow-empty"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(fs::read(folder.path("out.parquet")).unwrap(), good);
    // Asked for, in a place without a table, and over a table of nobody it is no fault.
    let component = Component::new(&folder.recipe(TEXT, "out.parquet")).unwrap();
    let request = RunRequest { as_of: day("2025-07-01"), allow_empty: true, ..RunRequest::new() };
    assert_eq!(block_on(engine(None).materialize(&component, &request, &silent())).unwrap().customers, 0);
    for output in ["out.parquet", "new.parquet"] {
        assert!(folder.run(TEXT, on("2025-07-01", output)).ids().is_empty());
    }
}

#[test]
fn a_trend_is_never_that_of_a_run_with_itself_or_with_a_later_one() {
    let folder = folder();
    folder.run(TEXT, on("2025-07-01", "first.parquet"));
    let text = format!("{TEXT}calculate_trend: true\nhistory: first.parquet\n");
    for (day, told) in [("2025-07-01", "this run's own as-of time"), ("2025-06-30", "later than this run")] {
        let error = fails(&folder, &text, on(day, "second.parquet")).to_string();
        assert!(error.contains(told) && error.contains("component.yaml:3:10"), "{error}");
    }
    let scores = folder.run(&text, on("2025-07-02", "second.parquet"));
    assert!(scores.report.warnings.iter().all(|warning| !warning.contains("history")), "{:?}", scores.report.warnings);
}

#[test]
fn a_trend_over_another_scorecard_or_of_an_unknown_time_is_told() {
    let folder = folder();
    folder.run(&format!("{TEXT}scorecard: plg\n"), on("2025-07-01", "first.parquet"));
    let text = format!("{TEXT}calculate_trend: true\nhistory: first.parquet\n");
    let warnings = folder.run(&text, on("2025-07-02", "second.parquet")).report.warnings.join("\n");
    assert!(warnings.contains("was scored by another scorecard (plg "), "{warnings}");
    folder.parquet("first.parquet", &batch([("customer_id", texts(["a"])), ("health_score", ints([50]))]));
    let warnings = folder.run(&text, on("2025-07-02", "second.parquet")).report.warnings.join("\n");
    assert!(warnings.contains("does not say what time it is as of"), "{warnings}");
}

#[test]
fn tables_beside_the_scores_do_not_take_the_place_of_earlier_ones() {
    let folder = folder();
    for (key, text) in
        [("history", "calculate_trend: true\nhistory: first.parquet\n"), ("population", "population: first.parquet\n")]
    {
        folder.run(TEXT, on("2025-07-01", "first.parquet"));
        let text = format!("{TEXT}{text}fan_out: {{churn_risk: \"./new/../first.parquet\"}}\n");
        let error = fails(&folder, &text, on("2025-07-02", "second.parquet")).to_string();
        assert!(error.contains(&format!("is what `{key}` reads")), "{error}");
    }
}

#[test]
fn a_way_back_out_of_a_folder_that_is_not_there_yet_leads_back() {
    let folder = folder();
    let component = Component::new(&folder.recipe(TEXT, "new/../out.parquet")).unwrap();
    let request = RunRequest { as_of: day("2025-07-01"), ..RunRequest::new() };
    block_on(engine(None).materialize(&component, &request, &silent())).unwrap();
    assert!(folder.path("out.parquet").is_file() && !folder.path("new").exists());
}

#[test]
fn what_is_no_regular_file_is_neither_read_nor_replaced() {
    let folder = folder();
    let _listening = UnixListener::bind(folder.path("socket")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap().success());
    for (name, what) in [("socket", "a socket"), ("pipe", "a pipe")] {
        let error = fails(&folder, TEXT, on("2025-07-01", name));
        assert_eq!(error.kind(), ErrorKind::InvalidComponent);
        assert!(error.to_string().contains(&format!("it is {what}, and no regular file")), "{error}");
        assert!(!folder.path(name).is_file(), "{name} was replaced");
        for text in [
            format!("inputs: {{customer: {{path: {name}, format: csv}}}}"),
            format!("{TEXT}scorecard: ./{name}"),
            format!("{TEXT}population: {name}"),
            format!("{TEXT}calculate_trend: true\nhistory: {name}"),
        ] {
            let error = fails(&folder, &text, on("2025-07-01", "out.parquet")).to_string();
            assert!(error.contains("no regular file"), "{text}: {error}");
        }
    }
    // Nor as a lock.
    fs::rename(folder.path("pipe"), folder.path(".out.parquet.lock")).unwrap();
    let error = fails(&folder, TEXT, on("2025-07-01", "out.parquet")).to_string();
    assert!(error.contains("no regular file"), "{error}");
}

#[test]
fn a_link_is_followed_and_stays_a_link() {
    let folder = folder();
    fs::create_dir(folder.path("real")).unwrap();
    fs::write(folder.path("real/scores.parquet"), "old").unwrap();
    symlink(folder.path("real/scores.parquet"), folder.path("out.parquet")).unwrap();
    folder.run(TEXT, on("2025-07-01", "out.parquet"));
    assert!(folder.path("out.parquet").is_symlink());
    assert!(fs::metadata(folder.path("real/scores.parquet")).unwrap().len() > 100);
}
