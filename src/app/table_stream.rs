//! A table on its way back to the caller: an Arrow IPC stream in chunks, made no faster than they are taken.

use std::io::{self, Write};

use arrow::ipc::writer::StreamWriter;
use futures::StreamExt;

use crate::engine::{Engine, EngineError};

/// Largest chunk, in bytes.
const CHUNK: usize = 1 << 20;

/// The caller is gone and takes no more chunks.
#[derive(Debug)]
pub struct CallerGone;

/// Why a table did not reach the caller.
pub enum SendTableError {
    /// The caller is gone.
    CallerGone,
    /// The table could not be read.
    Engine(EngineError),
}

impl From<CallerGone> for SendTableError {
    fn from(CallerGone: CallerGone) -> Self {
        Self::CallerGone
    }
}

/// Sends a table that was written, chunk by chunk.
///
/// # Errors
/// Where it cannot be read, or the caller has gone.
pub async fn send_table<F: Future<Output = Result<(), CallerGone>>>(
    path: &str,
    engine: &Engine,
    mut send_chunk: impl FnMut(Vec<u8>) -> F,
) -> Result<(), SendTableError> {
    let mut batches = engine.read_table(path).await.map_err(SendTableError::Engine)?;
    let internal = |error: arrow::error::ArrowError| {
        SendTableError::Engine(EngineError::internal("encoding the table", error.into()))
    };
    let schema = batches.schema();
    let mut writer = StreamWriter::try_new(Buffer::default(), &schema).map_err(internal)?;
    while let Some(batch) = batches.next().await {
        let unreadable = |error| SendTableError::Engine(EngineError::unreadable("published table", path, error));
        writer.write(&batch.map_err(unreadable)?).map_err(internal)?;
        while let Some(chunk) = writer.get_mut().take_full_chunk() {
            send_chunk(chunk).await?;
        }
    }
    writer.finish().map_err(internal)?;
    let buffer = writer.get_mut();
    while let Some(chunk) = buffer.take_full_chunk() {
        send_chunk(chunk).await?;
    }
    if !buffer.0.is_empty() {
        send_chunk(std::mem::take(&mut buffer.0)).await?;
    }
    Ok(())
}

/// Encoded bytes that wait to be sent.
#[derive(Default)]
struct Buffer(Vec<u8>);

impl Buffer {
    fn take_full_chunk(&mut self) -> Option<Vec<u8>> {
        (self.0.len() >= CHUNK).then(|| {
            let rest = self.0.split_off(CHUNK);
            std::mem::replace(&mut self.0, rest)
        })
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
