//! Inputs that come along with a call: received piece by piece into files, never held in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use crate::component::{Format, InputOverride};
use crate::engine::{Engine, EngineError, TakeRoom, scratch_file};
use crate::error::ErrorKind;
use crate::scorecard::InputName;
use crate::wire::proto::materialize_stream_request::Part;
use crate::wire::proto::{InputChunk, MaterializeStreamRequest, StreamStart, StreamedFormat};
use crate::wire::request::input_name;

/// How long a caller may be silent in mid-upload.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes a second that a caller sends at least, taken over all the time that was spent waiting for it.
const PACE: u64 = 1024;

/// Why an upload was refused.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The first message is no start, or the stream was empty.
    #[error(
        "the first message is no start\nhint: begin with `start`, which has the request and the inputs that follow"
    )]
    NoStart,
    /// There is a second start.
    #[error("a second start\nhint: begin with `start`, and send only chunks behind it")]
    SecondStart,
    /// A message is empty.
    #[error("a message has neither start nor chunk\nhint: this version knows `start` and `chunk`")]
    NoPart,
    /// A streamed input has no name.
    #[error(
        "inputs[{0}].input names no input\nhint: expected INPUT_CUSTOMER, INPUT_SUBSCRIPTION, INPUT_USAGE or INPUT_SUPPORT"
    )]
    UnknownInput(usize),
    /// A streamed input has a format that this version does not know.
    #[error("inputs[{0}].format is unknown\nhint: expected STREAMED_FORMAT_ARROW_STREAM or STREAMED_FORMAT_PARQUET")]
    UnknownFormat(usize),
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
    /// The caller fell silent.
    #[error("nothing came for {} seconds in mid-upload\nhint: send chunks as they are made, and the whole again", SILENCE.as_secs())]
    Silent,
    /// The caller sends next to nothing.
    #[error("less than {PACE} bytes a second came\nhint: make the tables first, and send them when they are whole")]
    Slow,
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
    Disk(#[from] std::io::Error),
    /// An input is not what its format says.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The connection broke.
    #[error("the upload broke off: {0}")]
    Broken(Box<Status>),
}

impl UploadError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk(error) => match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
                _ => ErrorKind::Unavailable,
            },
            Self::TooLarge { .. } => ErrorKind::ResourceExhausted,
            Self::Engine(error) => error.kind(),
            Self::Silent | Self::Slow | Self::Broken(_) => ErrorKind::Cancelled,
            Self::NoStart
            | Self::SecondStart
            | Self::NoPart
            | Self::UnknownInput(_)
            | Self::UnknownFormat(_)
            | Self::Twice(_)
            | Self::NotAnnounced
            | Self::AfterLast(_)
            | Self::Incomplete(_) => ErrorKind::InvalidComponent,
        }
    }
}

/// Room for uploads, shared by all calls.
#[derive(Debug)]
pub struct Room {
    limit: u64,
    taken: AtomicU64,
    received: AtomicU64,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, taken: AtomicU64::new(0), received: AtomicU64::new(0) }
    }

    /// Bytes that were received so far, and those among them that still take room.
    pub fn bytes(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.taken.load(Ordering::Relaxed))
    }

    fn take(&self, bytes: u64) -> Result<(), UploadError> {
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.limit);
        let outcome = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        outcome.map_err(|_| UploadError::TooLarge { limit: self.limit })?;
        self.received.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// Room that an upload has taken; given back when the last one who writes to it is done.
#[derive(Debug)]
struct Taken {
    room: Arc<Room>,
    bytes: AtomicU64,
    refused: AtomicBool,
}

impl Taken {
    fn take(&self, bytes: u64) -> Result<(), UploadError> {
        self.room.take(bytes).inspect_err(|_| self.refused.store(true, Ordering::Relaxed))?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.room.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.give_back(self.bytes.load(Ordering::Relaxed));
    }
}

/// Inputs that were received; dropping it removes them.
pub struct Upload {
    folder: TempDir,
    taken: Arc<Taken>,
    inputs: BTreeMap<InputName, Incoming>,
}

