//! A server reads and writes only below its allowed folders, whatever a request says.

use std::fs;
use std::os::unix::fs::symlink;

use customer_health::engine::{EngineConfig, Roots};
use customer_health::grpc::ServerConfig;
use customer_health::proto::{MaterializeSyncRequest, REASON, ValidateComponentRequest};
use tonic::Code;

use crate::support::{Folder, Running, asking, batch, ints, one_indicator, source, texts};

/// A folder with `in/`, which is allowed, and `out/`, which is not; both have the same files.
fn two() -> Folder {
    let folder = Folder::new();
    let table = batch([("customer_id", texts(["a", "b"])), ("active_days", ints([1, 2])), ("x", ints([1, 2]))]);
    for side in ["in", "out"] {
        folder.parquet(&format!("{side}/c.parquet"), &table);
        folder.text(&format!("{side}/card.yaml"), &one_indicator("{weight: 1, scale: {range: [0, 10]}}"));
    }
    fs::create_dir(folder.path("in/folder")).unwrap();
    symlink(folder.path("out/c.parquet"), folder.path("in/folder/link.parquet")).unwrap();
    symlink(folder.path("out"), folder.path("in/way")).unwrap();
    symlink(folder.path("out/card.yaml"), folder.path("in/card_link.yaml")).unwrap();
    symlink(folder.path("in/c.parquet"), folder.path("in/near.parquet")).unwrap();
    folder
}

async fn guarded(folder: &Folder) -> Running {
    let roots = Some(Roots::new([folder.path("in")]).unwrap());
    Running::with(ServerConfig { engine: EngineConfig { roots, ..Default::default() }, ..Default::default() }).await
}

/// Runs a component in `in/`; nothing if all went well, else the code and message.
async fn outcome(running: &Running, folder: &Folder, text: &str) -> Option<(Code, String)> {
    let request = asking(&text.replace("OUT", &folder.path("out").display().to_string()), &folder.path("in"));
    let status = running.raw().await.materialize_sync(request).await.err()?;
    assert!(status.metadata().contains_key(REASON));
    Some((status.code(), status.message().to_owned()))
}

#[tokio::test]
async fn what_lies_inside_works_by_any_way_of_naming_it() {
    let folder = two();
    let running = guarded(&folder).await;
    let inside = folder.path("in").display().to_string();
    for path in [
        "c.parquet".to_owned(),
        "./folder/../c.parquet".to_owned(),
        "near.parquet".to_owned(),
        "c*.parquet".to_owned(),
        format!("{inside}/c.parquet"),
        format!("file://{inside}/c.parquet"),
    ] {
        let text = format!("inputs: {{customer: \"{path}\"}}\noutput: new/deep/o.parquet\n");
        assert_eq!(outcome(&running, &folder, &text).await, None, "{path}");
    }
    let text = "scorecard: ./card.yaml\ninputs: {customer: c.parquet}\noutput: o.parquet\n";
    assert_eq!(outcome(&running, &folder, text).await, None);
    let text = "inputs: {customer: c.parquet}\npopulation: new/deep/o.parquet\nhistory: new/deep/o.parquet\n\
                calculate_trend: true\noutput: o.parquet\n";
    assert_eq!(outcome(&running, &folder, text).await, None);
    running.stop().await;
}

