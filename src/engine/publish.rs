//! The output: claimed, written beside its place, and moved there whole; the only room that creates outputs.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::EngineError;
use super::source::{local, plain};
use crate::plan::names::CUSTOMER_ID;

/// Names of the facts in the output's file metadata.
pub mod keys {
    /// Name of the asset.
    pub const ASSET_NAME: &str = "customer_health.asset_name";
    /// Id of the run.
    pub const RUN_ID: &str = "customer_health.run_id";
    /// Version of the program.
    pub const COMPONENT_VERSION: &str = "customer_health.component_version";
    /// Name or path of the scorecard.
    pub const SCORECARD: &str = "customer_health.scorecard";
    /// Hash of the scorecard.
    pub const SCORECARD_HASH: &str = "customer_health.scorecard_hash";
    /// End of the analysis period, RFC 3339.
    pub const AS_OF: &str = "customer_health.as_of";
    /// Rows of the table.
    pub const ROWS: &str = "customer_health.rows";
    /// Rows kept of each input, as a JSON object.
    pub const INPUT_ROWS: &str = "customer_health.input_rows";
    /// Partition that the run was for.
    pub const PARTITION_KEY: &str = "customer_health.partition_key";
    /// Hash of what was read and how it was scored.
    pub const DATA_VERSION: &str = "customer_health.data_version";
    /// Tags of the request, as a JSON object.
    pub const TAGS: &str = "customer_health.tags";
    /// Population statistics, as the JSON object that `population:` takes.
    pub const POPULATION: &str = "customer_health.population";
}

/// What a file says about itself: names of [`keys`] and values.
pub type Facts = Vec<(&'static str, String)>;

/// A finished file that is not in its place yet; dropping it removes it.
pub type Staged = NamedTempFile;

/// Batches that may wait for the writer.
const WAITING: usize = 4;

/// An output that no other run writes.
pub struct Output {
    target: PathBuf,
    folder: PathBuf,
    name: String,
    lock: Option<(File, PathBuf)>,
}

impl Output {
    /// Claims an output: makes its folder, keeps other runs away, clears what a killed run left.
    ///
    /// # Errors
    /// Where another run holds it, or the folder cannot be written.
    pub fn claim(path: &str) -> Result<Self, EngineError> {
        let failed = |error| failure(path, error);
        // Through a link to the file that is meant, so that readers of either name see the new table.
        let target = plain(&local("output", path)?).map_err(failed)?;
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = target.parent().map(Path::to_owned).unwrap_or_default();
        if name.is_empty() || target.is_dir() || path.ends_with('/') {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        fs::create_dir_all(&folder).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => failed(io::Error::from(io::ErrorKind::NotADirectory)),
            _ => failed(error),
        })?;
        let lock_path = folder.join(format!(".{name}.lock"));
        let lock = lock(&lock_path).map_err(failed)?;
        let Some(lock) = lock else { return Err(EngineError::OutputBusy { path: path.to_owned() }) };
        let output = Self { target, folder, name, lock: Some((lock, lock_path)) };
        output.clear().map_err(failed)?;
        Ok(output)
    }

    /// The file that will be replaced.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where the output will be.
    pub fn path(&self) -> String {
        self.target.display().to_string()
    }

    /// Starts a writer beside the output's place, on a thread of its own.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn write(&self, schema: SchemaRef) -> Result<Writer, EngineError> {
        let failed = |error| failure(&self.path(), error);
        let staged = tempfile::Builder::new()
            .prefix(&self.staged_prefix())
            .suffix(STAGED)
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(&self.folder)
            .map_err(failed)?;
        let level = ZstdLevel::try_new(1).map_err(|error| failed(io::Error::other(error)))?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(format!("customer-health {}", env!("CARGO_PKG_VERSION")));
        for field in schema.fields() {
            // Ids and scores hardly repeat, so that a dictionary of them would only be built to be given up.
            if field.name() == CUSTOMER_ID || field.data_type().is_floating() {
                properties = properties.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false);
            }
        }
        let properties = properties.build();
        let (batches, waiting) = mpsc::channel(WAITING);
        let work = tokio::task::spawn_blocking(move || encode(staged, schema, properties, waiting));
        Ok(Writer { path: self.path(), batches, work })
    }

    /// Moves a finished file to the output's place.
    ///
    /// # Errors
    /// Where the disk or the folder refuses; the output is then as it was.
    pub fn publish(&self, staged: NamedTempFile) -> Result<u64, EngineError> {
        let failed = |error| failure(&self.path(), error);
        staged.as_file().sync_all().map_err(failed)?;
        let bytes = staged.as_file().metadata().map_err(failed)?.len();
        staged.persist(&self.target).map_err(|error| failed(error.error))?;
        // Without this a power cut could bring the old name back, though never a part of a file.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(bytes)
    }

    fn staged_prefix(&self) -> String {
        format!(".{}.", self.name)
    }

    /// Removes staged files of runs that were killed: whoever holds the lock is the only writer.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let random = name.strip_prefix(&self.staged_prefix()).and_then(|name| name.strip_suffix(STAGED));
            // A dot in between belongs to another output, whose name begins like this one's.
            if random.is_some_and(|random| !random.contains('.')) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Ending of files that are being written.