struct Incoming {
    format: StreamedFormat,
    path: PathBuf,
    file: Option<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("folder", &self.folder).field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Upload {
    /// Receives a whole upload: its start, and the inputs until each is complete.
    ///
    /// # Errors
    /// What is wrong with the upload, or keeps it from being stored.
    pub async fn receive(
        mut parts: impl Stream<Item = Result<MaterializeStreamRequest, Status>> + Unpin,
        room: &Arc<Room>,
        engine: &Engine,
    ) -> Result<(StreamStart, Self), UploadError> {
        let mut pace = Pace::default();
        let Some(Part::Start(start)) = next(&mut parts, &mut pace).await?.and_then(|message| message.part) else {
            return Err(UploadError::NoStart);
        };
        let mut upload = Self::new(&start, room, engine)?;
        while let Some(message) = next(&mut parts, &mut pace).await? {
            match message.part.ok_or(UploadError::NoPart)? {
                Part::Start(_) => return Err(UploadError::SecondStart),
                Part::Chunk(chunk) => upload.add(chunk, engine).await?,
            }
        }
        match upload.inputs.iter().find(|(_, incoming)| incoming.file.is_some()) {
            Some((name, _)) => Err(UploadError::Incomplete(*name)),
            None => Ok((start, upload)),
        }
    }

    fn new(start: &StreamStart, room: &Arc<Room>, engine: &Engine) -> Result<Self, UploadError> {
        let folder = engine.scratch()?;
        let mut inputs = BTreeMap::new();
        let given = start.request.iter().flat_map(|request| &request.inputs);
        let given: Vec<i32> = given.filter(|input| !input.path.is_empty()).map(|input| input.input).collect();
        for (at, input) in start.inputs.iter().enumerate() {
            let name = input_name(input.input).ok_or(UploadError::UnknownInput(at))?;
            let format = match StreamedFormat::try_from(input.format) {
                Ok(StreamedFormat::Unspecified | StreamedFormat::ArrowStream) => StreamedFormat::ArrowStream,
                Ok(StreamedFormat::Parquet) => StreamedFormat::Parquet,
                Err(_) => return Err(UploadError::UnknownFormat(at)),
            };
            let path = folder.path().join(format!("{name}.received"));
            let file = Some(File::from_std(scratch_file(&path)?));
            let incoming = Incoming { format, path, file, hasher: blake3::Hasher::new(), bytes: 0 };
            if given.contains(&input.input) || inputs.insert(name, incoming).is_some() {
                return Err(UploadError::Twice(name));
            }
        }
        let taken = Taken { room: room.clone(), bytes: AtomicU64::new(0), refused: AtomicBool::new(false) };
        Ok(Self { folder, taken: Arc::new(taken), inputs })
    }

    async fn add(&mut self, chunk: InputChunk, engine: &Engine) -> Result<(), UploadError> {
        let name = input_name(chunk.input).ok_or(UploadError::NotAnnounced)?;
        let incoming = self.inputs.get_mut(&name).ok_or(UploadError::NotAnnounced)?;
        let Some(file) = &mut incoming.file else { return Err(UploadError::AfterLast(name)) };
        let bytes = chunk.data.len() as u64;
        self.taken.take(bytes)?;
        incoming.bytes += bytes;
        incoming.hasher.update(&chunk.data);
        // Waits for the disk, and the caller with it: the transport asks for no more meanwhile.
        file.write_all(&chunk.data).await?;
        if chunk.last {
            file.flush().await?;
            incoming.file = None;
            if incoming.format == StreamedFormat::ArrowStream {
                let whole = self.folder.path().join(format!("{name}.arrow"));
                // Held by whoever writes, who may go on for a moment after the call is gone.
                let taken = self.taken.clone();
                let take: TakeRoom = Arc::new(move |bytes| taken.take(bytes).is_ok());
                let written = engine.rewrite_stream(&format!("input `{name}`"), &incoming.path, &whole, take).await;
                if self.taken.refused.load(Ordering::Relaxed) {
                    return Err(UploadError::TooLarge { limit: self.taken.room.limit });
                }
                written?;
                tokio::fs::remove_file(std::mem::replace(&mut incoming.path, whole)).await?;
                self.taken.give_back(incoming.bytes);
            }
        }
        Ok(())
    }

    /// Where the inputs are, in place of the component's own.
    pub fn inputs(&self) -> BTreeMap<InputName, InputOverride> {
        let inputs = self.inputs.iter().map(|(name, incoming)| {
            let format = match incoming.format {
                StreamedFormat::Parquet => Format::Parquet,
                StreamedFormat::Unspecified | StreamedFormat::ArrowStream => Format::Arrow,
            };
            let path = Some(incoming.path.display().to_string());
            (*name, InputOverride { path, format: Some(format), filter: None })
        });
        inputs.collect()
    }

    /// Hash of what was received, so that the same upload can be told from another.
    pub fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (name, incoming) in &self.inputs {
            hasher.update(name.as_str().as_bytes());
            hasher.update(incoming.hasher.finalize().as_bytes());
        }
        hasher.finalize()
    }

    /// The folder of the upload.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// How fast a caller has sent so far; the time that the own disk takes is not its.
#[derive(Debug, Default)]
struct Pace {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// How much longer may be waited for the next message.
    fn left(&self) -> Duration {
        (SILENCE + Duration::from_secs(self.bytes / PACE)).saturating_sub(self.waited)
    }
}

async fn next(
    parts: &mut (impl Stream<Item = Result<MaterializeStreamRequest, Status>> + Unpin),
    pace: &mut Pace,
) -> Result<Option<MaterializeStreamRequest>, UploadError> {
    let (left, since) = (pace.left(), Instant::now());
    let part = timeout(left.min(SILENCE), parts.next()).await;
    pace.waited += since.elapsed();
    let part = part.map_err(|_| if left < SILENCE { UploadError::Slow } else { UploadError::Silent })?;
    let part = part.transpose().map_err(|status| UploadError::Broken(Box::new(status)))?;
    if let Some(Part::Chunk(chunk)) = part.as_ref().and_then(|message| message.part.as_ref()) {
        pace.bytes += chunk.data.len() as u64;
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_enough_may_take_all_the_time_and_who_does_not_may_not() {
        let left = |bytes, waited| Pace { bytes, waited: Duration::from_secs(waited) }.left();
        assert_eq!(left(0, 0), SILENCE);
        // A byte every 40 seconds.
        assert_eq!(left(2, 80), Duration::ZERO);
        assert_eq!(left(PACE * 1_000, 1_000), SILENCE);
        assert!(left(PACE * 10_000, 1_000) > SILENCE);
    }
}