#[tokio::test]
async fn what_leads_out_is_refused_before_anything_is_opened() {
    let folder = two();
    let running = guarded(&folder).await;
    for (role, text) in [
        ("input `customer`", "inputs: {customer: ../out/c.parquet}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: folder/../../out/c.parquet}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: OUT/c.parquet}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: OUT/is-not-there.parquet}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: \"file://OUT/c.parquet\"}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: \"file:///%2e%2e/OUT/c.parquet\"}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: \"OUT/*.parquet\"}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: \"*/../../out/*.parquet\"}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: \"folder/*.parquet\"}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: folder}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: way/c.parquet}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: folder/link.parquet}\noutput: o.parquet\n"),
        ("input `customer`", "inputs: {customer: OUT/c.parquet}\nchurn_treshold: 3\noutput: o.parquet\n"),
        ("scorecard", "scorecard: ../out/card.yaml\ninputs: {customer: c.parquet}\noutput: o.parquet\n"),
        ("scorecard", "scorecard: OUT/card.yaml\ninputs: {customer: c.parquet}\noutput: o.parquet\n"),
        ("scorecard", "scorecard: ./card_link.yaml\ninputs: {customer: c.parquet}\noutput: o.parquet\n"),
        ("scorecard", "scorecard: OUT/is-not-there.yaml\ninputs: {customer: c.parquet}\noutput: o.parquet\n"),
        (
            "history",
            "inputs: {customer: c.parquet}\nhistory: OUT/c.parquet\ncalculate_trend: true\noutput: o.parquet\n",
        ),
        ("population", "inputs: {customer: c.parquet}\npopulation: OUT/c.parquet\noutput: o.parquet\n"),
        ("population", "inputs: {customer: c.parquet}\npopulation: \"file://OUT/c.parquet\"\noutput: o.parquet\n"),
        ("output", "inputs: {customer: c.parquet}\noutput: ../out/o.parquet\n"),
        ("output", "inputs: {customer: c.parquet}\noutput: OUT/deep/o.parquet\n"),
        ("output", "inputs: {customer: c.parquet}\noutput: new/../../out/o.parquet\n"),
        ("output", "inputs: {customer: c.parquet}\noutput: way/o.parquet\n"),
        ("output", "inputs: {customer: c.parquet}\noutput: \"file://OUT/o.parquet\"\n"),
    ] {
        let (code, message) = outcome(&running, &folder, text).await.unwrap_or_else(|| panic!("{text}"));
        assert_eq!(code, Code::PermissionDenied, "{text}: {message}");
        assert!(message.contains(role) && message.contains("\n  hint: "), "{text}: {message}");
    }
    let made = |side: &str| fs::read_dir(folder.path(side)).unwrap().count();
    assert_eq!((made("in"), made("out")), (6, 2), "nothing was made on either side");
    running.stop().await;
}

#[tokio::test]
async fn other_schemes_are_refused() {
    let folder = two();
    let running = guarded(&folder).await;
    for text in [
        "inputs: {customer: \"ftp://host/c.parquet\"}\noutput: o.parquet\n",
        "inputs: {customer: \"FILE:///etc/passwd\"}\noutput: o.parquet\n",
        "inputs: {customer: c.parquet}\npopulation: \"hdfs://host/c.parquet\"\noutput: o.parquet\n",
        "inputs: {customer: c.parquet}\noutput: \"S3://bucket/o.parquet\"\n",
    ] {
        let (code, message) = outcome(&running, &folder, text).await.unwrap();
        assert_eq!(code, Code::FailedPrecondition, "{message}");
        assert!(message.contains("is not supported"), "{message}");
    }
    running.stop().await;
}

#[tokio::test]
async fn stores_are_closed_to_a_server_that_was_not_told_of_them() {
    let folder = two();
    let running = guarded(&folder).await;
    for (role, wanted, text) in [
        ("input `customer`", "s3://bucket/in", "inputs: {customer: \"s3://bucket/in/c.parquet\"}\noutput: o.parquet\n"),
        ("input `customer`", "https://host", "inputs: {customer: \"https://host/c.parquet\"}\noutput: o.parquet\n"),
        (
            "population",
            "az://box",
            "inputs: {customer: c.parquet}\npopulation: \"az://box/p.parquet\"\noutput: o.parquet\n",
        ),
        (
            "history",
            "gs://bucket",
            "inputs: {customer: c.parquet}\nhistory: \"gs://bucket/p.parquet\"\ncalculate_trend: true\noutput: o.parquet\n",
        ),
        ("output", "s3://bucket", "inputs: {customer: c.parquet}\noutput: \"s3://bucket/o.parquet\"\n"),
    ] {
        let (code, message) = outcome(&running, &folder, text).await.unwrap();
        assert_eq!(code, Code::PermissionDenied, "{message}");
        assert!(message.starts_with(role) && message.contains(&format!("`serve --allow {wanted}`")), "{message}");
    }
    running.stop().await;
}

#[tokio::test]
async fn overrides_base_folders_and_the_other_calls_are_held_too() {
    let folder = two();
    let running = guarded(&folder).await;
    let good = "inputs: {customer: c.parquet}\noutput: o.parquet\n";
    let elsewhere = asking(good, &folder.path("out"));
    assert_eq!(running.raw().await.materialize_sync(elsewhere).await.unwrap_err().code(), Code::PermissionDenied);
    let output = folder.path("out/o.parquet").display().to_string();
    let request = MaterializeSyncRequest { output, ..asking(good, &folder.path("in")) };
    assert_eq!(running.raw().await.materialize_sync(request).await.unwrap_err().code(), Code::PermissionDenied);
    let component = source(good, &folder.path("out"));
    let request = ValidateComponentRequest { component, ..Default::default() };
    assert_eq!(running.raw().await.validate_component(request).await.unwrap_err().code(), Code::PermissionDenied);
    running.stop().await;
}