const STAGED: &str = ".customer-health.tmp";

impl Drop for Output {
    fn drop(&mut self) {
        // Removed while still locked; whoever opened it meanwhile sees that it is gone and opens a new one.
        if let Some((lock, path)) = self.lock.take() {
            drop(fs::remove_file(path));
            drop(lock);
        }
    }
}

/// Locks a file; `None` where another process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Its last holder may have removed it between opening and locking.
        match fs::metadata(path) {
            Ok(there) if there.ino() == file.metadata()?.ino() => return Ok(Some(file)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// A file being written. Dropping it stops the writing and removes the file.
pub struct Writer {
    path: String,
    batches: mpsc::Sender<Message>,
    work: JoinHandle<Result<Option<NamedTempFile>, ParquetError>>,
}

enum Message {
    Batch(RecordBatch),
    Finish(Vec<KeyValue>),
}

impl Writer {
    /// Hands over a batch, waiting while the writer is behind.
    ///
    /// # Errors
    /// `false` where the writer has stopped; [`Writer::finish`] tells why.
    pub async fn write(&self, batch: RecordBatch) -> bool {
        self.batches.send(Message::Batch(batch)).await.is_ok()
    }

    /// Ends the file with its metadata.
    ///
    /// # Errors
    /// What went wrong in writing, now or before.
    pub async fn finish(self, facts: Facts) -> Result<NamedTempFile, EngineError> {
        let facts = facts.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
        // Where the writer has stopped, its own error says more than the failed sending.
        let _ = self.batches.send(Message::Finish(facts)).await;
        drop(self.batches);
        match self.work.await {
            Ok(Ok(Some(staged))) => Ok(staged),
            Ok(Ok(None)) => Err(failure(&self.path, io::Error::other("the writer ended early"))),
            Ok(Err(error)) => Err(failure(&self.path, root_io(error))),
            Err(error) => Err(failure(&self.path, io::Error::other(error))),
        }
    }
}

fn encode(
    staged: NamedTempFile,
    schema: SchemaRef,
    properties: WriterProperties,
    mut waiting: mpsc::Receiver<Message>,
) -> Result<Option<NamedTempFile>, ParquetError> {
    let mut writer = ArrowWriter::try_new(staged, schema, Some(properties))?;
    while let Some(message) = waiting.blocking_recv() {
        match message {
            Message::Batch(batch) => writer.write(&batch)?,
            Message::Finish(facts) => {
                facts.into_iter().for_each(|fact| writer.append_key_value_metadata(fact));
                return writer.into_inner().map(Some);
            }
        }
    }
    // The run was given up: dropping the writer removes the file.
    Ok(None)
}

fn root_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => *io,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

fn failure(path: &str, source: io::Error) -> EngineError {
    let hint = match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "check the permissions of its folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on its disk",
        io::ErrorKind::IsADirectory => "name a file, such as customer_health_scores.parquet in that folder",
        io::ErrorKind::NotADirectory => "a part of its path is a file, not a folder",
        io::ErrorKind::NotFound => "its folder does not exist and cannot be made",
        _ => "the earlier output, if there was one, is as it was",
    };
    EngineError::Output { path: path.to_owned(), source, hint }
}
