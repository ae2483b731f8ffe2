//! Failures on the wire: codes, reasons, details, and the page that lists them.

use std::fs;
use std::process::Command;

use customer_health::cli::exit;
use customer_health::error::ErrorKind;
use customer_health::proto::{MaterializeRequest, REASON};
use customer_health::wire::{self, DOMAIN};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Folder, Running, asking, batch, root, source, texts};

#[tokio::test]
async fn problems_come_as_field_violations_with_their_places() {
    let (running, folder) = (Running::start().await, Folder::new());
    let text = "churn_treshold: 40\nmin_health_score: 90\nmax_health_score: 10\n";
    let request = MaterializeRequest { component: source(text, &folder.path("")), ..Default::default() };
    let status = running.raw().await.materialize(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    let told = &details.bad_request().unwrap().field_violations;
    let slip = told.iter().find(|problem| problem.field == "churn_treshold").unwrap();
    assert!(slip.description.starts_with("component.yaml:1:1: "), "{}", slip.description);
    assert_eq!(told.len(), 3, "the key, the range, and that no input is connected: {told:?}");
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_COMPONENT", DOMAIN));
    assert_eq!(info.metadata["problems"], told.len().to_string());
    assert!(details.retry_info().is_none());
    running.stop().await;
}

#[tokio::test]
async fn a_request_is_told_by_the_field_at_fault() {
    let running = Running::start().await;
    let status = running.raw().await.materialize_sync(asking("", "data".as_ref())).await.unwrap_err();
    let details = status.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "component.base_dir");
    assert_eq!(status.metadata().get(REASON).unwrap(), "INVALID_COMPONENT");
    running.stop().await;
}

#[tokio::test]
async fn another_writer_is_told_with_the_time_to_try_again() {
    let (running, folder) = (Running::start().await, Folder::new());
    folder.text("u.csv", "customer_id,session_count\na,1\n");
    // Another process that writes the same output holds this lock.
    let lock = fs::File::create(folder.path(".o.parquet.lock")).unwrap();
    lock.lock().unwrap();
    let request = asking("inputs: {usage: u.csv}\noutput: o.parquet\n", &folder.path(""));
    let status = running.raw().await.materialize_sync(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "OUTPUT_CONFLICT");
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    running.stop().await;
}

#[test]
fn checks_that_do_not_pass_have_an_exit_code_of_their_own() {
    let folder = Folder::new();
    folder.text("c.yaml", "inputs: {customer: c.parquet}\noutput: o.parquet\n");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_customer-health"));
        let output =
            command.current_dir(folder.path("")).args(["materialize", "c.yaml"]).args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    // What is told of severity WARN, such as components without data, is no failure.
    folder.parquet("c.parquet", &batch([("customer_id", texts(["a"]))]));
    let (code, stdout, stderr) = run(&["--checks"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("neutral_share"), "{stdout}");

    folder.parquet("c.parquet", &batch([("customer_id", texts(Vec::<&str>::new()))]));
    assert_eq!(run(&[]).0, Some(4), "nobody takes the place of somebody");
    assert_eq!(run(&["--allow-empty"]).0, Some(0), "nobody asked for checks");
    fs::remove_file(folder.path("o.parquet")).unwrap();
    let (code, stdout, stderr) = run(&["--checks", "--format", "json"]);
    assert_eq!(code, Some(i32::from(exit::CHECKS_FAILED)), "{stderr}");
    assert!(stderr.contains("row_count_positive") && !stderr.contains("neutral_share"), "{stderr}");
    let result: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(result["report"]["customers"], 0, "the result is told all the same");
    assert!(folder.path("o.parquet").is_file(), "the table is published");
}

/// The table of `docs/errors.md`, from the code.
fn table() -> String {
    let mut text = String::from("| reason | gRPC code | exit code | retry? | what to do |\n|---|---|---|---|---|\n");
    for kind in ErrorKind::ALL {
        let retry = kind.retry_after().map_or("no".to_owned(), |delay| format!("after {} s", delay.as_secs()));
        let code = wire_name(wire::status_code(kind));
        text += &format!("| `{}` | `{code}` | {} | {retry} | {} |\n", kind.reason(), exit::code(kind), kind.advice());
    }
    text
}

/// The code as gRPC's own documents write it.
fn wire_name(code: Code) -> String {
    let mut text = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_uppercase());
    }
    text
}

#[test]
fn the_page_of_reasons_is_what_the_code_says() {
    let path = root().join("docs/errors.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once("<!-- table -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end -->\n").unwrap();
    let fresh = format!("{head}<!-- table -->\n{}<!-- end -->\n{tail}", table());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let current = fs::read_to_string(&path).unwrap() == fresh;
    assert!(current, "docs/errors.md is out of date\nhint: UPDATE_GOLDEN=1 cargo test --test it errors");
}
