//! Runs beside and after one another: locks, cancelling, memory, explanations that agree with the table.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, Instant};

use customer_health::component::Component;
use customer_health::engine::{Engine, EngineConfig, Event, Observer, RunRequest, Stage};
use customer_health::error::ErrorKind;
use tokio::sync::Notify;

use crate::support::{
    Folder, Run, Scores, assert_close, batch, block_on, engine, floats, ints, read_parquet, silent, texts,
};

const YAML: &str = "inputs: {customer: c.parquet, usage: u.parquet}";

/// Customers with one row each, and usage with three rows for every second one.
fn folder(customers: usize) -> Folder {
    let folder = Folder::new();
    let ids: Vec<String> = (0..customers).map(|at| format!("customer-{at}")).collect();
    let names = || ids.iter().map(String::as_str);
    let value = |at: usize| (at * 7919 % 31) as f64;
    let table = batch([("customer_id", texts(names())), ("active_days", floats((0..customers).map(value)))]);
    folder.parquet("c.parquet", &table);
    let events = || (0..customers).step_by(2).flat_map(|at| [at; 3]);
    let sessions = ints(events().enumerate().map(|(row, at)| ((row + at) % 17) as i64));
    let table = batch([("customer_id", texts(events().map(|at| ids[at].as_str()))), ("sessions", sessions)]);
    folder.parquet("u.parquet", &table);
    folder
}

fn files(folder: &Folder) -> Vec<String> {
    let entries = folder.path("").read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_second_writer_is_refused_while_the_first_one_writes() {
    let folder = folder(10);
    let held = File::create(folder.path(".out.parquet.lock")).unwrap();
    held.lock().unwrap();
    let refused = folder.try_run(YAML, Run::default()).err().expect("the output is taken");
    assert_eq!(refused.kind(), ErrorKind::OutputConflict);
    assert!(refused.to_string().contains("out.parquet"), "{refused}");
    drop(held);
    assert_eq!(folder.score(YAML).ids().len(), 10);
    assert_eq!(files(&folder), ["c.parquet", "out.parquet", "u.parquet"], "neither lock nor staged file is left");
}

#[test]
fn a_dropped_run_leaves_the_old_table_and_nothing_else() {
    let folder = folder(20_000);
    folder.score(YAML);
    let before = fs::read(folder.path("out.parquet")).unwrap();
    for stage in [Stage::Profile, Stage::Score] {
        let reached = Arc::new(Notify::new());
        let tell = reached.clone();
        let observer: Observer = Arc::new(move |event| {
            if event == Event::Started(stage) {
                tell.notify_one();
            }
        });
        let component = folder.component(YAML);
        let (engine, request) = (engine(None), RunRequest::new());
        block_on(async {
            tokio::select! {
                biased;
                () = reached.notified() => {}
                done = engine.materialize(&component, &request, &observer) => {
                    panic!("the run was over before it was dropped: {done:?}")
                }
            }
        });
        // The writer's thread sees that nobody sends any more, and removes its file.
        let since = Instant::now();
        while files(&folder).len() > 3 {
            assert!(since.elapsed() < Duration::from_secs(10), "left over: {:?}", files(&folder));
            std::thread::yield_now();
        }
        assert_eq!(fs::read(folder.path("out.parquet")).unwrap(), before);
    }
}

#[test]
fn a_memory_limit_changes_no_score() {
    let folder = folder(60_000);
    let free = folder.score(YAML);
    let limited = Engine::new(EngineConfig { memory_limit: Some(8 << 20), ..EngineConfig::default() }).unwrap();
    let component = Component::new(&folder.recipe(YAML, "limited.parquet")).unwrap();
    let report = block_on(limited.materialize(&component, &RunRequest::new(), &silent())).unwrap();
    let limited = Scores::read(&folder.path("limited.parquet"), report);
    assert_eq!(limited.report.inputs[1].duplicates_merged, 60_000);
    for (id, score) in free.all() {
        assert_close(limited.health(id), score, id);
    }
}

#[test]
fn an_explanation_adds_up_to_the_score_in_the_table() {
    let folder = folder(50);
    let yaml = format!(
        "{YAML}\ninclude_drivers: true\nmissing_component: exclude\ncomponents:\n  engagement:\n    \
         caps: [{{when: active_days > 20, at_most: 30}}]\n"
    );
    let scores = folder.score(&yaml);
    let component = folder.component(&yaml);
    for id in ["customer-0", "customer-1", "customer-7", "customer-20"] {
        let explained = block_on(engine(None).explain(&component, &RunRequest::new(), id)).unwrap();
        assert_close(explained.health_score, scores.health(id), id);
        assert_close(explained.components.iter().map(|c| c.contribution).sum(), explained.unclipped, id);
        for part in explained.components.iter().filter(|part| part.score.is_some()) {
            assert_close(part.indicators.iter().map(|i| i.contribution).sum(), part.contribution, &part.name);
            assert_close(part.score.unwrap(), scores.of(id, &part.name), &part.name);
        }
        let capped = !explained.components[0].caps_hit.is_empty();
        assert_eq!(capped, explained.components[0].uncapped > explained.components[0].score, "{id}");
    }
    let nobody = block_on(engine(None).explain(&component, &RunRequest::new(), "customer-x")).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
}

#[test]
fn an_empty_file_is_told_as_such() {
    let folder = folder(3);
    folder.text("u.parquet", "");
    let error = folder.try_run(YAML, Run::default()).err().expect("a file without a byte is no table");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("u.parquet) is empty") || error.to_string().contains("the file is empty (0 bytes)")
    );
    assert!(!folder.path("out.parquet").exists());
}

