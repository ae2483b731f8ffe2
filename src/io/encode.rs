//! Batches to a Parquet file, several row groups at a time, on threads of their own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::{io, mem, thread};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, RowGroupMetaDataPtr};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use tempfile::NamedTempFile;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::output::Facts;
use super::write_behind::WriteBehind;
use crate::plan::names::CUSTOMER_ID;

/// Batches that may wait for the writer.
const WAITING: usize = 4;

/// Rows of a row group: few enough that those being encoded take little memory, and that readers can share them out.
const ROW_GROUP: usize = 65_536;

/// Row groups that are encoded at a time, at most. What the first one tells of its columns is known to those behind so many.
const AT_A_TIME: usize = 4;

/// Tenths of its size that a column has to be packed into, for packing it to be worth the time.
const PACKED: i64 = 9;

/// Bytes of a row group's column that tell something about it. One that has a single value takes less.
const TELLING: i64 = 64 << 10;

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
    /// Starts to write a file; to disk as it goes where it is to stay there.
    ///
    /// # Errors
    /// Where the compression does not exist, or the file cannot be opened again.
    pub fn start(file: NamedTempFile, schema: SchemaRef, stays: bool) -> io::Result<Self> {
        let ahead = if stays { Some(WriteBehind::of(file.as_file())?) } else { None };
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
        let work = tokio::task::spawn_blocking(move || {
            let groups = RowGroups::new(file, schema, properties, given_up.clone(), ahead)?;
            encode(groups, waiting, &given_up)
        });
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
    mut groups: RowGroups,
    mut waiting: mpsc::Receiver<Message>,
    given_up: &CancellationToken,
) -> Result<Option<NamedTempFile>, ParquetError> {
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
    schema: SchemaRef,
    columns: ArrowRowGroupWriterFactory,
    first: Option<RowGroupMetaDataPtr>,
    collected: Vec<RecordBatch>,
    rows: usize,
    encoding: VecDeque<Encoding>,
    started: usize,
    at_a_time: usize,
    given_up: CancellationToken,
    ahead: Option<WriteBehind>,
}

impl RowGroups {
    fn new(
        file: NamedTempFile,
        schema: SchemaRef,
        properties: WriterProperties,
        given_up: CancellationToken,
        ahead: Option<WriteBehind>,
    ) -> Result<Self, ParquetError> {
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
        let (file, columns) = writer.into_serialized_writer()?;
        let at_a_time = thread::available_parallelism().map_or(1, |processors| processors.get().min(AT_A_TIME));
        let (collected, encoding) = (Vec::new(), VecDeque::new());
        let (first, rows, started) = (None, 0, 0);
        Ok(Self { file, schema, columns, first, collected, rows, encoding, started, at_a_time, given_up, ahead })
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
        if self.started == AT_A_TIME {
            self.leave_hard_columns()?;
        }
        let writers = self.columns.create_column_writers(self.started)?;
        let batches = mem::take(&mut self.collected);
        let given_up = self.given_up.clone();
        self.rows = 0;
        self.started += 1;
        self.encoding.push_back(tokio::task::spawn_blocking(move || encode_group(writers, &batches, &given_up)));
        Ok(())
    }

    /// From here on, columns that were hardly smaller when the first row group was packed are not packed.
    fn leave_hard_columns(&mut self) -> Result<(), ParquetError> {
        let Some(first) = &self.first else { return Ok(()) };
        let is_hard = |column: &&ColumnChunkMetaData| {
            let (packed, size) = (column.compressed_size(), column.uncompressed_size());
            size >= TELLING && packed * 10 > size * PACKED
        };
        let mut properties = self.file.properties().as_ref().clone().into_builder();
        for column in first.columns().iter().filter(is_hard) {
            properties = properties.set_column_compression(column.column_path().clone(), Compression::UNCOMPRESSED);
        }
        // The writers of columns come from a file's writer; this one's file is of no use.
        let schema = self.file.schema_descr().root_schema_ptr();
        let writer = SerializedFileWriter::new(io::sink(), schema, Arc::new(properties.build()))?;
        self.columns = ArrowRowGroupWriterFactory::new(&writer, self.schema.clone());
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
        let closed = group.close()?;
        self.first.get_or_insert(closed);
        if let Some(ahead) = &mut self.ahead {
            ahead.so_far(self.file.bytes_written() as u64)?;
        }
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
        let file = self.file.into_inner()?;
        if let Some(ahead) = &mut self.ahead {
            ahead.wait()?;
        }
        Ok(file)
    }
}

