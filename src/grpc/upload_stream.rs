//! Inputs that come along with a call, as messages: the start, then chunks until every input is complete.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use crate::app::upload::{Upload, UploadError};
use crate::app::upload_quota::UploadQuota;
use crate::engine::Engine;
use crate::error::ErrorKind;
use crate::wire::proto::materialize_stream_request::Part;
use crate::wire::proto::{MaterializeStreamRequest, StreamStart};
use crate::wire::request::{read_input_name, read_upload_format};
use crate::wire::status::{convert_upload_error, failure_status, too_large_status};

/// How long a caller may be silent in mid-upload.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes a second that a caller sends at least, taken over all the time that was spent waiting for it.
const PACE: u64 = 1024;

/// Why an upload was not received.
#[derive(Debug, thiserror::Error)]
pub enum UploadStreamError {
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
    /// The caller fell silent.
    #[error("nothing came for {} seconds in mid-upload\nhint: send chunks as they are made, and the whole again", SILENCE.as_secs())]
    Silent,
    /// The caller sends next to nothing.
    #[error("less than {PACE} bytes a second came\nhint: make the tables first, and send them when they are whole")]
    Slow,
    /// The connection broke.
    #[error("the upload broke off: {0}")]
    Broken(Box<Status>),
    /// What came cannot be stored.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

impl UploadStreamError {
    /// What sort of failure it is.
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Upload(error) => error.kind(),
            Self::Silent | Self::Slow | Self::Broken(_) => ErrorKind::Cancelled,
            Self::NoStart | Self::SecondStart | Self::NoPart | Self::UnknownInput(_) | Self::UnknownFormat(_) => {
                ErrorKind::InvalidComponent
            }
        }
    }

    /// The status that tells it to the caller.
    pub fn to_status(&self) -> Status {
        match self {
            Self::Upload(error) => convert_upload_error(error),
            Self::Broken(told) => {
                too_large_status(told).unwrap_or_else(|| failure_status(self.kind(), &self.to_string()))
            }
            error => failure_status(error.kind(), &error.to_string()),
        }
    }
}

/// Receives a whole upload: its start, and the inputs until each is complete.
///
/// # Errors
/// What is wrong with the upload, or keeps it from being stored.
pub async fn receive_upload(
    mut parts: impl Stream<Item = Result<MaterializeStreamRequest, Status>> + Unpin,
    quota: &Arc<UploadQuota>,
    engine: &Engine,
) -> Result<(StreamStart, Upload), UploadStreamError> {
    let mut pace = Pace::default();
    let first = receive_message(&mut parts, &mut pace).await?.and_then(|message| message.part);
    let Some(Part::Start(start)) = first else { return Err(UploadStreamError::NoStart) };
    let mut upload = announce_inputs(&start, quota, engine)?;
    while let Some(message) = receive_message(&mut parts, &mut pace).await? {
        match message.part.ok_or(UploadStreamError::NoPart)? {
            Part::Start(_) => return Err(UploadStreamError::SecondStart),
            Part::Chunk(chunk) => {
                let name = read_input_name(chunk.input).ok_or(UploadError::NotAnnounced)?;
                upload.write_chunk(name, &chunk.data, chunk.last, engine).await?;
            }
        }
    }
    upload.check_complete()?;
    Ok((start, upload))
}

fn announce_inputs(
    start: &StreamStart,
    quota: &Arc<UploadQuota>,
    engine: &Engine,
) -> Result<Upload, UploadStreamError> {
    let mut upload = Upload::create(quota, engine)?;
    let with_path = start.request.iter().flat_map(|request| &request.inputs).filter(|input| !input.path.is_empty());
    let with_path: Vec<i32> = with_path.map(|input| input.input).collect();
    for (at, input) in start.inputs.iter().enumerate() {
        let name = read_input_name(input.input).ok_or(UploadStreamError::UnknownInput(at))?;
        let format = read_upload_format(input.format).ok_or(UploadStreamError::UnknownFormat(at))?;
        if with_path.contains(&input.input) {
            return Err(UploadError::Twice(name).into());
        }
        upload.announce_input(name, format)?;
    }
    Ok(upload)
}

/// How fast a caller has sent so far; the time that the server's own disk takes does not count.
#[derive(Debug, Default)]
struct Pace {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// How much longer the next message may take.
    fn time_left(&self) -> Duration {
        (SILENCE + Duration::from_secs(self.bytes / PACE)).saturating_sub(self.waited)
    }
}

async fn receive_message(
    parts: &mut (impl Stream<Item = Result<MaterializeStreamRequest, Status>> + Unpin),
    pace: &mut Pace,
) -> Result<Option<MaterializeStreamRequest>, UploadStreamError> {
    let (left, since) = (pace.time_left(), Instant::now());
    let part = timeout(left.min(SILENCE), parts.next()).await;
    pace.waited += since.elapsed();
    let part = part.map_err(|_| if left < SILENCE { UploadStreamError::Slow } else { UploadStreamError::Silent })?;
    let part = part.transpose().map_err(|status| UploadStreamError::Broken(Box::new(status)))?;
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
        let left = |bytes, waited| Pace { bytes, waited: Duration::from_secs(waited) }.time_left();
        assert_eq!(left(0, 0), SILENCE);
        // A byte every 40 seconds.
        assert_eq!(left(2, 80), Duration::ZERO);
        assert_eq!(left(PACE * 1_000, 1_000), SILENCE);
        assert!(left(PACE * 10_000, 1_000) > SILENCE);
    }
}
