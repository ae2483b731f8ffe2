//! Object stores as operators and callers meet them: the command line finds them by the environment, a server by --allow.

use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use customer_health::engine::{EngineConfig, Roots};
use customer_health::grpc::ServerConfig;
use tokio::sync::Notify;
use tonic::Code;

use crate::stores::{INPUTS, OUTPUT, both, scores};
use crate::support::{Answer, Folder, KEY, Running, S3, SECRET, Seen, asking};

fn command(s3: &S3, folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-health"));
    command.current_dir(folder.path("")).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("AWS_ENDPOINT_URL", &s3.address).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
    command
}

/// Exit code, stdout, stderr.
async fn finish(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_takes_credentials_from_the_environment_and_logs_none() {
    let (s3, folder) = both().await;
    folder.text("component.yaml", &format!("{INPUTS}{OUTPUT}"));
    let (code, stdout, stderr) = finish(command(&s3, &folder, &["materialize", "component.yaml", "--checks"])).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("s3://bucket/out/scores.parquet"), "{stdout}");
    assert_eq!(scores(&s3.file("out/scores.parquet")).len(), 500);
    let mut loud = command(&s3, &folder, &["materialize", "component.yaml", "--format", "json"]);
    loud.env("RUST_LOG", "trace");
    let (code, stdout, stderr) = finish(loud).await;
    assert_eq!(code, Some(0));
    for text in [&stdout, &stderr] {
        assert!(!text.contains(SECRET), "a log or a report has the secret in it");
    }
    for arguments in [
        &["materialize", "component.yaml", "--output", "s3://user:hidden@bucket/o.parquet"][..],
        &["materialize", "component.yaml", "--output", "s3://bucket/o.parquet?token=hidden"],
        &["validate", "component.yaml", "--input", "usage=s3://user:hidden@bucket/o.parquet"],
        &["explain", "component.yaml", "a", "--input", "usage=https://host/o.parquet?token=hidden"],
    ] {
        let mut loud = command(&s3, &folder, arguments);
        loud.env("RUST_LOG", "debug");
        let (code, stdout, stderr) = finish(loud).await;
        assert_eq!(code, Some(3), "{arguments:?} {stderr}");
        assert!(stderr.contains("which is refused") && stderr.contains("hint: "), "{stderr}");
        assert!(!stdout.contains("hidden") && !stderr.contains("hidden"), "{stderr}");
    }
    let mut denied = command(&s3, &folder, &["materialize", "component.yaml", "--quiet"]);
    denied.env("AWS_SECRET_ACCESS_KEY", "wrong");
    let (code, _, stderr) = finish(denied).await;
    assert_eq!(code, Some(6), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_command_leaves_no_parts() {
    let (s3, folder) = both().await;
    folder.text("component.yaml", &format!("{INPUTS}{OUTPUT}"));
    let reached = Arc::new(Notify::new());
    let tell = reached.clone();
    s3.answer(move |seen, _| {
        if !seen.completes() {
            return Answer::Pass;
        }
        tell.notify_one();
        Answer::After(Duration::from_secs(60))
    });
    let child = command(&s3, &folder, &["materialize", "component.yaml"]).spawn().unwrap();
    reached.notified().await;
    assert!(!s3.uploads().is_empty());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(s3.uploads().is_empty(), "{:?}", s3.uploads());
    assert!(!s3.keys().contains(&"out/scores.parquet".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_uses_the_prefixes_it_allows() {
    let (s3, folder) = both().await;
    let folders = [folder.path(""), "s3://bucket/in".into(), "s3://bucket/out".into()];
    let engine = EngineConfig { roots: Some(Roots::new(folders).unwrap()), ..s3.config() };
    let running = Running::with(ServerConfig { engine, ..Default::default() }).await;
    let ask = async |text: &str| running.raw().await.materialize_sync(asking(text, &folder.path(""))).await;
    let good = format!("{INPUTS}{OUTPUT}");
    // Runs for one object wait for one another.
    let (first, second) = tokio::join!(ask(&good), ask(&good));
    for answer in [first, second] {
        assert_eq!(answer.unwrap().into_inner().output_path, "s3://bucket/out/scores.parquet");
    }
    let status = ask(&good.replace("/out/", "/out-evil/")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    assert!(status.message().contains("`serve --allow s3://bucket/out-evil`"), "{status}");
    let status = ask(&good.replace("/out/", "/out/../")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    s3.answer(|seen: &Seen, _| if seen.completes() { Answer::Status(503) } else { Answer::Pass });
    let status = ask(&good).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    s3.behave();
    assert!(ask(&good).await.is_ok());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_refuses_roots_that_make_no_sense() {
    let (s3, folder) = both().await;
    for root in ["s3://key:hidden@bucket", "s3://bucket/../a", "ftp://host/a", "s3://bucket/*"] {
        let (code, stdout, stderr) = finish(command(&s3, &folder, &["serve", "--allow", root])).await;
        assert!(code == Some(3) || code == Some(4), "{root}: {stderr}");
        assert!(stdout.is_empty() && stderr.contains("allowed folder: ") && !stderr.contains("hidden"), "{stderr}");
    }
}
