//! `init`: a starter that is valid, out of whatever lies in a folder, with what was left out told.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Folder, batch, floats, ints, texts};

struct Told {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(folder: &Folder, arguments: &[&str]) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-health"));
    let output = command.current_dir(folder.path("")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Told { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The starter that `init` writes, which `validate` has to find valid, and what it says of the rest.
#[track_caller]
fn started(folder: &Folder, arguments: &[&str]) -> (String, String) {
    let told = run(folder, &[&["init"], arguments, &["-o", "c.yaml", "--force"]].concat());
    assert_eq!(told.code, 0, "{}", told.stderr);
    let text = fs::read_to_string(folder.path("c.yaml")).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=component.schema.json\n"), "{text}");
    let valid = run(folder, &["validate", "c.yaml"]);
    assert_eq!(valid.code, 0, "{}\n{text}", valid.stderr);
    (text, told.stderr)
}

/// Which file each input has.
fn inputs(text: &str) -> Vec<(String, String)> {
    let value: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    let inputs = value["inputs"].as_mapping().unwrap().iter();
    let text = |value: &serde_yaml::Value| value.as_str().unwrap().to_owned();
    inputs.map(|(name, input)| (text(name), text(&input["path"]))).collect()
}

#[track_caller]
fn are(text: &str, expected: &[(&str, &str)]) {
    let found = inputs(text);
    let found: Vec<(&str, &str)> = found.iter().map(|(name, path)| (name.as_str(), path.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

const CUSTOMERS: &str = "customer_id,days_since_last_activity,plan\na,1,gold\nb,2,\n";
const USAGE: &str = "customer_id,session_count,feature_usage_count\na,4,2\nb,5,3\n";

#[test]
fn a_folder_is_looked_through_and_types_are_told() {
    let folder = Folder::new();
    folder.text("d/customers.csv", CUSTOMERS);
    folder.text("d/usage-2025-01.csv", USAGE);
    folder.text("d/usage-2025-02.csv", USAGE);
    folder.text("d/README.md", "no table");
    folder.text("d/.hidden/x.csv", "a\n1\n");
    folder.parquet("d/billing/part-0.parquet", &batch([("customer_id", texts(["a"])), ("mrr", floats([9.5]))]));
    let (text, stderr) = started(&folder, &["d"]);
    are(&text, &[("customer", "d/customers.csv"), ("subscription", "d/billing"), ("usage", "d/usage-2025-0*.csv")]);
    for part in [
        "    key: customer_id # holds the customer's id\n",
        "    #   days_since_last_activity (whole number)\n",
        "    #   mrr (number)\n",
        "    # Columns not used: plan (text)\n",
        "  # support: {path: FILE} # not connected",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(stderr, "", "nothing is left out");
    // The same from elsewhere: paths start from the component's folder.
    fs::create_dir(folder.path("conf")).unwrap();
    assert_eq!(run(&folder, &["init", "d", "-o", "conf/c.yaml"]).code, 0);
    assert_eq!(run(&folder, &["validate", "conf/c.yaml"]).code, 0);
    // And to stdout.
    let told = run(&folder, &["init", "d/"]);
    assert_eq!((told.code, told.stdout), (0, text));
}

#[test]
fn one_table_in_parts_is_one_and_two_tables_called_alike_are_two() {
    let folder = Folder::new();
    folder.text("parts/1.csv", USAGE);
    folder.text("parts/2.csv", "customer_id,session_count,feature_usage_count,more\nc,4,2,x\n");
    are(&started(&folder, &["parts"]).0, &[("usage", "parts")]);
    folder.text("mixed/1.csv", CUSTOMERS);
    folder.text("mixed/2.csv", "customer_id,session_count,feature_usage_count\na,4,2\n");
    are(&started(&folder, &["mixed"]).0, &[("customer", "mixed/1.csv"), ("usage", "mixed/2.csv")]);
    folder.text("days/day=2025-01-01/x.csv", USAGE);
    folder.text("days/day=2025-01-02/x.csv", USAGE);
    are(&started(&folder, &["days"]).0, &[("usage", "days")]);
    folder.text("deep/crm/customers.csv", CUSTOMERS);
    folder.text("deep/product/events/part-0.csv", USAGE);
    are(&started(&folder, &["deep"]).0, &[("customer", "deep/crm/customers.csv"), ("usage", "deep/product/events")]);
}

#[test]
fn it_goes_on_after_a_file_that_is_unclear_or_broken() {
    let folder = Folder::new();
    folder.text("d/customers.csv", CUSTOMERS);
    folder.text("d/usage.csv", USAGE);
    folder.text("d/usage_old.csv", "customer_id,session_count\na,1\n");
    folder.text("d/weather.csv", "day,degrees\n2025-01-01,3\n");
    folder.text("d/empty.csv", "");
    folder.text("d/support.parquet", "no Parquet at all");
    let (text, stderr) = started(&folder, &["d"]);
    are(&text, &[("customer", "d/customers.csv"), ("usage", "d/usage.csv")]);
    for part in [
        "note: d/weather.csv: nothing in it, nor its name, tells which input it is\n  hint: say which one it is, as in `--input ",
        "note: d/usage_old.csv: it looks like the input `usage`, and so does d/usage.csv\n",
        "note: d/empty.csv: ",
        "note: d/support.parquet: ",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(
        text.contains("\n# Not connected, and why:\n") && text.contains("#   d/weather.csv: nothing in it"),
        "{text}"
    );
    // Programs get the same.
    let told = run(&folder, &["init", "d", "--format", "json"]);
    let document: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(document["inputs"], serde_json::json!(["customer", "usage"]));
    let notes = document["notes"].as_array().unwrap();
    assert!(notes.len() == 4 && notes.iter().any(|note| note["path"] == "d/weather.csv"), "{notes:?}");
    // Whoever says which it is has it.
    let (text, _) = started(&folder, &["--input", "usage=d/usage_old.csv", "d/customers.csv"]);
    are(&text, &[("customer", "d/customers.csv"), ("usage", "d/usage_old.csv")]);
}

#[test]
fn what_is_named_has_to_be_there_and_something_has_to_be_left() {
    let folder = Folder::new();
    folder.text("customers.csv", CUSTOMERS);
    folder.text("weather.csv", "day,degrees\n2025-01-01,3\n");
    folder.text("broken.parquet", "x");
    folder.text("d/notes.txt", "x");
    let fails = |arguments: &[&str], code: i32, part: &str| {
        let told = run(&folder, &[&["init", "-o", "c.yaml"], arguments].concat());
        assert_eq!(told.code, code, "{arguments:?}: {}", told.stderr);
        assert!(told.stderr.contains(part), "{part}: {}", told.stderr);
        assert!(!folder.path("c.yaml").exists(), "{arguments:?}");
    };
    fails(&["customers.csv", "no.csv"], 5, "there is nothing at");
    fails(&["customers.csv", "--input", "usage=broken.parquet"], 4, "broken.parquet");
    fails(&["customers.csv", "--input", "support=weather.csv"], 4, "weather.csv: ");
    fails(&["--input", "usage=customers.csv", "--input", "usage=weather.csv"], 2, "`--input usage=...` is given twice");
    fails(&["weather.csv"], 4, "error: weather.csv: nothing in it, nor its name, tells which input it is\n  hint: ");
    fails(&["weather.csv", "broken.parquet"], 4, "none of the tables can be taken\nbroken.parquet: ");
    fails(&["d"], 5, "d");
    folder.text("c.yaml", "mine");
    let told = run(&folder, &["init", "customers.csv", "-o", "c.yaml"]);
    assert_eq!((told.code, fs::read_to_string(folder.path("c.yaml")).unwrap().as_str()), (7, "mine"));
}

#[test]
fn names_are_hints_and_columns_decide_where_they_say_more() {
    let folder = Folder::new();
    // Raw tables, of which only the name tells; and one whose name lies.
    folder.text("raw/users.csv", "customer_id,name\na,x\n");
    folder.text("raw/tickets.csv", "customer_id,status,opened\na,open,2025-01-01\n");
    folder.text("raw/customers_2025.csv", "customer_id,session_count,feature_usage_count\na,1,2\n");
    folder.text("raw/ticket_users.csv", "customer_id,ticket\na,x\n");
    folder.text("raw/sales_pipeline.csv", "customer_id,stage\na,won\n");
    let (text, _) = started(&folder, &["raw"]);
    are(
        &text,
        &[
            ("customer", "raw/users.csv"),
            ("subscription", "raw/sales_pipeline.csv"),
            ("usage", "raw/customers_2025.csv"),
            ("support", "raw/tickets.csv"),
        ],
    );
}

#[test]
fn whatever_the_rows_are() {
    let none: [&str; 0] = [];
    let null: Option<&str> = None;
    for (name, ids) in [("one", texts(["a"])), ("none", texts(none)), ("null", texts([null])), ("numbers", ints([1]))] {
        let folder = Folder::new();
        let rows = ids.len();
        let counts = ints(std::iter::repeat_n(3, rows));
        folder.parquet("usage.parquet", &batch([("customer_id", ids), ("session_count", counts)]));
        let (text, stderr) = started(&folder, &["usage.parquet"]);
        are(&text, &[("usage", "usage.parquet")]);
        assert_eq!(stderr, "", "{name}");
    }
    // A column without a value, and no rows at all, in text.
    let folder = Folder::new();
    folder.text("usage.csv", "customer_id,session_count\na,\nb,\n");
    folder.text("customers.csv", "customer_id,active_days\n");
    are(&started(&folder, &["."]).0, &[("customer", "./customers.csv"), ("usage", "./usage.csv")]);
}

#[test]
fn a_table_without_an_id_is_told_and_a_date_gets_its_days_counted() {
    let folder = Folder::new();
    folder.text("customers.csv", "customer_id,last_login_days,login_count\na,2025-06-01,3\nb,2025-06-03,4\n");
    folder.text("usage.csv", "visitor,session_count,feature_usage_count\nx,1,2\n");
    let (text, stderr) = started(&folder, &["customers.csv", "usage.csv"]);
    are(&text, &[("customer", "customers.csv")]);
    assert!(
        text.contains("last_login_days: \"CAST(as_of AS DATE) - CAST(\\\"last_login_days\\\" AS DATE)\""),
        "{text}"
    );
    assert!(stderr.contains("note: usage.csv: ") && stderr.contains("key"), "{stderr}");
    let told = run(&folder, &["init", "usage.csv"]);
    assert_eq!(told.code, 4, "{}", told.stderr);
}

#[test]
fn names_may_have_anything_in_them() {
    let folder = Folder::new();
    for name in ["my customers: 2025 #1.csv", "k\u{fc}nden users.csv", "users \"a\".csv", "- users.csv", "users'.csv"] {
        let folder = Folder::new();
        folder.text(name, CUSTOMERS);
        are(&started(&folder, &["--input", &format!("customer={name}")]).0, &[("customer", name)]);
    }
    let column = "days since\nFORGED\u{1b}[2J";
    folder.parquet("d/users.parquet", &batch([("customer_id", texts(["a"])), (column, ints([1]))]));
    folder.text("d/x\nFORGED\u{1b}[31m.csv", "a,b\n1,2\n");
    let (text, stderr) = started(&folder, &["d"]);
    are(&text, &[("customer", "d/users.parquet")]);
    assert!(text.contains("days since\\nFORGED\\u{1b}[2J (whole number)"), "{text}");
    assert!(stderr.contains("note: d/x\\nFORGED\\u{1b}[31m.csv: "), "{stderr}");
    let told = run(&folder, &["init", "d"]);
    for text in [text, stderr, told.stdout, told.stderr] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert!(!text.lines().any(|line| line.trim_start_matches([' ', '#']).starts_with("FORGED")), "{text}");
    }
}
