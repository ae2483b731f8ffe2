//! Inputs and outputs on object stores: the same scores as from local files, and nothing outside of what is allowed.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use customer_health::component::{Component, Recipe};
use customer_health::engine::{Engine, EngineConfig, EngineError, Roots, RunReport, RunRequest, uploads_ended};
use customer_health::error::ErrorKind;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::support::{Answer, Folder, KEY, S3, SECRET, Seen, batch, floats, ints, read_parquet, silent, texts};

pub const INPUTS: &str = "inputs: {customer: \"s3://bucket/in/c.parquet\", usage: \"s3://bucket/in/usage/\"}\n";
pub const OUTPUT: &str = "output: \"s3://bucket/out/scores.parquet\"\n";

/// The same tables in the bucket and in a local folder.
pub async fn both() -> (S3, Folder) {
    let (s3, folder) = (S3::start().await, Folder::new());
    let ids: Vec<String> = (0..500).map(|at| format!("customer-{at}")).collect();
    let names = || ids.iter().map(String::as_str);
    let values = (0..500).map(|at| f64::from(at * 7919 % 31));
    folder.parquet("c.parquet", &batch([("customer_id", texts(names())), ("active_days", floats(values))]));
    for part in 0..3i64 {
        let sessions = ints((0..500).map(|at| (at * part) % 17));
        folder.parquet(
            &format!("usage/{part}.parquet"),
            &batch([("customer_id", texts(names())), ("sessions", sessions)]),
        );
    }
    for name in ["c.parquet", "usage/0.parquet", "usage/1.parquet", "usage/2.parquet"] {
        fs::copy(folder.path(name), s3.file(&format!("in/{name}"))).unwrap();
    }
    (s3, folder)
}

pub fn component(folder: &Folder, text: &str) -> Component {
    let base_dir = folder.path("");
    let recipe = Recipe { file: "component.yaml".to_owned(), text: text.to_owned(), base_dir, ..Recipe::default() };
    Component::new(&recipe).unwrap_or_else(|error| panic!("{error}"))
}

pub async fn run(s3: &S3, folder: &Folder, text: &str) -> Result<RunReport, EngineError> {
    let outcome = s3.engine().materialize(&component(folder, text), &RunRequest::new(), &silent()).await;
    uploads_ended().await;
    outcome
}

pub async fn fails(s3: &S3, folder: &Folder, text: &str) -> (ErrorKind, String) {
    let error = run(s3, folder, text).await.expect_err(text);
    assert!(error.to_string().contains("\n  hint: "), "{error}");
    (error.kind(), error.to_string())
}

