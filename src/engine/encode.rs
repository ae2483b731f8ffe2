//! Batches to a Parquet file, on a thread of its own.

use std::io;

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

use super::publish::Facts;
use crate::plan::names::CUSTOMER_ID;

/// Batches that may wait for the writer.
const WAITING: usize = 4;

/// A file being written. Dropping it stops the writing and removes the file.
pub struct Encoder {
    batches: mpsc::Sender<Message>,
    work: JoinHandle<Result<Option<NamedTempFile>, ParquetError>>,
}

enum Message {
    Batch(RecordBatch),
    Finish(Vec<KeyValue>),
}

impl Encoder {
    /// Starts to write a file.
    ///
    /// # Errors
    /// Where the compression does not exist.
    pub fn start(file: NamedTempFile, schema: SchemaRef) -> io::Result<Self> {
        let level = ZstdLevel::try_new(1).map_err(io::Error::other)?;
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
        let work = tokio::task::spawn_blocking(move || encode(file, schema, properties, waiting));
        Ok(Self { batches, work })
    }

    /// Hands over a batch, waiting while the writer is behind.
    ///
    /// # Errors
    /// `false` where the writer has stopped; [`Encoder::finish`] tells why.
    pub async fn write(&self, batch: RecordBatch) -> bool {
        self.batches.send(Message::Batch(batch)).await.is_ok()
    }

    /// Ends the file with its metadata.
    ///
    /// # Errors
    /// What went wrong in writing, now or before.
    pub async fn finish(self, facts: Facts) -> io::Result<NamedTempFile> {
        let facts = facts.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
        // Where the writer has stopped, its own error says more than the failed sending.
        let _ = self.batches.send(Message::Finish(facts)).await;
        drop(self.batches);
        match self.work.await {
            Ok(Ok(Some(staged))) => Ok(staged),
            Ok(Ok(None)) => Err(io::Error::other("the writer ended early")),
            Ok(Err(error)) => Err(root_io(error)),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

fn encode(
    file: NamedTempFile,
    schema: SchemaRef,
    properties: WriterProperties,
    mut waiting: mpsc::Receiver<Message>,
) -> Result<Option<NamedTempFile>, ParquetError> {
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties))?;
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
