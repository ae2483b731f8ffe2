//! Files as others write them: with facts of their own in the schema, or made to make a reader take what is not there.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use customer_health::component::Component;
use customer_health::error::ErrorKind;

use crate::support::{Folder, Run, batch, block_on, engine, floats, texts};

/// The same table with a fact of its writer's, as pandas puts its index and types there.
fn told(table: &RecordBatch, fact: &str) -> RecordBatch {
    let metadata = HashMap::from([("pandas".to_owned(), fact.to_owned())]);
    let schema = Schema::new(table.schema().fields().clone()).with_metadata(metadata);
    RecordBatch::try_new(Arc::new(schema), table.columns().to_vec()).unwrap()
}

fn three_inputs() -> Folder {
    let folder = Folder::new();
    let column = |name: &str| {
        let ids = texts(["a", "b", "c"]);
        batch([("customer_id", ids), (name, floats([1.0, 2.0, 3.0]))])
    };
    folder.parquet("customer.parquet", &told(&column("last_login_days"), "{\"index_columns\": [1]}"));
    folder.parquet("usage.parquet", &told(&column("session_count"), "{\"index_columns\": [2]}"));
    folder.parquet("support.parquet", &column("ticket_count"));
    folder.arrow("usage.arrow", &told(&column("session_count"), "other"));
    folder
}

#[test]
fn facts_in_schemas_that_differ_keep_no_tables_apart() {
    let folder = three_inputs();
    for usage in ["usage.parquet", "usage.arrow"] {
        let inputs = format!(
            "inputs:\n  customer: {{path: customer.parquet}}\n  usage: {{path: {usage}}}\n  support: {{path: support.parquet}}\n"
        );
        for keys in
            ["", "include_drivers: true\n", "churn_risk_threshold: {worst: 10 %}\n", "customers_from: customer\n"]
        {
            for no_accel in [false, true] {
                let scores = folder.run(&format!("{inputs}{keys}"), Run { no_accel, ..Run::default() });
                assert_eq!(scores.ids(), ["a", "b", "c"], "{usage} {keys} {no_accel}");
            }
        }
    }
}

#[test]
fn arrow_files_that_promise_what_they_have_not_are_refused_by_name() {
    let folder = three_inputs();
    let whole = fs::read(folder.path("usage.arrow")).unwrap();
    let footer = whole.len() - 10;
    let length = i32::from_le_bytes(whole[footer..footer + 4].try_into().unwrap());
    let start = footer - usize::try_from(length).unwrap();
    let (mut refused, mut read) = (0, 0);
    for at in start..whole.len() {
        let mut changed = whole.clone();
        changed[at] = 0x7f;
        fs::write(folder.path("changed.arrow"), &changed).unwrap();
        match folder.try_run("inputs: {usage: changed.arrow}\n", Run::default()) {
            Ok(_) => read += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "byte {at}: {error}");
                assert!(error.to_string().contains("changed.arrow"), "byte {at}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 50 && read > 0, "{refused} refused, {read} read");
}

#[test]
fn tables_at_one_place_are_told_however_it_is_written() {
    let folder = three_inputs();
    fs::create_dir(folder.path("d")).unwrap();
    for place in ["out.parquet", "d/../out.parquet", "./out.parquet"] {
        let yaml = format!("inputs: {{usage: usage.parquet}}\nfan_out: {{churn_risk: {place}}}\n");
        let Err(error) = folder.try_run(&yaml, Run::default()) else { panic!("{place}") };
        assert_eq!(error.kind(), ErrorKind::InvalidComponent, "{place}: {error}");
        assert!(error.to_string().contains("another table is written to"), "{place}: {error}");
    }
}

#[test]
fn a_place_that_can_take_no_table_is_told_before_a_run() {
    let folder = three_inputs();
    fs::create_dir(folder.path("d")).unwrap();
    folder.text("file", "");
    let told = |output: &str, more: &str| {
        let mut recipe = folder.recipe(&format!("inputs: {{usage: usage.parquet}}\n{more}"), "x");
        recipe.overrides.output = Some(folder.path(output).display().to_string());
        let component = Component::new(&recipe).unwrap();
        block_on(engine(None).describe(&component)).err().map(|error| (error.kind(), error.to_string()))
    };
    assert_eq!(told("new/folder/out.parquet", ""), None);
    for output in ["d", "file/out.parquet", "file/deep/out.parquet"] {
        let (kind, text) = told(output, "").unwrap_or_else(|| panic!("{output}"));
        assert_eq!(kind, ErrorKind::InvalidComponent, "{output}: {text}");
        assert!(text.contains("could not be written"), "{output}: {text}");
    }
    folder.score("inputs: {usage: usage.parquet}\n");
    let earlier = "calculate_trend: true\nhistory: out.parquet\nfan_out: {churn_risk: d/../out.parquet}\n";
    let (kind, text) = told("new.parquet", earlier).unwrap();
    assert_eq!(kind, ErrorKind::InvalidComponent, "{text}");
    assert!(text.contains("is what `history` reads"), "{text}");
}
