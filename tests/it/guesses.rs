//! What is guessed of columns and texts whose names and spellings differ, and that the guess is told.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Date32Array, TimestampMillisecondArray};

use crate::support::{Folder, Run, assert_close, batch, ints, texts};

#[test]
fn a_date_is_no_number() {
    let days = |file: &str| format!("inputs: {{customer: {file}}}");
    let dates: [ArrayRef; 2] = [
        Arc::new(Date32Array::from(vec![6])),
        Arc::new(TimestampMillisecondArray::from(vec![12 * 3_600_000]).with_timezone("UTC")),
    ];
    for dates in dates {
        let folder = Folder::new();
        folder.parquet("t.parquet", &batch([("customer_id", texts(["a"])), ("last_login_days", dates)]));
        let error = folder.try_run(&days("t.parquet"), Run::default()).err().unwrap().to_string();
        assert!(error.contains("column `last_login_days`"), "{error}");
        assert!(error.contains("`last_login_days: CAST(as_of AS DATE) - CAST(last_login_days AS DATE)`"), "{error}");
    }
}

#[test]
fn a_key_in_binary_is_the_text_that_it_holds() {
    let folder = Folder::new();
    let ids: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"a", b" b "]));
    folder.parquet("u.parquet", &batch([("customer_id", ids), ("session_count", ints([4, 2]))]));
    folder.text("c.csv", "customer_id,last_login_days\na,0\nb,30\n");
    let scores = folder.score("inputs: {customer: c.csv, usage: u.parquet}");
    assert_eq!(scores.ids(), ["a", "b"]);
    assert_close(scores.of("b", "product_usage"), 50.0, "2 of 4 sessions");
}

#[test]
fn the_customer_and_not_the_row_is_the_key() {
    let folder = Folder::new();
    folder.text("o.csv", "id,account_id,amount,status\no1,A,100,active\no2,A,50,active\no3,B,10,canceled\n");
    let scores = folder.score("inputs: {subscription: o.csv}");
    assert_eq!(scores.ids(), ["A", "B"]);
    let told = "input `subscription`: `account_id` is taken for the customer's key, and not `id`";
    assert!(scores.report.warnings.iter().any(|warning| warning.starts_with(told)), "{:?}", scores.report.warnings);
}

#[test]
fn names_are_found_blind_to_case_blanks_and_dashes() {
    let folder = Folder::new();
    folder.text("c.csv", "Customer ID,Last-Login Days,seen at\na,0,2025-01-01 10:00\nb,30,2025-01-01 10:00\n");
    let scores = folder.score("inputs: {customer: {path: c.csv, timestamp: Seen_At}}\nanalysis_period_days: 100000");
    assert_eq!(scores.ids(), ["a", "b"]);
    assert_close(scores.of("a", "engagement"), 100.0, "found");
    let warnings = scores.report.warnings.join("\n");
    assert!(warnings.contains("`Last-Login Days` is taken for `last_login_days`"), "{warnings}");
    assert!(warnings.contains("`seen at` is taken for `Seen_At`"), "{warnings}");
}

#[test]
fn two_columns_that_are_alike_are_told_and_not_taken() {
    let folder = Folder::new();
    folder.text("c.csv", "customer_id,Last Login Days,LastLoginDays\na,0,30\n");
    let scores = folder.score("inputs: {customer: c.csv}");
    assert_eq!(scores.missing("engagement"), 1);
    let warnings = scores.report.warnings.join("\n");
    assert!(warnings.contains("`Last Login Days` and `LastLoginDays` are all like `last_login_days`"), "{warnings}");
}

#[test]
fn a_time_without_seconds_is_a_time() {
    let folder = Folder::new();
    folder.text("c.csv", "customer_id,last_login_days,at\na,0,2025-06-15 14:03\nb,0,2025-04-01 09:00\nc,0,soon\n");
    let scores = folder.score("inputs: {customer: {path: c.csv, timestamp: at}}\nanalysis_period_days: 100000");
    assert_eq!(scores.ids(), ["a", "b"]);
}

#[test]
fn texts_that_no_map_knows_are_counted_and_shown() {
    let folder = Folder::new();
    let rows = "customer_id,status\na,active\nb,churned\nc,past due\nd,Paused\ne,paused\nf,\n";
    folder.text("s.csv", rows);
    let scores = folder.score("inputs: {subscription: s.csv}");
    assert_close(scores.of("b", "payment_health"), 0.0, "churned is ended");
    assert_close(scores.of("c", "payment_health"), 30.0, "past due");
    assert_close(scores.of("d", "payment_health"), 50.0, "the map's default");
    let warnings = scores.report.warnings.join("\n");
    assert!(warnings.contains("does not know 2 values of `status`: \"paused\" (2)"), "{warnings}");
}

#[test]
fn words_and_digits_are_flags() {
    for (yes, no) in [("true", "FALSE"), ("Yes", "no"), ("t", " f "), ("1", "0"), ("1.0", "0.0")] {
        let folder = Folder::new();
        folder.text("s.csv", &format!("customer_id,auto_renew\na,{yes}\nb,{no}\nc,\n"));
        let scores = folder.score("inputs: {subscription: s.csv}");
        assert_close(scores.of("a", "payment_health"), 100.0, yes);
        assert_close(scores.of("b", "payment_health"), 20.0, no);
        assert_eq!(scores.missing("payment_health"), 1);
    }
}
