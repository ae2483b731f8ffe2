//! What the parts of a run cost, on the 200 example customers: `cargo bench --bench parts`.
//!
//! With few rows it is planning that takes the time, and a server that runs many small components does little else;
//! `compare.py` and `requests.py` measure whole programs.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use customer_health::component::{Component, ComponentError, Recipe};
use customer_health::engine::{Engine, EngineConfig, EngineError, RunRequest, no_observer};
use tokio::runtime::Runtime;

fn example() -> Result<Recipe, ComponentError> {
    Recipe::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("component.yaml"))
}

#[allow(clippy::expect_used, reason = "a benchmark that cannot begin has nothing to tell")]
fn parts(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let mut recipe = example().expect("the example");
    recipe.overrides.output = Some(folder.path().join("scores.parquet").display().to_string());
    let component = Component::new(&recipe).expect("a component");
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let ask = RunRequest::new;

    criterion.bench_function("text to component", |bench| {
        bench.iter(|| Component::new(black_box(&recipe)));
    });
    criterion.bench_function("component to checked inputs", |bench| {
        bench.iter(|| runtime.block_on(engine.describe(&component)).expect("a description"));
    });
    criterion.bench_function("component to plans", |bench| {
        bench.iter(|| runtime.block_on(engine.explain_plan(&component, &ask())).expect("plans"));
    });
    criterion.bench_function("component to published table", |bench| {
        let run = || -> Result<u64, EngineError> {
            Ok(runtime.block_on(engine.materialize(&component, &ask(), &no_observer()))?.customers)
        };
        bench.iter(|| assert_eq!(run().expect("a run"), 200));
    });
}

criterion_group!(benches, parts);
criterion_main!(benches);
