//! Batches to a Parquet file, several row groups at a time, on threads of their own.

use std::collections::VecDeque;
use std::{io, mem, thread};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use tempfile::NamedTempFile;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::publish::Facts;
use crate::plan::names::CUSTOMER_ID;

/// Batches that may wait for the writer.
const WAITING: usize = 4;

/// Rows of a row group: few enough that those being encoded take little memory, and that readers can share them out.
const ROW_GROUP: usize = 65_536;

/// Row groups that are encoded at a time, at most.
const AT_A_TIME: usize = 4;

/// Rows that are encoded without looking whether anybody still wants them.
const STRIDE: usize = 8_192;

/// A file being written. Dropping it stops the writing and removes the file.
pub struct Encoder {
    batches: mpsc::Sender<Message>,
    // What waits in the channel would be written all the same.
    wanted: DropGuard,
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
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_created_by(format!("customer-health {}", env!("CARGO_PKG_VERSION")));
        for field in schema.fields() {
            // Ids and scores hardly repeat, so that a dictionary of them would only be built to be given up.
            if field.name() == CUSTOMER_ID || field.data_type().is_floating() {
                properties = properties.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false);
            }
        }
        let properties = properties.build();
        let (batches, waiting) = mpsc::channel(WAITING);
        let given_up = CancellationToken::new();
        let wanted = given_up.clone().drop_guard();
        let work = tokio::task::spawn_blocking(move || encode(file, schema, properties, waiting, given_up));
        Ok(Self { batches, wanted, work })
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
        // Held until then: whoever is dropped in here is given up as well.
        let done = self.work.await;
        drop(self.wanted);
        match done {
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
    given_up: CancellationToken,
) -> Result<Option<NamedTempFile>, ParquetError> {
    let mut groups = RowGroups::new(file, schema, properties, given_up.clone())?;
    while let Some(message) = waiting.blocking_recv() {
        match message {
            _ if given_up.is_cancelled() => break,
            Message::Batch(batch) => groups.add(batch)?,
            Message::Finish(facts) => return groups.finish(facts).map(Some),
        }
    }
    // The run was given up: dropping the writer removes the file.
    Ok(None)
}

/// A row group that is being encoded; it ends with an error that nobody reads once the run is given up.
type Encoding = JoinHandle<Result<Vec<ArrowColumnChunk>, ParquetError>>;

/// Row groups on their way into a file, in the order of their rows. Belongs to a thread that may block.
struct RowGroups {
    file: SerializedFileWriter<NamedTempFile>,
    columns: ArrowRowGroupWriterFactory,
    collected: Vec<RecordBatch>,
    rows: usize,
    encoding: VecDeque<Encoding>,
    started: usize,
    at_a_time: usize,
    given_up: CancellationToken,
}

impl RowGroups {
    fn new(
        file: NamedTempFile,
        schema: SchemaRef,
        properties: WriterProperties,
        given_up: CancellationToken,
    ) -> Result<Self, ParquetError> {
        let (file, columns) = ArrowWriter::try_new(file, schema, Some(properties))?.into_serialized_writer()?;
        let at_a_time = thread::available_parallelism().map_or(1, |processors| processors.get().min(AT_A_TIME));
        let (collected, encoding) = (Vec::new(), VecDeque::new());
        Ok(Self { file, columns, collected, rows: 0, encoding, started: 0, at_a_time, given_up })
    }

    fn add(&mut self, mut batch: RecordBatch) -> Result<(), ParquetError> {
        while self.rows + batch.num_rows() >= ROW_GROUP {
            let fitting = ROW_GROUP - self.rows;
            self.collected.push(batch.slice(0, fitting));
            batch = batch.slice(fitting, batch.num_rows() - fitting);
            self.start()?;
        }
        if batch.num_rows() > 0 {
            self.rows += batch.num_rows();
            self.collected.push(batch);
        }
        Ok(())
    }

    /// Starts to encode what is collected, once there is room for it.
    fn start(&mut self) -> Result<(), ParquetError> {
        if self.encoding.len() == self.at_a_time {
            self.append_first()?;
        }
        let writers = self.columns.create_column_writers(self.started)?;
        let batches = mem::take(&mut self.collected);
        let given_up = self.given_up.clone();
        self.rows = 0;
        self.started += 1;
        self.encoding.push_back(tokio::task::spawn_blocking(move || encode_group(writers, &batches, &given_up)));
        Ok(())
    }

    /// Waits for the first row group and writes it.
    fn append_first(&mut self) -> Result<(), ParquetError> {
        let Some(encoding) = self.encoding.pop_front() else { return Ok(()) };
        let chunks =
            Handle::current().block_on(encoding).map_err(|error| ParquetError::External(Box::new(error)))??;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }

    fn finish(mut self, facts: Vec<KeyValue>) -> Result<NamedTempFile, ParquetError> {
        if self.rows > 0 {
            self.start()?;
        }
        while !self.encoding.is_empty() {
            self.append_first()?;
        }
        facts.into_iter().for_each(|fact| self.file.append_key_value_metadata(fact));
        self.file.into_inner()
    }
}

fn encode_group(
    mut writers: Vec<ArrowColumnWriter>,
    batches: &[RecordBatch],
    given_up: &CancellationToken,
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let strides = batches.iter().flat_map(|batch| {
        let starts = (0..batch.num_rows()).step_by(STRIDE);
        starts.map(|at| batch.slice(at, STRIDE.min(batch.num_rows() - at)))
    });
    for batch in strides {
        if given_up.is_cancelled() {
            return Err(ParquetError::General("the run was given up".to_owned()));
        }
        let schema = batch.schema();
        let mut columns = writers.iter_mut();
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            for (leaf, column) in compute_leaves(field, array)?.iter().zip(&mut columns) {
                column.write(leaf)?;
            }
        }
    }
    writers.into_iter().map(ArrowColumnWriter::close).collect()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{AsArray, Int64Array};
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_keep_their_order_over_row_groups() -> Result<(), Box<dyn std::error::Error>> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let encoder = Encoder::start(NamedTempFile::new()?, schema.clone())?;
        // Batches that end where no row group does, and one of several row groups.
        let mut rows = 0;
        for size in [1, 40_000, 0, 40_000, 300_000, 7] {
            let numbers = Int64Array::from_iter_values(rows..rows + size);
            assert!(encoder.write(RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers)])?).await);
            rows += size;
        }
        let file = encoder.finish(vec![("fact", "told".to_owned())]).await?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen()?)?;
        let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        assert_eq!(groups, [65_536, 65_536, 65_536, 65_536, 65_536, 52_328]);
        let facts = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        assert!(facts.contains(&KeyValue::new("fact".to_owned(), "told".to_owned())));
        let mut read = Vec::new();
        for batch in reader.build()? {
            read.extend_from_slice(batch?.column(0).as_primitive::<Int64Type>().values());
        }
        assert_eq!(read, (0..rows).collect::<Vec<_>>());
        Ok(())
    }
}
