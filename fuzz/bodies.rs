//! What each fuzz target does with its bytes: shared by the targets, which need nightly, and by `tests/it/corpus.rs`.
//!
//! A body may refuse its bytes as it likes. It must not panic, overflow the stack, hang, or take memory without bound.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use customer_health::component::{Component, InputOverride, Recipe};
use customer_health::engine::{Engine, EngineConfig, RunRequest, no_observer};
use customer_health::proto::MaterializeRequest;
use customer_health::scorecard::InputName;
use customer_health::wire;
use prost::Message;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap_or_else(|error| panic!("{error}"))
});

/// Tight limits, so that a body that takes too much is seen to.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let config = EngineConfig {
        memory_limit: Some(64 << 20),
        temp_limit: Some(64 << 20),
        max_rows: Some(100_000),
        max_input_bytes: Some(64 << 20),
        target_partitions: Some(2),
        ..EngineConfig::default()
    };
    Engine::new(config).unwrap_or_else(|error| panic!("{error}"))
});

/// A body by the name of its target.
pub type Body = fn(&[u8]);

/// All of them.
pub const ALL: [(&str, Body); 6] = [
    ("component_text", component_text),
    ("expression", expression),
    ("ipc_chunks", ipc_chunks),
    ("parquet_bytes", parquet_bytes),
    ("parquet_footer", parquet_footer),
    ("proto_request", proto_request),
];

fn check(recipe: &Recipe) {
    // Files that it names are not there.
    let nothing = |_: &std::path::Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let (component, problems) = Component::with_problems_reading(recipe, &nothing);
    assert!(component.is_some() || !problems.is_empty(), "refused without a reason");
    drop(problems.iter().map(ToString::to_string).collect::<Vec<_>>());
}

/// Bytes as a component.yaml.
pub fn component_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = "component.yaml".to_owned();
    let variables = [("DATA".to_owned(), "/data".to_owned())].into();
    check(&Recipe { file, text: text.to_owned(), variables, ..Recipe::default() });
}

/// Bytes as the SQL of a field, checked and planned over a small table.
pub fn expression(bytes: &[u8]) {
    let Ok(sql) = std::str::from_utf8(bytes) else { return };
    // JSON's texts are YAML's too.
    let Ok(quoted) = serde_json::to_string(sql) else { return };
    let text =
        format!("inputs: {{customer: {{path: c.csv, fields: {{active_days: {quoted}}}}}}}\noutput: out.parquet\n");
    let Ok(folder) = ENGINE.scratch() else { return };
    if std::fs::write(folder.path().join("c.csv"), "customer_id,a,b\nx,1,y\nz,2,\n").is_err() {
        return;
    }
    let base_dir = folder.path().to_owned();
    run(&Recipe { file: "component.yaml".to_owned(), text, base_dir, ..Recipe::default() });
}

/// Bytes as an Arrow IPC stream that was received.
pub fn ipc_chunks(bytes: &[u8]) {
    let Ok(folder) = ENGINE.scratch() else { return };
    let (received, whole) = (folder.path().join("received"), folder.path().join("whole.arrow"));
    if std::fs::write(&received, bytes).is_err() {
        return;
    }
    let room = Arc::new(Mutex::new(64_u64 << 20));
    let take = move |bytes| {
        let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
        room.checked_sub(bytes).map(|left| *room = left).is_some()
    };
    let rewritten = RUNTIME.block_on(ENGINE.rewrite_stream("input `usage`", &received, &whole, Arc::new(take)));
    if rewritten.is_ok() {
        run_file(&folder, "whole.arrow");
    }
}

/// Bytes as a Parquet file that was received.
pub fn parquet_bytes(bytes: &[u8]) {
    let Ok(folder) = ENGINE.scratch() else { return };
    if std::fs::write(folder.path().join("received.parquet"), bytes).is_ok() {
        run_file(&folder, "received.parquet");
    }
}

/// Bytes as the footer of a Parquet file whose pages and indexes are in order: its length is right, so that what a reader
/// believes is the footer alone.
pub fn parquet_footer(bytes: &[u8]) {
    const WHOLE: &[u8] = include_bytes!("corpus/parquet_bytes/plain");
    let Some((rest, tail)) = WHOLE.split_last_chunk::<8>() else { return };
    let [a, b, c, d, ..] = *tail;
    let pages = rest.len().saturating_sub(u32::from_le_bytes([a, b, c, d]) as usize);
    let Ok(length) = u32::try_from(bytes.len()) else { return };
    parquet_bytes(&[&rest[..pages], bytes, &length.to_le_bytes(), b"PAR1"].concat());
}

/// Bytes as a request on the wire.
pub fn proto_request(bytes: &[u8]) {
    let Ok(request) = MaterializeRequest::decode(bytes) else { return };
    if let Ok((recipe, _)) = wire::read_request(request) {
        check(&recipe);
    }
}

fn run_file(folder: &tempfile::TempDir, name: &str) {
    let mut recipe = Recipe {
        file: "component.yaml".to_owned(),
        text: "output: out.parquet\n".to_owned(),
        base_dir: folder.path().to_owned(),
        ..Recipe::default()
    };
    recipe.overrides.inputs.insert(InputName::Customer, InputOverride::path(name));
    run(&recipe);
}

/// Runs as a server does: in a task of its own, where a panic of a decoder is an answer and no more.
fn run(recipe: &Recipe) {
    let recipe = recipe.clone();
    let task = RUNTIME.spawn(async move {
        if let Ok(component) = ENGINE.component(&recipe).await {
            drop(ENGINE.materialize(&component, &RunRequest::new(), &no_observer()).await);
        }
    });
    drop(RUNTIME.block_on(task));
}