/// Scores by customer, without the time of the run.
pub fn scores(file: &std::path::Path) -> Vec<(String, String)> {
    let table = read_parquet(file);
    let column = |name: &str| table.column_by_name(name).unwrap().clone();
    let text = |array: &arrow::array::ArrayRef, row| arrow::util::display::array_value_to_string(array, row).unwrap();
    let (ids, values) = (column("customer_id"), column("health_score"));
    let mut rows: Vec<_> = (0..table.num_rows()).map(|row| (text(&ids, row), text(&values, row))).collect();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_on_s3_scores_as_one_on_local_files() {
    let (s3, folder) = both().await;
    let local = "inputs: {customer: c.parquet, usage: usage}\noutput: local.parquet\n";
    run(&s3, &folder, local).await.unwrap();
    for usage in ["s3://bucket/in/usage/", "s3://bucket/in/usage", "s3://bucket/in/usage/*.parquet"] {
        // On a real store no object has a folder's name; the one here has folders.
        let is_folder = |seen: &Seen| seen.method == "HEAD" && seen.path == "/bucket/in/usage";
        s3.answer(move |seen, _| if is_folder(seen) { Answer::Status(404) } else { Answer::Pass });
        let text = INPUTS.replace("s3://bucket/in/usage/", usage) + OUTPUT;
        let report = run(&s3, &folder, &text).await.unwrap();
        assert_eq!(scores(&s3.file("out/scores.parquet")), scores(&folder.path("local.parquet")));
        assert_eq!(report.output.path, "s3://bucket/out/scores.parquet");
        assert_eq!(report.output.bytes, fs::metadata(s3.file("out/scores.parquet")).unwrap().len());
        assert_eq!((report.customers, report.inputs[1].files), (500, 3));
    }
    let text = "inputs: {customer: \"s3://bucket/in/c.parquet\", usage: usage}\noutput: mixed.parquet\n";
    run(&s3, &folder, text).await.unwrap();
    assert_eq!(scores(&folder.path("mixed.parquet")), scores(&folder.path("local.parquet")));
    assert!(s3.uploads().is_empty(), "{:?}", s3.uploads());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_files_on_s3_are_read_like_local_ones_and_no_record_without_end() {
    let (s3, folder) = both().await;
    let days = (0..20_000).map(|at| (at, at % 31));
    let csv: String = days.clone().map(|(at, days)| format!("customer-{at},{days}\n")).collect();
    let json = days.map(|(at, days)| format!("{{\"customer_id\": \"customer-{at}\", \"active_days\": {days}}}\n"));
    for (name, text) in [("c.csv", format!("customer_id,active_days\n{csv}")), ("c.json", json.collect::<String>())] {
        folder.text(name, &text);
        fs::copy(folder.path(name), s3.file(&format!("in/{name}"))).unwrap();
        run(&s3, &folder, &format!("inputs: {{customer: {name}}}\noutput: local.parquet\n")).await.unwrap();
        run(&s3, &folder, &format!("inputs: {{customer: \"s3://bucket/in/{name}\"}}\n{OUTPUT}")).await.unwrap();
        let scores = [s3.file("out/scores.parquet"), folder.path("local.parquet")].map(|file| scores(&file));
        assert!(scores[0].len() == 20_000 && scores[0] == scores[1], "{name}");
        // A hole in the file, which takes no disk.
        fs::File::options().write(true).open(s3.file(&format!("in/{name}"))).unwrap().set_len(64 << 20).unwrap();
        let endless = format!("inputs: {{customer: \"s3://bucket/in/{name}\"}}\n{OUTPUT}");
        let (kind, message) = fails(&s3, &folder, &endless).await;
        // Nothing begins a JSON object but its brace.
        let told = if name == "c.csv" { "is longer than 16777216 bytes" } else { "line 20001: expected an object" };
        assert!(kind == ErrorKind::InvalidInput && message.contains(told), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_beside_the_scores_history_and_population_live_on_s3_too() {
    let (s3, folder) = both().await;
    let text = format!("{INPUTS}{OUTPUT}fan_out: {{churn_risk: \"s3://bucket/out/risk.parquet\"}}\n");
    let report = run(&s3, &folder, &text).await.unwrap();
    assert_eq!(s3.keys().iter().filter(|key| key.starts_with("out/")).count(), 2, "{:?}", s3.keys());
    assert_eq!(report.fan_out[0].path, "s3://bucket/out/risk.parquet");
    assert_eq!(report.fan_out[0].rows, scores(&s3.file("out/risk.parquet")).len() as u64);
    let later = "history: \"s3://bucket/out/scores.parquet\"\npopulation: \"s3://bucket/out/scores.parquet\"\n\
                 calculate_trend: true\n";
    let output = "output: \"s3://bucket/out/scores.parquet\"\n";
    let again = component(&folder, &format!("{INPUTS}{output}{later}"));
    let request = RunRequest { checks: true, preview_rows: 1, ..RunRequest::new() };
    let again = s3.engine().materialize(&again, &request, &silent()).await.unwrap();
    assert!(again.checks.iter().any(|check| check.name == "row_count_positive" && check.passed), "{:?}", again.checks);
    assert!(again.preview.unwrap().contains("previous_health_score"));
    assert!(again.warnings.iter().all(|warning| !warning.contains("history")), "{:?}", again.warnings);
    let first = "history: \"s3://bucket/never/was.parquet\"\ncalculate_trend: true\n";
    let first = run(&s3, &folder, &format!("{INPUTS}{OUTPUT}{first}")).await.unwrap();
    assert!(first.warnings.iter().any(|warning| warning.contains("s3://bucket/never/was.parquet")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_many_parts_arrives_whole_and_a_rerun_replaces_it() {
    let (s3, folder) = (S3::start().await, Folder::new());
    // Ids that do not compress, so that the table is larger than a part.
    let ids: Vec<String> = (0..200_000u64)
        .map(|at| {
            (0..4).map(|part| format!("{:016x}", (at * 4 + part + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
        })
        .collect();
    let days = ints((0..200_000).map(|at| at % 31));
    let table = batch([("customer_id", texts(ids.iter().map(String::as_str))), ("active_days", days)]);
    folder.parquet("c.parquet", &table);
    let text = format!("inputs: {{customer: c.parquet}}\n{OUTPUT}");
    run(&s3, &folder, &text).await.unwrap();
    assert!(s3.seen().iter().filter(|seen| seen.is_part()).count() > 1);
    let first = scores(&s3.file("out/scores.parquet"));
    run(&s3, &folder, &text).await.unwrap();
    assert_eq!(first.len(), 200_000);
    assert_eq!(scores(&s3.file("out/scores.parquet")), first);
    assert_eq!(s3.keys(), ["out/scores.parquet"]);
    assert!(s3.uploads().is_empty(), "{:?}", s3.uploads());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_version_is_that_of_the_objects() {
    let (s3, folder) = both().await;
    let version = async || run(&s3, &folder, &format!("{INPUTS}{OUTPUT}")).await.unwrap().data_version;
    let first = version().await;
    assert_eq!(first, version().await);
    let changed = batch([("customer_id", texts(["a"])), ("sessions", ints([1]))]);
    folder.parquet("changed.parquet", &changed);
    fs::copy(folder.path("changed.parquet"), s3.file("in/usage/2.parquet")).unwrap();
    assert_ne!(first, version().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_does_not_replace_what_it_reads_and_two_do_not_write_one_object() {
    let (s3, folder) = both().await;
    for output in ["s3://bucket/in/c.parquet", "s3://bucket/in/usage/new.parquet"] {
        let (kind, message) = fails(&s3, &folder, &format!("{INPUTS}output: \"{output}\"\n")).await;
        assert_eq!(kind, ErrorKind::InvalidComponent, "{message}");
        assert!(message.contains("is among the files of the input"), "{message}");
    }
    let reached = Arc::new(Notify::new());
    let tell = reached.clone();
    s3.answer(move |seen, _| {
        if seen.begins_upload() {
            tell.notify_one();
            return Answer::After(Duration::from_millis(500));
        }
        Answer::Pass
    });
    let (engine, component) = (s3.engine(), component(&folder, &format!("{INPUTS}{OUTPUT}")));
    let (first, second, watcher) = (RunRequest::new(), RunRequest::new(), silent());
    let (first, second) = tokio::join!(engine.materialize(&component, &first, &watcher), async {
        reached.notified().await;
        engine.materialize(&component, &second, &watcher).await
    });
    first.unwrap();
    assert_eq!(second.unwrap_err().kind(), ErrorKind::OutputConflict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allowed_prefixes_hold_what_is_below_and_nothing_else() {
    let (s3, folder) = both().await;
    fs::copy(folder.path("c.parquet"), s3.file("in-evil/c.parquet")).unwrap();
    let roots = Some(Roots::new(["s3://bucket/in", "s3://bucket/out/"].map(PathBuf::from)).unwrap());
    let engine = Engine::new(EngineConfig { roots, ..s3.config() }).unwrap();
    let kind = async |text: String| {
        let outcome = engine.materialize(&component(&folder, &text), &RunRequest::new(), &silent()).await;
        outcome.map_or_else(|error| Some((error.kind(), error.to_string())), |_| None)
    };
    assert_eq!(kind(format!("{INPUTS}{OUTPUT}")).await, None);
    s3.behave();
    for (path, expected) in [
        ("s3://bucket/in-evil/c.parquet", ErrorKind::Denied),
        ("s3://bucket/c.parquet", ErrorKind::Denied),
        ("s3://bucket/*/c.parquet", ErrorKind::Denied),
        ("s3://bucket", ErrorKind::Denied),
        ("s3://bucket-evil/in/c.parquet", ErrorKind::Denied),
        ("gs://bucket/in/c.parquet", ErrorKind::Denied),
        ("c.parquet", ErrorKind::Denied),
        ("s3://bucket/in/../in-evil/c.parquet", ErrorKind::InvalidComponent),
        ("s3://bucket/in/%2e%2e/in-evil/c.parquet", ErrorKind::InvalidComponent),
        ("s3://bucket/in%2f..%2fin-evil/c.parquet", ErrorKind::InvalidComponent),
        ("s3://key:hidden@bucket/in/c.parquet", ErrorKind::InvalidComponent),
        ("s3://bucket/in/c.parquet?sig=hidden", ErrorKind::InvalidComponent),
        ("s3://bucket/in/c.parquet#hidden", ErrorKind::InvalidComponent),
    ] {
        for text in [format!("inputs: {{customer: \"{path}\"}}\n{OUTPUT}"), format!("{INPUTS}output: \"{path}\"\n")] {
            let (found, message) = kind(text.clone()).await.unwrap_or_else(|| panic!("{text}"));
            let written =
                text.contains("usage") && ["*", "bucket\""].iter().any(|end| format!("{path}\"").contains(end));
            assert!(found == expected || written && found == ErrorKind::InvalidComponent, "{text}: {message}");
            assert!(message.contains("\n  hint: ") && !message.contains("hidden"), "{message}");
        }
    }
    assert_eq!(s3.seen(), [], "nothing was asked for");
    for wrong in ["s3://bucket/*", "s3://key:hidden@bucket", "ftp://host/a", "s3://bucket/../a"] {
        let error = Roots::new([wrong]).unwrap_err().to_string();
        assert!(!error.contains("hidden"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_servers_are_read_only() {
    let (s3, folder) = both().await;
    let router = Router::new()
        .route("/data/c.csv", get(|| async { "customer_id,active_days\n007,3\nb,30\n" }))
        .route("/away.csv", get(|| async { (StatusCode::FOUND, [("location", "/data/c.csv")]) }))
        .route("/down.csv", get(|| async { StatusCode::BAD_GATEWAY }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let text = |path: &str| format!("inputs: {{customer: \"{host}/{path}\"}}\n{OUTPUT}");
    run(&s3, &folder, &text("data/c.csv")).await.unwrap();
    let ids: Vec<String> = scores(&s3.file("out/scores.parquet")).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["007", "b"]);
    for (path, expected) in [
        ("data/d.csv", ErrorKind::NotFound),
        ("away.csv", ErrorKind::InvalidInput),
        ("down.csv", ErrorKind::Unavailable),
        ("data/", ErrorKind::InvalidComponent),
        ("data/*.csv", ErrorKind::InvalidComponent),
    ] {
        let (kind, message) = fails(&s3, &folder, &text(path)).await;
        assert!(kind == expected && message.contains(&host), "{path}: {kind:?} {message}");
    }
    let (kind, message) = fails(&s3, &folder, &format!("{INPUTS}output: \"{host}/o.parquet\"\n")).await;
    assert!(kind == ErrorKind::InvalidComponent && message.contains("read only"), "{message}");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_no_error() {
    let (s3, folder) = both().await;
    let text = format!("{INPUTS}{OUTPUT}");
    let hides = |error: &EngineError| {
        let told = format!("{error} {error:?}");
        for secret in [SECRET, KEY, "hidden"] {
            assert!(!told.contains(secret), "{told}");
        }
    };
    // The body of each of these answers has the secret in it, as some stores quote what was sent.
    for status in [400, 401, 403, 404, 409, 500] {
        for part in ["/in/c.parquet", "/in/usage/1.parquet", "/out/"] {
            s3.answer(move |seen, _| if seen.path.contains(part) { Answer::Status(status) } else { Answer::Pass });
            hides(&run(&s3, &folder, &text).await.unwrap_err());
        }
    }
    s3.behave();
    let mut config = s3.config();
    assert!(!format!("{config:?}").contains(SECRET));
    config.store_options.0.remove("aws_access_key_id");
    let broken = Engine::new(config).unwrap();
    let error = broken.materialize(&component(&folder, &text), &RunRequest::new(), &silent()).await.unwrap_err();
    assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    hides(&error);
    for path in
        ["s3://hidden:hidden@bucket/c.parquet", "https://host/c.parquet?X-Amz-Signature=hidden", "foo://hidden@host/"]
    {
        for text in [format!("inputs: {{customer: \"{path}\"}}\n{OUTPUT}"), format!("{INPUTS}output: \"{path}\"\n")] {
            hides(&run(&s3, &folder, &text).await.unwrap_err());
            hides(&s3.engine().describe(&component(&folder, &text)).await.unwrap_err());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_one_name_in_two_buckets_are_told_apart() {
    let (s3, folder) = (S3::start().await, Folder::new());
    let since = std::time::SystemTime::now();
    for (name, column) in [("c", "active_days"), ("u", "sessions")] {
        let values = if name == "c" { [3, 30] } else { [30, 3] };
        folder
            .parquet(&format!("{name}.parquet"), &batch([("customer_id", texts(["a", "b"])), (column, ints(values))]));
        for (key, as_what) in [("", "same"), ("d/", "d/same")] {
            let bucket = if name == "c" { "" } else { "../twin/" };
            let file = s3.file(&format!("{bucket}{as_what}.parquet"));
            assert!(file.ends_with(format!("{key}same.parquet")));
            fs::copy(folder.path(&format!("{name}.parquet")), &file).unwrap();
            fs::File::options().write(true).open(file).unwrap().set_modified(since).unwrap();
        }
    }
    run(&s3, &folder, "inputs: {customer: c.parquet, usage: u.parquet}\noutput: local.parquet\n").await.unwrap();
    for path in ["same.parquet", "d/"] {
        let inputs = format!("inputs: {{customer: \"s3://bucket/{path}\", usage: \"s3://twin/{path}\"}}\n");
        run(&s3, &folder, &format!("{inputs}{OUTPUT}")).await.unwrap();
        assert_eq!(scores(&s3.file("out/scores.parquet")), scores(&folder.path("local.parquet")));
    }
}
