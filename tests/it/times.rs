//! Timestamps as files write them: which rows lie in the period, and which cannot be told.

use chrono::{DateTime, Utc};
use customer_health::scorecard::InputName;

use crate::support::{Folder, Run, Scores, block_on, engine};

const INPUT: InputName = InputName::Customer;

fn scored(timestamp: &str, times: &[&str]) -> Scores {
    let folder = Folder::new();
    let rows: String = times.iter().enumerate().map(|(at, time)| format!("{at},1,\"{time}\"\n")).collect();
    folder.text("c.csv", &format!("customer_id,last_login_days,at\n{rows}"));
    run(&folder, timestamp)
}

fn run(folder: &Folder, timestamp: &str) -> Scores {
    let as_of: DateTime<Utc> = "2025-07-01T00:00:00Z".parse().unwrap();
    let text = format!("inputs: {{customer: {{path: c.csv, timestamp: {timestamp}}}}}\n");
    folder.run(&text, Run { as_of: Some(as_of), ..Run::default() })
}

/// The rows that lie in June, by their place.
#[track_caller]
fn in_june(format: &str, times: &[&str], expected: &[&str]) {
    let scores = scored(&format!("{{column: at, format: '{format}'}}"), times);
    assert_eq!(scores.ids(), expected, "{format}: {:?}", scores.report.warnings);
}

#[test]
fn the_usual_ways_to_write_a_date_are_read_by_their_format() {
    in_june("%m/%d/%Y", &["06/15/2025", "6/5/2025", "05/15/2025", "07/01/2025", " 06/30/2025 "], &["0", "1", "3", "4"]);
    in_june("%d.%m.%Y %H:%M", &["15.06.2025 14:03", "15.05.2025 14:03", "30.06.2025 23:59"], &["0", "2"]);
    in_june(
        "%m/%d/%y %I:%M %p",
        &["6/15/25 2:03 PM", "6/15/69 2:03 PM", "06/01/25 12:00 am", "6/1/25 13:00 am"],
        &["0"],
    );
    in_june("%d-%b-%Y", &["15-Jun-2025", "15-june-2025", "15-MAY-2025", "15-Jux-2025", "1-Jul-2025"], &["0", "1", "4"]);
    in_june("%A, %B %d, %Y", &["Sunday, June 15, 2025", "Thursday, May 15, 2025"], &["0"]);
    in_june("%Y%m%d", &["20250615", "20250515"], &["0"]);
    in_june(
        "%d/%m/%Y %H:%M:%S%.f",
        &["15/06/2025 14:03:01.25", "15/06/2025 14:03:01", "15/05/2025 14:03:01"],
        &["0", "1"],
    );
    in_june(
        "%Y/%m/%d %H:%M %z",
        &["2025/07/01 01:00 +0200", "2025/07/01 00:00 +00:00", "2025/07/01 00:00 -02:00"],
        &["0", "1"],
    );
    in_june("%s", &["1750000000", "1740000000"], &["0"]);
    in_june("am %d of %m %Y (at 5%%)", &["am 15 of 6 2025 (at 5%)", "15 of 6 2025"], &["0"]);
}

#[test]
fn a_format_that_is_wrong_is_told_and_nothing_of_its_column() {
    for column in ["n", "text", "empty"] {
        let folder = Folder::new();
        folder.text("c.csv", "customer_id,last_login_days,n,text,empty\na,1,20250615,06/15/2025,\n");
        let text = format!("inputs: {{customer: {{path: c.csv, timestamp: {{column: {column}, format: '%m/%Q'}}}}}}\n");
        let error = block_on(engine(None).component(&folder.recipe(&text, "o.parquet"))).unwrap_err().to_string();
        assert!(error.contains("`%Q` is not known"), "{error}");
        assert_eq!(error.lines().count(), 2, "{error}");
    }
    // What is wrong beside it is told, too.
    let folder = Folder::new();
    folder.text("c.csv", "customer_id,last_login_days,at\na,1,06/15/2025\n");
    let text = "inputs: {customer: {path: c.csv, timestamp: {column: on, format: '%Q'}}}\n";
    let error = block_on(engine(None).component(&folder.recipe(text, "o.parquet"))).unwrap_err().to_string();
    assert!(error.contains("`%Q` is not known") && error.contains("no column `on`"), "{error}");
}

#[test]
fn what_is_no_date_does_not_count_and_is_told_apart_from_what_is_not_there() {
    let times = ["06/15/2025", "02/30/2025", "15/06/2025", "soon", "", "06/15/2025 10:00", "13/01/2025", "soon"];
    let scores = scored("{column: at, format: '%m/%d/%Y'}", &times);
    assert_eq!(scores.ids(), ["0"]);
    let dropped: Vec<(&str, u64)> = scores.input(INPUT).dropped.iter().map(|d| (d.reason.as_str(), d.rows)).collect();
    assert_eq!(dropped, [("no timestamp", 1), ("unreadable timestamp", 6)]);
    let warnings = scores.report.warnings.join("\n");
    for part in [
        "6 values of the timestamp `at` cannot be read",
        "\"soon\" (2)",
        "\"02/30/2025\" (1)",
        "its `format` does not fit",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
}

#[test]
fn text_that_is_no_iso_time_is_told_with_how_to_name_its_format() {
    let scores = scored("at", &["2025-06-15", "2025-06-15 14:03", "06/15/2025"]);
    assert_eq!(scores.ids(), ["0", "1"]);
    let warnings = scores.report.warnings.join("\n");
    assert!(
        warnings.contains("1 value of the timestamp `at` cannot be read as a time, and does not count"),
        "{warnings}"
    );
    assert!(warnings.contains("timestamp: {column: at, format: '%m/%d/%Y'}"), "{warnings}");
    // Nothing there is nothing to read.
    let scores = scored("at", &["2025-06-15", ""]);
    assert!(!scores.report.warnings.join("\n").contains("timestamp"), "{:?}", scores.report.warnings);
}

#[test]
fn one_row_none_and_several_are_read_alike() {
    for rows in ["", "a,1,06/15/2025\n", "a,1,06/15/2025\na,2,06/16/2025\nb,1,05/01/2025\n"] {
        let folder = Folder::new();
        folder.text("c.csv", &format!("customer_id,last_login_days,at\n{rows}"));
        let scores = run(&folder, "{column: at, format: '%m/%d/%Y'}");
        assert_eq!(scores.ids().len(), usize::from(!rows.is_empty()), "{rows}");
    }
}

#[test]
fn a_format_that_makes_no_sense_is_told_at_its_place() {
    let folder = Folder::new();
    folder.text("c.csv", "customer_id,last_login_days,at\na,1,2025-06-15\n");
    for (timestamp, told) in [
        ("{column: at, format: '%m/%d'}", "component.yaml:1:66: the format has no year"),
        ("{column: at, format: '%Q'}", "`%Q` is not known in a format of times"),
        ("{column: att}", "did you mean `at`?"),
        ("{column: att, format: '%F'}", "did you mean `at`?"),
        ("{format: '%F'}", "`column` is missing here"),
        ("{column: at, fromat: '%F'}", "did you mean `format`?"),
    ] {
        let text = format!("inputs: {{customer: {{path: c.csv, timestamp: {timestamp}}}}}\n");
        let error = folder.try_run(&text, Run::default()).err().expect(timestamp).to_string();
        assert!(error.contains(told), "{timestamp}: {error}");
    }
}
