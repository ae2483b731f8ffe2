//! The output: claimed, written beside its place, and moved there whole; the only room that creates outputs.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use tempfile::NamedTempFile;

use super::encode::Encoder;
use super::source::{local, plain};
use super::store::upload::Upload;
use super::store::{Claim, Purpose};
use super::uri::{Uri, is_uri};
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::regular;

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

/// A finished table that is not in its place yet; dropping it removes it.
pub struct Staged {
    file: NamedTempFile,
    upload: Option<Upload>,
}

/// An output that no other run writes.
pub enum Output {
    /// A local file, in a folder where this process and others lock it.
    File(PathBuf, Folder),
    /// An object. Stores know no locks: other processes are not kept away, and the last one to publish wins.
    Object(Uri, Claim),
}

impl Output {
    /// Claims an output: makes its folder, keeps other runs away, clears what a killed run left.
    ///
    /// # Errors
    /// Where another run holds it, or the folder cannot be written.
    pub fn claim(path: &str, context: &RunContext) -> Result<Self, IoError> {
        if is_uri(path) {
            let uri = Uri::parse("output", path)?.writable("output")?;
            let claim = context.stores().claim(&uri);
            let Some(claim) = claim else { return Err(IoError::OutputBusy { path: path.to_owned() }) };
            return Ok(Self::Object(uri, claim));
        }
        let failed = |error| failure(path, error);
        let target = local_target(path)?;
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = target.parent().map(Path::to_owned).unwrap_or_default();
        fs::create_dir_all(&folder).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => failed(io::Error::from(io::ErrorKind::NotADirectory)),
            _ => failed(error),
        })?;
        let lock_path = folder.join(format!(".{name}.lock"));
        let lock = lock(&lock_path).map_err(failed)?;
        let Some(lock) = lock else { return Err(IoError::OutputBusy { path: path.to_owned() }) };
        let folder = Folder { path: folder, name, lock: Some((lock, lock_path)) };
        folder.clear().map_err(failed)?;
        Ok(Self::File(target, folder))
    }

    /// Where the output will be.
    pub fn path(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Object(uri, _) => uri.to_string(),
        }
    }

    /// Starts a writer: beside a file's place, or beside an upload that is not seen before it is complete.
    ///
    /// # Errors
    /// Where the folder or the store cannot be written.
    pub async fn write(&self, schema: SchemaRef) -> Result<Writer, IoError> {
        let failed = |error| failure(&self.path(), error);
        let mut staged = tempfile::Builder::new();
        let (file, upload) = match self {
            Self::File(_, folder) => {
                let prefix = folder.staged_prefix();
                let staged = staged.prefix(&prefix).suffix(STAGED).permissions(fs::Permissions::from_mode(0o666));
                (staged.tempfile_in(&folder.path).map_err(failed)?, None)
            }
            Self::Object(uri, claim) => {
                let folder = &claim.stores.temp_dir;
                let file = staged.prefix("customer-health-output-").tempfile_in(folder).map_err(|error| {
                    let (role, folder) = ("folder for temporary files", folder.display().to_string());
                    IoError::of_io(role, &folder, "written", error)
                })?;
                let store = claim.stores.open("output", uri, Purpose::Write)?;
                (file, Some(Upload::start(uri.clone(), store).await?))
            }
        };
        let encoder = Encoder::start(file, schema, upload.is_none()).map_err(failed)?;
        Ok(Writer { path: self.path(), encoder, upload })
    }

    /// Puts a finished table in the output's place; its size.
    ///
    /// # Errors
    /// Where the disk, the folder or the store refuses; the output is then as it was.
    pub async fn publish(&self, staged: Staged) -> Result<u64, IoError> {
        let Staged { file, upload } = staged;
        let (target, folder) = match (self, upload) {
            (_, Some(upload)) => return upload.complete().await,
            (Self::File(target, folder), None) => (target, folder),
            (Self::Object(..), None) => return Err(failure(&self.path(), io::Error::other("nothing was sent"))),
        };
        let failed = |error| failure(&self.path(), error);
        synced(file.as_file()).map_err(failed)?;
        let bytes = file.as_file().metadata().map_err(failed)?.len();
        file.persist(target).map_err(|error| failed(error.error))?;
        // Without this a power cut could bring the old name back, though never a part of a file.
        File::open(&folder.path).and_then(|folder| synced(&folder)).map_err(failed)?;
        Ok(bytes)
    }
}

