//! A table on its way back to the caller: an Arrow IPC stream in chunks, made no faster than they are taken.

use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use futures::StreamExt;
use tokio::sync::mpsc;
use tonic::Status;

use crate::engine::{Engine, EngineError};
use crate::wire::proto::materialize_stream_response::Event;
use crate::wire::proto::{MaterializeStreamResponse, OutputChunk};

/// Largest chunk, in bytes.
const CHUNK: usize = 1 << 20;

/// Why a table did not reach the caller.
pub enum DeliveryError {
    /// The caller is gone.
    Gone,
    /// The table could not be read.
    Engine(EngineError),
}

/// Sends a table that was written.
///
/// # Errors
/// Where it cannot be read, or the caller has gone.
pub async fn send(
    path: &str,
    engine: &Engine,
    sender: &mpsc::Sender<Result<MaterializeStreamResponse, Status>>,
) -> Result<(), DeliveryError> {
    let mut batches = engine.read_table(path).await.map_err(DeliveryError::Engine)?;
    let internal = |error: arrow::error::ArrowError| {
        DeliveryError::Engine(EngineError::internal("encoding the table", error.into()))
    };
    let schema: SchemaRef = batches.schema();
    let mut writer = StreamWriter::try_new(Pending::default(), &schema).map_err(internal)?;
    while let Some(batch) = batches.next().await {
        let unreadable = |error| DeliveryError::Engine(EngineError::unreadable("published table", path, error));
        writer.write(&batch.map_err(unreadable)?).map_err(internal)?;
        drain(&mut writer.get_mut().0, false, sender).await?;
    }
    writer.finish().map_err(internal)?;
    drain(&mut writer.get_mut().0, true, sender).await
}

async fn drain(
    pending: &mut Vec<u8>,
    all: bool,
    sender: &mpsc::Sender<Result<MaterializeStreamResponse, Status>>,
) -> Result<(), DeliveryError> {
    while pending.len() >= CHUNK || (all && !pending.is_empty()) {
        let rest = pending.split_off(pending.len().min(CHUNK));
        let data = std::mem::replace(pending, rest);
        let event = Some(Event::Chunk(OutputChunk { data }));
        sender.send(Ok(MaterializeStreamResponse { event })).await.map_err(|_| DeliveryError::Gone)?;
    }
    Ok(())
}

/// Bytes that wait to be sent.
#[derive(Default)]
struct Pending(Vec<u8>);

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
