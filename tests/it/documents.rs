//! `--format json`: one document on stdout whatever comes of a command, the same from this process and from a server.
//! `tests/documents/` has them; `UPDATE_GOLDEN=1` rewrites them, for review.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Folder, Running, block_on, root};

/// The component of the wrong edits, with its inputs; a line of it may be replaced.
fn folder(old: &str, new: &str) -> Folder {
    let (folder, from) = (Folder::new(), root().join("tests/edits"));
    for name in ["component.yaml", "customers.csv", "usage.csv"] {
        let text = fs::read_to_string(from.join(name)).unwrap();
        assert!(name != "component.yaml" || text.contains(old), "{old}");
        folder.text(name, &if name == "component.yaml" { text.replace(old, new) } else { text });
    }
    folder
}

struct Told {
    code: i32,
    document: Value,
    stderr: String,
}

fn run(folder: &Folder, arguments: &[&str]) -> Told {
    let program = env!("CARGO_BIN_EXE_customer-health");
    let output = Command::new(program).current_dir(folder.path("")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&folder.path("").display().to_string(), "");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    let document = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("no document:\n{stdout}\n{stderr}"));
    Told { code: output.status.code().unwrap(), document: masked(document), stderr }
}

/// Hashes hang on everything, and what they are stands elsewhere.
fn masked(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => "<hash>".into(),
        Value::Array(items) => items.into_iter().map(masked).collect(),
        Value::Object(entries) => entries.into_iter().map(|(name, value)| (name, masked(value))).collect(),
        other => other,
    }
}

fn compare(name: &str, told: &Told) {
    let golden = root().join("tests/documents").join(format!("{name}.json"));
    let found = format!("{:#}\n", told.document);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(found == expected, "{name}: UPDATE_GOLDEN=1 rewrites it, for review\n{found}");
}

const AT: [&str; 2] = ["--as-of", "2025-06-30"];

#[test]
fn a_component_that_could_run_is_described() {
    let mut told = run(&folder("", ""), &["validate", "component.yaml", "--format", "json"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    // Long, and told of by the contract.
    for name in ["components", "outputs"] {
        assert!(told.document.as_object_mut().unwrap().remove(name).is_some_and(|list| list.is_array()));
    }
    compare("validate", &told);
}

#[test]
fn a_score_is_taken_apart_and_adds_up() {
    let told = run(&folder("", ""), &[&["explain", "component.yaml", "a", "--format", "json"], &AT[..]].concat());
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    compare("explain", &told);
    let parts = told.document["components"].as_array().unwrap().iter();
    let sum: f64 = parts.map(|component| component["contribution"].as_f64().unwrap()).sum();
    assert!((sum - told.document["unclipped"].as_f64().unwrap()).abs() < 1e-9);

    let told = run(&folder("", ""), &["explain", "component.yaml", "--plan", "--format", "json"]);
    assert!(told.document["plan"].as_str().unwrap().starts_with("logical plan:\n"));
}

/// What is wrong, and what it is told as: once in JSON on stdout, once in words on stderr.
#[test]
fn failures_are_documents_too() {
    let wrong = |edit: (&str, &str), name: &str, arguments: &[&str], code: i32| {
        let told = run(&folder(edit.0, edit.1), &[arguments, &["--format", "json"]].concat());
        assert_eq!(told.code, code, "{name}: {}", told.stderr);
        assert_eq!(told.document["error"]["code"], code, "{name}");
        let first = &told.document["error"];
        assert!(told.stderr.contains(first["message"].as_str().unwrap()), "{name}: {}", told.stderr);
        compare(name, &told);
        told.document
    };
    let (none, slips) = (("", ""), ("engagement_weight: 0.3", "weight: 0.3\nchurn_treshold: 40"));
    let validate: &[&str] = &["validate", "component.yaml"];
    let problems = wrong(slips, "problems", validate, 3);
    wrong(("customers.csv", "customer.csv"), "no_file", validate, 5);
    wrong(none, "nobody", &[&["explain", "component.yaml", "nobody"], &AT[..]].concat(), 5);
    wrong(none, "no_component", &["validate", "nothing.yaml"], 5);
    wrong(none, "usage", &["validate", "component.yaml", "--fromat"], 2);
    // A run is done by a server in this process, from which problems come with their places all the same.
    assert_eq!(wrong(slips, "problems", &["materialize", "component.yaml", "--quiet"], 3), problems);
}

#[test]
fn a_server_gives_the_same_documents() {
    let running = block_on(Running::start());
    let uri = running.uri();
    let same = |folder: &Folder, arguments: &[&str]| {
        let here = run(folder, &[arguments, &["--format", "json"]].concat());
        let there = run(folder, &[arguments, &["--format", "json", "--server", &uri]].concat());
        let same = (here.code, &here.document) == (there.code, &there.document);
        assert!(same, "{arguments:?}\n{:#}\n{:#}", here.document["error"], there.document["error"]);
        here
    };
    same(&folder("", ""), &["validate", "component.yaml"]);
    same(&folder("", ""), &["validate", "component.yaml", "--input", "usage=nothing.csv"]);
    same(&folder("", ""), &[&["explain", "component.yaml", "a"], &AT[..]].concat());
    same(&folder("", ""), &[&["explain", "component.yaml", "nobody"], &AT[..]].concat());
    same(&folder("key: account_id", "key: acount_id"), &["explain", "component.yaml", "a"]);

    // More than fits into a status.
    let keys: String = (0..80).map(|at| format!("no_such_key_{at}: 1\n")).collect();
    let many = same(&folder("asset_name: ", &format!("{keys}asset_name: ")), &["validate", "component.yaml"]);
    assert_eq!(many.document["error"]["problems"].as_array().unwrap().len(), 80);
    assert!(many.stderr.contains("no_such_key_79") && !many.stderr.contains("(cut)"), "{}", many.stderr);
    let run = run(
        &folder("asset_name: ", &format!("{keys}asset_name: ")),
        &["materialize", "component.yaml", "--quiet", "--format=json"],
    );
    assert_eq!(run.document, many.document, "a run tells all of them, too");
    block_on(running.stop());
}

#[test]
fn a_server_that_cannot_start_says_so_in_its_log() {
    let program = env!("CARGO_BIN_EXE_customer-health");
    let serve = ["serve", "--listen", "0.0.0.0:0", "--log-format", "json"];
    let output = Command::new(program).args(serve).output().unwrap();
    let lines = String::from_utf8(output.stderr).unwrap();
    let line: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap_or_else(|_| panic!("{lines}"));
    assert_eq!((&line["level"], &line["kind"], &line["code"]), (&"ERROR".into(), &"USAGE".into(), &2.into()));
    assert!(line["message"].as_str().unwrap().contains("is no loopback address"), "{line}");
}

#[test]
fn a_plan_is_this_process_own() {
    let told = run(
        &folder("", ""),
        &["explain", "component.yaml", "--plan", "--server", "http://127.0.0.1:1", "--format", "json"],
    );
    assert_eq!((told.code, &told.document["error"]["kind"]), (2, &"USAGE".into()));
}