/// The file that a local output is, or will be; nothing is made.
fn local_target(path: &str) -> Result<PathBuf, IoError> {
    let failed = |error| failure(path, error);
    // Through a link to the file that is meant, so that readers of either name see the new table.
    let target = plain(&local("output", path)?).map_err(failed)?;
    if target.file_name().is_none() || target.is_dir() || path.ends_with('/') {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    // Whatever keeps it from being looked at keeps it from being replaced, and is told then.
    if let Ok(found) = fs::metadata(&target) {
        regular::check(&found).map_err(failed)?;
    }
    Ok(target)
}

/// Where an output is, the same for all ways of writing its path.
///
/// # Errors
/// Where it can be no output.
pub fn place_of(path: &str) -> Result<PathBuf, IoError> {
    match is_uri(path) {
        true => Ok(PathBuf::from(Uri::parse("output", path)?.writable("output")?.place())),
        false => local_target(path),
    }
}

/// Refuses a path that no table can be written to, as far as that can be told without writing.
///
/// # Errors
/// Where it is a folder or no regular file, or leads through one that is no folder.
pub fn check_place(path: &str) -> Result<(), IoError> {
    let place = place_of(path)?;
    if is_uri(path) {
        return Ok(());
    }
    let above = place.ancestors().skip(1).find(|folder| folder.symlink_metadata().is_ok());
    match above.is_none_or(Path::is_dir) {
        true => Ok(()),
        false => Err(failure(path, io::Error::from(io::ErrorKind::NotADirectory))),
    }
}

/// Waits until a file is on the disk, where its file system knows of such a thing: some answer that they do not.
fn synced(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        outcome => outcome,
    }
}

/// The folder of an output, and the lock in it.
pub struct Folder {
    path: PathBuf,
    name: String,
    lock: Option<(File, PathBuf)>,
}

impl Folder {
    fn staged_prefix(&self) -> String {
        staged_prefix(&self.name)
    }

    /// Removes staged files of runs that were killed: whoever holds the lock is the only writer.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
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

/// What names of files begin with that are being written for an output, or kept of it.
pub fn staged_prefix(name: &str) -> String {
    format!(".{name}.")
}

/// Ending of such files.
pub const STAGED: &str = ".customer-health.tmp";

impl Drop for Folder {
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
        match fs::symlink_metadata(path) {
            Ok(found) => regular::check(&found)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
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

/// A table being written. Dropping it stops the writing and removes what was written.
pub struct Writer {
    path: String,
    encoder: Encoder,
    upload: Option<Upload>,
}

impl Writer {
    /// Hands over a batch, waiting while the writer is behind.
    ///
    /// # Errors
    /// `false` where the writer has stopped; [`Writer::finish`] tells why.
    pub async fn write(&mut self, batch: RecordBatch) -> bool {
        self.encoder.write(batch).await
    }

    /// Ends the file with its metadata and sends it to its store, where it is not seen yet.
    ///
    /// # Errors
    /// What went wrong in writing, now or before.
    pub async fn finish(self, facts: Facts) -> Result<Staged, IoError> {
        let Self { path, encoder, mut upload } = self;
        let file = encoder.finish(facts).await.map_err(|error| failure(&path, error))?;
        if let Some(upload) = &mut upload {
            upload.send(file.as_file()).await?;
        }
        Ok(Staged { file, upload })
    }
}

/// An output that could not be written.
pub fn failure(path: &str, source: io::Error) -> IoError {
    let hint = match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "check the permissions of its folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on its disk",
        io::ErrorKind::IsADirectory => "name a file, such as customer_health_scores.parquet in that folder",
        io::ErrorKind::InvalidInput => "name a file that may be replaced, or one that is not there yet",
        io::ErrorKind::NotADirectory => "a part of its path is a file, not a folder",
        io::ErrorKind::NotFound => "its folder does not exist and cannot be made",
        _ => "the earlier output, if there was one, is as it was",
    };
    IoError::Output { path: path.to_owned(), source, hint }
}
