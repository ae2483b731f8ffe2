//! Inputs that come along with a call: written piece by piece into files, never held in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::app::upload_quota::{QuotaExceeded, Reservation, UploadQuota};
use crate::component::{Format, InputOverride};
use crate::engine::{Engine, EngineError, TakeRoom, scratch_file};
use crate::error::ErrorKind;
use crate::scorecard::InputName;

/// Why an upload was refused.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// An input is streamed twice, or has a path as well.
    #[error("the input `{0}` is given twice\nhint: stream it once, and give it no path in `request.inputs`")]
    Twice(InputName),
    /// A chunk of an input that was not announced.
    #[error("a chunk of an input that `start.inputs` does not announce\nhint: announce every input that is streamed")]
    NotAnnounced,
    /// A chunk behind the last one.
    #[error("a chunk of the input `{0}` behind its last one\nhint: say `last` once, in the input's last chunk")]
    AfterLast(InputName),
    /// The stream ended before an input was complete.
    #[error(
        "the input `{0}` is not complete\nhint: its last chunk says `last`; without it a cut upload could pass for a whole one"
    )]
    Incomplete(InputName),
    /// More bytes than uploads may take.
    #[error(
        "the upload is too large: the uploads of all calls together may take {limit} bytes\n\
         hint: try again when less is running; the operator allows more with `serve --max-upload`"
    )]
    TooLarge {
        /// Most bytes of all uploads together.
        limit: u64,
    },
    /// The disk refuses.
    #[error("the upload could not be stored: {0}\nhint: have the operator look at the folder for temporary files")]
    Disk(#[from] io::Error),
    /// An input is not what its format says.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl UploadError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
                _ => ErrorKind::Unavailable,
            },
            Self::TooLarge { .. } => ErrorKind::ResourceExhausted,
            Self::Engine(error) => error.kind(),
            Self::Twice(_) | Self::NotAnnounced | Self::AfterLast(_) | Self::Incomplete(_) => {
                ErrorKind::InvalidComponent
            }
        }
    }
}

impl From<QuotaExceeded> for UploadError {
    fn from(QuotaExceeded { limit }: QuotaExceeded) -> Self {
        Self::TooLarge { limit }
    }
}

/// What the chunks of an input hold, put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadFormat {
    /// An Arrow IPC stream.
    ArrowStream,
    /// A Parquet file.
    Parquet,
}

/// Inputs that were received; dropping it removes them.
pub struct Upload {
    folder: TempDir,
    reservation: Arc<Reservation>,
    inputs: BTreeMap<InputName, UploadedInput>,
}

struct UploadedInput {
    format: UploadFormat,
    path: PathBuf,
    /// Open until the last chunk has come.
    file: Option<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("folder", &self.folder)
            .field("reservation", &self.reservation)
            .finish_non_exhaustive()
    }
}

impl Upload {
    /// An upload without inputs, in a folder of its own.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn create(quota: &Arc<UploadQuota>, engine: &Engine) -> Result<Self, UploadError> {
        let reservation = Arc::new(Reservation::new(quota.clone()));
        Ok(Self { folder: engine.scratch()?, reservation, inputs: BTreeMap::new() })
    }

    /// Announces an input, which follows in chunks.
    ///
    /// # Errors
    /// Where it was announced before, or its file cannot be made.
    pub fn announce_input(&mut self, name: InputName, format: UploadFormat) -> Result<(), UploadError> {
        let path = self.folder.path().join(format!("{name}.received"));
        let file = Some(File::from_std(scratch_file(&path)?));
        let input = UploadedInput { format, path, file, hasher: blake3::Hasher::new(), bytes: 0 };
        if self.inputs.insert(name, input).is_some() {
            return Err(UploadError::Twice(name));
        }
        Ok(())
    }

    /// Writes a chunk of an input; behind the last one an Arrow stream is checked and rewritten as a file.
    ///
    /// # Errors
    /// Where the input expects no chunk, the quota or the disk has no room for it, or the stream is broken.
    pub async fn write_chunk(
        &mut self,
        name: InputName,
        data: &[u8],
        last: bool,
        engine: &Engine,
    ) -> Result<(), UploadError> {
        let input = self.inputs.get_mut(&name).ok_or(UploadError::NotAnnounced)?;
        let Some(file) = &mut input.file else { return Err(UploadError::AfterLast(name)) };
        let bytes = data.len() as u64;
        self.reservation.reserve(bytes)?;
        input.bytes += bytes;
        input.hasher.update(data);
        // Waits for the disk, and the caller with it: the transport asks for no more meanwhile.
        file.write_all(data).await?;
        if !last {
            return Ok(());
        }
        file.flush().await?;
        input.file = None;
        if input.format == UploadFormat::ArrowStream {
            let whole = self.folder.path().join(format!("{name}.arrow"));
            // The writer holds the reservation, because it may go on for a moment after the call is gone.
            let reservation = self.reservation.clone();
            let take: TakeRoom = Arc::new(move |bytes| reservation.reserve(bytes).is_ok());
            let written = engine.rewrite_stream(&format!("input `{name}`"), &input.path, &whole, take).await;
            self.reservation.check()?;
            written?;
            tokio::fs::remove_file(std::mem::replace(&mut input.path, whole)).await?;
            self.reservation.release(input.bytes);
        }
        Ok(())
    }

    /// Checks that the last chunk of every input has come.
    ///
    /// # Errors
    /// The first input that is not complete.
    pub fn check_complete(&self) -> Result<(), UploadError> {
        match self.inputs.iter().find(|(_, input)| input.file.is_some()) {
            Some((name, _)) => Err(UploadError::Incomplete(*name)),
            None => Ok(()),
        }
    }

    /// Where the inputs are, in place of the component's own.
    pub fn inputs(&self) -> BTreeMap<InputName, InputOverride> {
        let inputs = self.inputs.iter().map(|(name, input)| {
            let format = match input.format {
                UploadFormat::Parquet => Format::Parquet,
                UploadFormat::ArrowStream => Format::Arrow,
            };
            let path = Some(input.path.display().to_string());
            (*name, InputOverride { path, format: Some(format), filter: None })
        });
        inputs.collect()
    }

    /// Hash of what was received, so that the same upload can be told from another.
    pub fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (name, input) in &self.inputs {
            hasher.update(name.as_str().as_bytes());
            hasher.update(input.hasher.finalize().as_bytes());
        }
        hasher.finalize()
    }

    /// The folder of the upload.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
