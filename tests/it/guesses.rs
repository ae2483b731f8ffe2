//! What is guessed of columns and texts whose names and spellings differ, and that the guess is told.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Date32Array, TimestampMillisecondArray};
use customer_health::scorecard::InputName;

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
fn texts_of_an_aggregate_that_no_map_knows_are_counted_by_customers() {
    let folder = Folder::new();
    let days = ["2025-06-01,active", "2025-06-02,Paused", "2025-06-03,"];
    let rows: Vec<String> = ["a", "b", "c"]
        .iter()
        .flat_map(|id| days.iter().take(if *id == "c" { 1 } else { 3 }).map(move |row| format!("{id},{row},5\n")))
        .collect();
    folder
        .text("s.csv", &format!("customer_id,day,state,mrr\n{}d,2025-06-02,lost,9\ne,2025-06-02,,9\n", rows.concat()));
    folder.text("c.csv", "customer_id,last_login_days\na,0\nb,0\nc,0\ne,0\n");
    let fields = "fields: {status: 'last_value(state ORDER BY day, state) FILTER (WHERE state IS NOT NULL)'}";
    let alone = format!("inputs: {{subscription: {{path: s.csv, {fields}}}}}\n");
    let beside = format!("inputs: {{customer: c.csv, subscription: {{path: s.csv, {fields}}}}}\n");
    // Percentiles make the run keep its groups; who is scored, and drivers, change what the plan carries.
    let range = "components: {payment_health: {indicators: {mrr: {scale: {range: [p05, p95]}}}}}\n";
    for (text, unmapped, shown) in [
        (alone.clone(), 3, "\"paused\" (2), \"lost\" (1)"),
        (beside.clone() + "include_drivers: true\n", 3, "\"paused\" (2), \"lost\" (1)"),
        (beside.clone() + range, 3, "\"paused\" (2), \"lost\" (1)"),
        (beside + "customers_from: customer\n", 2, "\"paused\" (2)"),
    ] {
        let scores = folder.run(&text, Run { checks: true, ..Run::default() });
        let field = scores.input(InputName::Subscription).fields.iter().find(|field| field.field == "status");
        assert_eq!(field.unwrap().unmapped, unmapped, "{text}");
        let warnings = scores.report.warnings.join("\n");
        assert!(warnings.contains(&format!("does not know {unmapped} values of `status`: {shown}")), "{warnings}");
        let check = scores.report.checks.iter().find(|check| check.name == "texts_mapped").unwrap();
        assert!(!check.passed && check.description.contains(&format!("{unmapped} of `status`")), "{check:?}");
    }
    for rows in ["a,2025-06-01,Active ,5\nb,2025-06-01,,5\n", ""] {
        folder.text("s.csv", &format!("customer_id,day,state,mrr\n{rows}"));
        let scores = folder.run(&alone, Run { checks: true, output: Some("known.parquet"), ..Run::default() });
        assert!(!scores.report.warnings.join("\n").contains("does not know"), "{rows}");
        assert!(scores.report.checks.iter().any(|check| check.name == "texts_mapped" && check.passed));
        std::fs::remove_file(folder.path("known.parquet")).unwrap();
    }
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

/// Customers by `account_id`, and tickets of theirs that have ids of their own.
fn with_tickets(folder: &Folder, tickets: &str) {
    folder.text("c.csv", "account_id,last_login_days\na,0\nb,30\n");
    folder.text("t.csv", tickets);
}

#[test]
fn the_id_of_a_row_is_no_customer() {
    for from in ["", "customers_from: customer\n"] {
        let folder = Folder::new();
        with_tickets(&folder, "id,requester,csat_score\n1,a,5\n2,a,1\n3,b,3\n");
        let yaml = format!("{from}inputs:\n  customer: c.csv\n  support: t.csv\noutput: scores.parquet");
        let error = folder.try_run(&yaml, Run::default()).err().unwrap().to_string();
        assert!(
            error.contains("input `support` (") && error.contains("3 of its 3 keys are in no other input"),
            "{error}"
        );
        assert!(error.contains("`inputs.support.key`") && error.contains("id, requester, csat_score"), "{error}");
        assert!(!folder.path("scores.parquet").exists(), "nothing is written");
    }
}

#[test]
fn all_inputs_whose_key_is_the_id_of_a_row_are_told_at_once() {
    let folder = Folder::new();
    with_tickets(&folder, "_id,csat_score\n1,5\na,1\n3,3\n");
    folder.text("s.csv", "ID,status\ns1,active\n");
    let yaml = "inputs: {customer: c.csv, support: t.csv, subscription: s.csv}";
    let error = folder.try_run(yaml, Run::default()).err().unwrap().to_string();
    assert!(error.contains("input `support` (") && error.contains("2 of its 3 keys"), "{error}");
    assert!(error.contains("input `subscription` (") && error.contains("1 of its 1 keys"), "{error}");
}

#[test]
fn an_id_that_customers_have_elsewhere_or_that_was_named_is_a_key() {
    let folder = Folder::new();
    with_tickets(&folder, "id,csat_score\na,5\nb,1\nc,3\nd,3\n");
    let scores = folder.score("inputs: {customer: c.csv, support: t.csv}");
    assert_eq!(scores.ids(), ["a", "b", "c", "d"], "half of them are known");
    folder.text("t.csv", "id,csat_score\n1,5\n");
    let scores = folder.score("inputs: {customer: c.csv, support: {path: t.csv, key: id}}");
    assert_eq!(scores.ids(), ["1", "a", "b"], "the user says so");
    let scores = folder.score("inputs: {support: t.csv}");
    assert_eq!(scores.ids(), ["1"], "there is nothing to hold it against");
    folder.text("c.csv", "account_id,last_login_days\n");
    let scores = folder.score("inputs: {customer: c.csv, support: t.csv}");
    assert_eq!(scores.ids(), ["1"], "nor where the other table is empty");
}
