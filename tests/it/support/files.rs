//! A temporary folder with inputs, and runs of the engine inside it.

use std::fs::{self, File};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::ipc::writer::FileWriter;
use chrono::{DateTime, Utc};
use customer_health::component::{Component, ComponentError, Recipe};
use customer_health::engine::{Engine, EngineConfig, EngineError, Observer, RunRequest};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::Scores;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// Waits for a future on the tests' runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// An engine that scans with so many threads; as it comes where none are given.
pub fn engine(partitions: Option<usize>) -> Engine {
    Engine::new(EngineConfig { target_partitions: partitions, ..EngineConfig::default() }).unwrap()
}

/// The same without the optional physical rules.
pub fn plain_engine(partitions: Option<usize>) -> Engine {
    Engine::new(EngineConfig { target_partitions: partitions, no_accel: true, ..EngineConfig::default() }).unwrap()
}

/// Nobody watches.
pub fn silent() -> Observer {
    Arc::new(|_| ())
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What may differ between two runs of one component.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run<'a> {
    pub as_of: Option<DateTime<Utc>>,
    pub partitions: Option<usize>,
    /// Whether plans do without the optional physical rules.
    pub no_accel: bool,
    /// Whether the table is checked.
    pub checks: bool,
    /// Name of the file to write; `out.parquet` if not given.
    pub output: Option<&'a str>,
}

/// A temporary folder that goes when it is dropped.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn text(&self, name: &str, text: &str) {
        if let Some(parent) = self.path(name).parent() {
            fs::create_dir_all(parent).unwrap();
        }
        fs::write(self.path(name), text).unwrap();
    }

    pub fn parquet(&self, name: &str, batch: &RecordBatch) {
        self.parquet_in_groups(name, batch, 1 << 20);
    }

    pub fn parquet_in_groups(&self, name: &str, batch: &RecordBatch, rows_per_group: usize) {
        self.text(name, "");
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows_per_group)).build();
        let file = File::create(self.path(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    }

    pub fn arrow(&self, name: &str, batch: &RecordBatch) {
        let mut writer = FileWriter::try_new(File::create(self.path(name)).unwrap(), &batch.schema()).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    }

    pub fn recipe(&self, yaml: &str, output: &str) -> Recipe {
        let mut recipe = Recipe {
            file: "component.yaml".to_owned(),
            text: yaml.to_owned(),
            base_dir: self.0.path().to_owned(),
            ..Recipe::default()
        };
        recipe.overrides.output = Some(self.path(output).display().to_string());
        recipe
    }

    pub fn try_component(&self, yaml: &str) -> Result<Component, ComponentError> {
        Component::new(&self.recipe(yaml, "out.parquet"))
    }

    #[track_caller]
    pub fn component(&self, yaml: &str) -> Component {
        self.try_component(yaml).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Scores, or says why not.
    pub fn try_run(&self, yaml: &str, run: Run<'_>) -> Result<Scores, EngineError> {
        let output = run.output.unwrap_or("out.parquet");
        let component = Component::new(&self.recipe(yaml, output))?;
        let request = RunRequest { as_of: run.as_of, checks: run.checks, ..RunRequest::new() };
        let engine = if run.no_accel { plain_engine(run.partitions) } else { engine(run.partitions) };
        let report = block_on(engine.materialize(&component, &request, &silent()))?;
        Ok(Scores::read(&self.path(output), report))
    }

    #[track_caller]
    pub fn run(&self, yaml: &str, run: Run<'_>) -> Scores {
        self.try_run(yaml, run).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    pub fn score(&self, yaml: &str) -> Scores {
        self.run(yaml, Run::default())
    }
}
