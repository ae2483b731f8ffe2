//! What breaks around a server: after each fault it serves on, and the old output is as it was.

mod disks;
mod gone;
mod inputs;
mod killed;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use customer_health::app::RunLimits;
use customer_health::client::ClientError;
use customer_health::engine::EngineConfig;
use customer_health::grpc::ServerConfig;
use customer_health::proto::{Input, MaterializeRequest, MaterializeSyncResponse, StreamStart, StreamedInput};
use tempfile::TempDir;

use crate::support::{Folder, Running, asking, batch, ints, source, texts};

/// Rows that take long enough in a debug build for something to happen meanwhile.
const MANY: usize = 400_000;

/// Who writes the output that a test watches.
const OUT: &str = "inputs: {customer: bad.parquet}\noutput: out.parquet\n";

/// A server with its folders, and an output that is there already.
struct House {
    folder: Folder,
    temp: TempDir,
    running: Running,
    before: Vec<u8>,
}

fn table(rows: usize) -> RecordBatch {
    let ids: Vec<String> = (0..rows).map(|row| format!("customer {row:08}")).collect();
    let days = ints((0..rows as i64).map(|row| row % 31));
    batch([("customer_id", texts(ids.iter().map(String::as_str))), ("active_days", days)])
}

/// An Arrow IPC stream of several batches.
fn ipc(table: &RecordBatch, rows_per_batch: usize) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &table.schema()).unwrap();
    for at in (0..table.num_rows()).step_by(rows_per_batch) {
        writer.write(&table.slice(at, rows_per_batch.min(table.num_rows() - at))).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// The start of an upload of the customers as an Arrow IPC stream.
fn upload(folder: &Path) -> StreamStart {
    let component = source("output: out.parquet\n", folder);
    StreamStart {
        request: Some(MaterializeRequest { component, ..Default::default() }),
        inputs: vec![StreamedInput { input: Input::Customer.into(), format: 0 }],
        ..Default::default()
    }
}

fn left_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

/// What lies in the folders of living servers below a folder for temporary files.
fn temporary(temp: &Path) -> Vec<PathBuf> {
    let files = |folder: &Path| folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let all = files(temp).flat_map(|work| files(&work).collect::<Vec<_>>());
    // The lock, and the folder for what is spilled while nothing is.
    let idle = |path: &Path| path.ends_with("lock") || files(path).next().is_none();
    all.filter(|path| !idle(path)).collect()
}

/// Waits until something holds; panics with what it says where that takes too long.
#[track_caller]
fn soon<T: std::fmt::Debug>(what: impl Fn() -> Vec<T>) {
    let since = Instant::now();
    loop {
        let left = what();
        if left.is_empty() {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "left over: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl House {
    async fn new() -> Self {
        Self::with(EngineConfig::default()).await
    }

    async fn with(engine: EngineConfig) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let engine =
            EngineConfig { temp_dir: Some(engine.temp_dir.unwrap_or_else(|| temp.path().to_owned())), ..engine };
        let limits = RunLimits { max_runs: 1, max_queued: 0 };
        let running =
            Running::with(ServerConfig { engine, limits, grace: Duration::ZERO, ..ServerConfig::default() }).await;
        let folder = Folder::new();
        folder.parquet("good.parquet", &table(3));
        folder.parquet("bad.parquet", &table(3));
        let mut house = Self { folder, temp, running, before: Vec::new() };
        house.run(OUT).await.unwrap();
        house.before = fs::read(house.folder.path("out.parquet")).unwrap();
        house
    }

    async fn run(&self, yaml: &str) -> Result<MaterializeSyncResponse, ClientError> {
        self.running.client().await.materialize_sync(asking(yaml, &self.folder.path(""))).await
    }

    /// The old output is as it was.
    #[track_caller]
    fn untouched(&self, what: &str) {
        assert!(fs::read(self.folder.path("out.parquet")).unwrap() == self.before, "{what}: the old table was touched");
    }

    /// A run of the bad input fails and says why, and the old output stays.
    async fn refuses(&self, what: &str) -> ClientError {
        let error = self.run(OUT).await.expect_err(what);
        assert!(error.message.contains("hint: ") && error.message.contains("bad"), "{what}: {error}");
        self.untouched(what);
        error
    }

    /// The server serves, has nothing left over, and ends.
    async fn ends_well(self) {
        let good = "inputs: {customer: good.parquet}\noutput: fresh.parquet\n";
        // The place of a call that was dropped is given back within a moment.
        let since = Instant::now();
        let done = loop {
            match self.run(good).await {
                Err(error) if since.elapsed() < Duration::from_secs(5) => drop(error),
                outcome => break outcome.unwrap(),
            }
        };
        assert_eq!(done.rows, 3);
        soon(|| temporary(self.temp.path()));
        soon(|| left_in(&self.folder.path(""), ".tmp"));
        soon(|| left_in(&self.folder.path(""), ".lock"));
        self.running.stop().await;
        soon(|| self.temp.path().read_dir().unwrap().flatten().map(|entry| entry.path()).collect());
    }
}