/// Column after column, so that only one has its page and its compressor's tables in memory.
fn encode_group(
    writers: Vec<ArrowColumnWriter>,
    batches: &[RecordBatch],
    given_up: &CancellationToken,
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let mut writers = writers.into_iter();
    let mut chunks = Vec::with_capacity(writers.len());
    let columns = batches.first().map_or(0, RecordBatch::num_columns);
    for at in 0..columns {
        let mut leaves = Vec::new();
        let strides = batches.iter().flat_map(|batch| {
            let (field, array) = (batch.schema_ref().field(at), batch.column(at));
            let starts = (0..array.len()).step_by(STRIDE);
            starts.map(move |start| (field, array.slice(start, STRIDE.min(array.len() - start))))
        });
        for (field, stride) in strides {
            if given_up.is_cancelled() {
                return Err(ParquetError::General("the run was given up".to_owned()));
            }
            let stride = compute_leaves(field, &stride)?;
            if leaves.is_empty() {
                leaves.extend(writers.by_ref().take(stride.len()));
            }
            for (leaf, writer) in stride.iter().zip(&mut leaves) {
                writer.write(leaf)?;
            }
        }
        for writer in leaves {
            chunks.push(writer.close()?);
        }
    }
    Ok(chunks)
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
    use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
    use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_keep_their_order_over_row_groups() -> Result<(), Box<dyn std::error::Error>> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let encoder = Encoder::start(NamedTempFile::new()?, schema.clone(), true)?;
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

    #[tokio::test(flavor = "multi_thread")]
    async fn columns_that_cannot_be_packed_are_left_as_they_are_from_the_fifth_row_group_on()
    -> Result<(), Box<dyn std::error::Error>> {
        let fields = ["noise", "steps"].map(|name| Field::new(name, DataType::Float64, false));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let encoder = Encoder::start(NamedTempFile::new()?, schema.clone(), true)?;
        let noise = |row: u64| (row.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) as f64 * 1e-9;
        let step = |row: u64| (row / 10) as f64;
        for start in (0..400_000_u64).step_by(50_000) {
            let rows = start..start + 50_000;
            let columns: Vec<ArrayRef> = vec![
                Arc::new(Float64Array::from_iter_values(rows.clone().map(noise))),
                Arc::new(Float64Array::from_iter_values(rows.map(step))),
            ];
            assert!(encoder.write(RecordBatch::try_new(schema.clone(), columns)?).await);
        }
        let file = encoder.finish(Vec::new()).await?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen()?)?;
        let groups = reader.metadata().row_groups();
        let packed: Vec<[bool; 2]> = groups
            .iter()
            .map(|group| [0, 1].map(|column| group.column(column).compression() != Compression::UNCOMPRESSED))
            .collect();
        assert_eq!(
            packed,
            [[true, true], [true, true], [true, true], [true, true], [false, true], [false, true], [false, true]]
        );
        let mut row = 0_u64;
        for batch in reader.build()? {
            let batch = batch?;
            let column = |at: usize| batch.column(at).as_primitive::<Float64Type>().values();
            for values in column(0).iter().zip(column(1)) {
                assert_eq!(values, (&noise(row), &step(row)));
                row += 1;
            }
        }
        assert_eq!(row, 400_000);
        Ok(())
    }
}