#[test]
fn repeated_keys_far_apart_are_found() {
    // The last row repeats the first customer, far behind the rows in which repetition is looked for at once.
    let folder = Folder::new();
    let count = 70_000;
    let ids: Vec<String> = (0..count).map(|at| format!("{at}")).chain(["0".to_owned()]).collect();
    let values = floats((0..count).map(|_| 15.0).chain([30.0]));
    folder.parquet(
        "c.parquet",
        &batch([("customer_id", texts(ids.iter().map(String::as_str))), ("active_days", values)]),
    );
    let scores = folder.score("inputs: {customer: c.parquet}");
    assert_eq!((scores.ids().len(), scores.report.inputs[0].duplicates_merged), (count, 1));
    assert_close(scores.of("0", "engagement"), 100.0, "max of 15 and 30, of 30");
    assert_eq!(read_parquet(&folder.path("out.parquet")).num_rows(), count);
}

#[test]
fn an_output_that_would_replace_what_is_read_is_refused() {
    let folder = folder(3);
    let before = fs::read(folder.path("c.parquet")).unwrap();
    fs::create_dir(folder.path("f")).unwrap();
    fs::copy(folder.path("c.parquet"), folder.path("f/c.parquet")).unwrap();
    for (yaml, output) in [
        (YAML, "c.parquet"),
        ("inputs: {customer: 'f/*.parquet'}", "f/out.parquet"),
        ("inputs: {customer: f}", "f/out.parquet"),
    ] {
        let refused = folder.try_run(yaml, Run { output: Some(output), ..Run::default() }).err().expect(yaml);
        assert_eq!(refused.kind(), ErrorKind::InvalidComponent);
        assert!(refused.to_string().contains("is among the files of the input `customer`"), "{refused}");
    }
    assert_eq!(fs::read(folder.path("c.parquet")).unwrap(), before);
    assert!(!folder.path("f/out.parquet").exists());
    folder.run("inputs: {customer: f}", Run { output: Some("f/out.table"), ..Run::default() });
}

#[test]
fn a_link_is_written_through_and_other_runs_files_are_left_alone() {
    let folder = folder(3);
    fs::create_dir(folder.path("real")).unwrap();
    folder.text("real/t.parquet", "old");
    std::os::unix::fs::symlink(folder.path("real/t.parquet"), folder.path("out.parquet")).unwrap();
    let (stale, others) = (".t.parquet.abc123.customer-health.tmp", ".t.parquet.x.abc123.customer-health.tmp");
    folder.text(&format!("real/{stale}"), "");
    folder.text(&format!("real/{others}"), "");
    folder.score(YAML);
    assert!(folder.path("out.parquet").is_symlink());
    assert_eq!(read_parquet(&folder.path("real/t.parquet")).num_rows(), 3);
    assert!(!folder.path("real").join(stale).exists(), "left by a killed run of this output");
    assert!(folder.path("real").join(others).exists(), "belongs to the output t.parquet.x");
}
