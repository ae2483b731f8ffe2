//! Cases as folders: `tests/cases/<name>/` holds a component.yaml, its inputs, and what comes of them.
//!
//! `expected.csv` has a line per customer and any of the table's columns, worked by hand; `-` is null. `error.txt` has the
//! error; `UPDATE_GOLDEN=1` rewrites it, for review. Variables of the environment are those of `env.txt`, `NAME=value`.

use std::fs;
use std::path::Path;

use customer_health::component::{Component, Recipe};
use customer_health::engine::{Engine, EngineError, RunRequest};
use customer_health::error::ErrorKind;

use crate::support::{Scores, block_on, engine, plain_engine, root, silent};

fn run(case: &Path, output: &Path, engine: &Engine) -> Result<Scores, EngineError> {
    let mut recipe = Recipe {
        file: "component.yaml".to_owned(),
        text: fs::read_to_string(case.join("component.yaml")).unwrap(),
        base_dir: case.to_owned(),
        ..Recipe::default()
    };
    let variables = fs::read_to_string(case.join("env.txt")).unwrap_or_default();
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    recipe.variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    recipe.overrides.output = Some(output.display().to_string());
    let component = Component::new(&recipe)?;
    let report = block_on(engine.materialize(&component, &RunRequest::new(), &silent()))?;
    Ok(Scores::read(output, report))
}

fn check(case: &Path, engine: &Engine) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(case, &folder.path().join("out.parquet"), engine);
    let expected = fs::read_to_string(case.join("expected.csv"));
    match (outcome, expected) {
        (Ok(scores), Ok(expected)) => compare(&scores, &expected),
        (Err(error), Err(_)) => compare_error(case, &error),
        (Ok(_), Err(_)) => Err("expected an error, and it was scored".to_owned()),
        (Err(error), Ok(_)) => Err(format!("expected scores, found the error\n{error}")),
    }
}

fn compare(scores: &Scores, expected: &str) -> Result<(), String> {
    let mut lines = expected.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut ids = Vec::new();
    for line in lines {
        let values: Vec<&str> = line.split(',').collect();
        ids.push(values[0]);
        if !scores.ids().contains(&values[0]) {
            return Err(format!("no customer {}", values[0]));
        }
        for (column, value) in columns.iter().zip(values).skip(1) {
            let found = scores.shown(line.split(',').next().unwrap(), column);
            let same = match (found.parse::<f64>(), value.parse::<f64>()) {
                (Ok(found), Ok(value)) => (found - value).abs() < 1e-6,
                _ => found == value,
            };
            if !same {
                return Err(format!("{column} of {line}: found {found}"));
            }
        }
    }
    ids.sort_unstable();
    if scores.ids() == ids { Ok(()) } else { Err(format!("found the customers {:?}", scores.ids())) }
}

fn compare_error(case: &Path, error: &EngineError) -> Result<(), String> {
    let found = format!("{error}\n").replace(&case.display().to_string(), "<case>");
    if matches!(error.kind(), ErrorKind::Internal) {
        return Err(format!("told as a fault of the program:\n{found}"));
    }
    let golden = case.join("error.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if found == expected { Ok(()) } else { Err(format!("expected\n{expected}found\n{found}")) }
}

#[test]
fn every_case_comes_out_as_written() {
    let mut failures = Vec::new();
    let mut cases: Vec<_> = root().join("tests/cases").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 20, "found {} cases", cases.len());
    // The optional rules change no score and no error.
    for (how, engine) in [("", engine(None)), (" without accel", plain_engine(None))] {
        for case in &cases {
            if let Err(failure) = check(case, &engine) {
                failures.push(format!("{}{how}: {failure}", case.file_name().unwrap().display()));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {} cases failed\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}
