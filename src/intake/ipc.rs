//! Arrow IPC streams from strangers: looked at before anything is allocated for them, then decoded and written down anew.
//!
//! A message says of itself how much memory its buffers take once decompressed, and the decoder believes it; so the sizes
//! are held against the file and a limit first.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::FileWriter;
use arrow::ipc::{CompressionType, Message, RecordBatch, root_as_message};

use crate::panics;

/// Longest description of a message. One column takes some hundred bytes.
pub const MAX_METADATA: u64 = 16 << 20;

/// Most bytes of one record batch, once decompressed.
const MAX_BATCH: u64 = 1 << 30;

/// LZ4 shrinks to 1/255 at best, and its decoder does not stop at the size that was promised.
const LZ4_RATIO: u64 = 255;

/// What messages begin with since Arrow 0.15.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Bytes of the size before a compressed buffer.
const SIZE_PREFIX: u64 = 8;

/// Why a stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StreamFault {
    /// It ends in mid-message, or is none.
    #[error("message {0}: {1}")]
    Malformed(usize, String),
    /// A record batch takes too much memory.
    #[error("message {0}: a batch of {1} bytes, and at most {2} are taken; send smaller batches")]
    TooLarge(usize, u64, u64),
    /// An LZ4 buffer could take too much memory.
    #[error(
        "message {0}: an LZ4 buffer of {1} bytes could grow beyond {MAX_BATCH}; send smaller batches, or compress with zstd"
    )]
    Lz4(usize, u64),
    /// It has too many rows.
    #[error("it has more than {0} rows; split the input, or have the operator raise the limit with --max-rows")]
    Rows(u64),
    /// There is no room for it.
    #[error("there is no room for what it takes unpacked")]
    NoRoom,
    /// The decoder gave up on it.
    #[error("its messages make no sense")]
    Nonsense,
    /// It could not be decoded.
    #[error("{0}")]
    Arrow(ArrowError),
    /// It could not be read, or not be written down.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<ArrowError> for StreamFault {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, io) if io.kind() == io::ErrorKind::QuotaExceeded => Self::NoRoom,
            ArrowError::IoError(_, io) if io.raw_os_error().is_some() => Self::Io(io),
            other => Self::Arrow(other),
        }
    }
}

/// Is asked for room for so many more bytes, and says whether there is.
pub type TakeRoom = Arc<dyn Fn(u64) -> bool + Send + Sync>;

/// How much of a stream is taken in.
pub struct Intake {
    /// Rows.
    pub rows: u64,
    /// Room on the disk.
    pub take: TakeRoom,
}

/// A file that grows as long as there is room.
struct Metered<'a> {
    file: File,
    intake: &'a Intake,
}

impl Write for Metered<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !(self.intake.take)(bytes.len() as u64) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Checks a stream and writes it down as an Arrow IPC file, which can be read in parallel. Gives the number of rows.
///
/// # Errors
/// What is wrong with the stream, or with the disk.
pub fn rewrite(stream: &Path, file: File, intake: &Intake) -> Result<u64, StreamFault> {
    check_stream(&mut BufReader::new(File::open(stream)?))?;
    // The decoder panics on some nonsense, such as an integer of seven bits.
    panics::expected(|| decode(stream, file, intake)).unwrap_or(Err(StreamFault::Nonsense))
}

fn decode(stream: &Path, file: File, intake: &Intake) -> Result<u64, StreamFault> {
    let reader = StreamReader::try_new(BufReader::new(File::open(stream)?), None)?;
    let mut writer = FileWriter::try_new_buffered(Metered { file, intake }, &reader.schema())?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if rows > intake.rows {
            return Err(StreamFault::Rows(intake.rows));
        }
        writer.write(&batch)?;
    }
    writer.finish()?;
    Ok(rows)
}

/// Looks at each message of a stream without decoding it.
///
/// # Errors
/// What is wrong with the stream.
pub fn check_stream<R: Read + Seek>(reader: &mut R) -> Result<(), StreamFault> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.rewind()?;
    for number in 1.. {
        let malformed = |what: &str| StreamFault::Malformed(number, what.to_owned());
        let at = reader.stream_position()?;
        if at == length {
            return if number == 1 { Err(malformed("the stream is empty")) } else { Ok(()) };
        }
        let cut = || malformed("the stream ends in mid-message");
        let mut word = [0; 4];
        reader.read_exact(&mut word).map_err(|_| cut())?;
        if word == CONTINUATION {
            reader.read_exact(&mut word).map_err(|_| cut())?;
        }
        let size = u64::try_from(i32::from_le_bytes(word)).map_err(|_| malformed("not an Arrow IPC stream"))?;
        if size == 0 {
            return Ok(());
        }
        if size > MAX_METADATA {
            return Err(malformed("not an Arrow IPC stream, or one whose schema is far too large"));
        }
        if reader.stream_position()? + size > length {
            return Err(cut());
        }
        let mut metadata = Vec::new();
        reader.by_ref().take(size).read_to_end(&mut metadata)?;
        let message =
            root_as_message(&metadata).map_err(|error| malformed(&format!("not an Arrow IPC stream: {error}")))?;
        let body = u64::try_from(message.bodyLength()).map_err(|_| malformed("a body of negative length"))?;
        let start = reader.stream_position()?;
        let end = start.checked_add(body).filter(|end| *end <= length).ok_or_else(cut)?;
        if body > MAX_BATCH {
            return Err(StreamFault::TooLarge(number, body, MAX_BATCH));
        }
        if let Some(schema) = message.header_as_schema()
            && panics::expected(|| drop(fb_to_schema(schema))).is_none()
        {
            return Err(StreamFault::Nonsense);
        }
        check_lz4(&message, number)?;
        check_buffers(&message, number, start..end, MAX_BATCH, reader)?;
        reader.seek(SeekFrom::Start(end))?;
    }
    Ok(())
}

/// The batch that a message has in it, of rows or of a dictionary.
fn batch_of<'a>(message: &Message<'a>) -> Option<RecordBatch<'a>> {
    let dictionary = message.header_as_dictionary_batch().and_then(|batch| batch.data());
    message.header_as_record_batch().or(dictionary)
}

/// Refuses LZ4 buffers that could grow beyond what is taken: the decoder does not stop at the size that is promised.
fn check_lz4(message: &Message<'_>, number: usize) -> Result<(), StreamFault> {
    let Some(batch) = batch_of(message) else { return Ok(()) };
    if batch.compression().map(|compression| compression.codec()) != Some(CompressionType::LZ4_FRAME) {
        return Ok(());
    }
    for buffer in batch.buffers().into_iter().flatten() {
        let size = u64::try_from(buffer.length()).unwrap_or(0);
        if size >= SIZE_PREFIX && size.saturating_mul(LZ4_RATIO) > MAX_BATCH {
            return Err(StreamFault::Lz4(number, size));
        }
    }
    Ok(())
}

/// Refuses a batch whose buffers lie outside of its body, in bytes of the file, or promise more than `most` bytes unpacked.
///
/// # Errors
/// Which of it is so.
pub fn check_buffers<R: Read + Seek>(
    message: &Message<'_>,
    number: usize,
    body: Range<u64>,
    most: u64,
    reader: &mut R,
) -> Result<(), StreamFault> {
    let Some(batch) = batch_of(message) else { return Ok(()) };
    let (start, end) = (body.start, body.end);
    let compression = batch.compression();
    let mut total = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let malformed = || StreamFault::Malformed(number, "a buffer that lies outside of its message".to_owned());
        let (offset, size) = (u64::try_from(buffer.offset()), u64::try_from(buffer.length()));
        let (Ok(offset), Ok(size)) = (offset, size) else { return Err(malformed()) };
        let from = start.checked_add(offset).ok_or_else(malformed)?;
        if from.checked_add(size).is_none_or(|to| to > end) {
            return Err(malformed());
        }
        let mut unpacked = size;
        if compression.is_some() && size >= SIZE_PREFIX {
            reader.seek(SeekFrom::Start(from))?;
            let mut promised = [0; SIZE_PREFIX as usize];
            reader.read_exact(&mut promised)?;
            // A negative size says that the buffer is not compressed after all.
            if let Ok(promised) = u64::try_from(i64::from_le_bytes(promised)) {
                unpacked = promised;
            }
        }
        total = total.saturating_add(unpacked);
        if compression.is_some() && total > most {
            return Err(StreamFault::TooLarge(number, total, most));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::atomic::{AtomicU64, Ordering};

    use arrow::array::{DictionaryArray, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::Int32Type;
    use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

    use super::*;

    fn batch() -> RecordBatch {
        let ids: Int64Array = (0..5_000).collect();
        let texts: StringArray = (0..5_000).map(|at| Some(format!("customer {at}"))).collect();
        let kinds: DictionaryArray<Int32Type> = (0..5_000).map(|at| ["a", "b"][at % 2]).collect();
        let columns: [(&str, arrow::array::ArrayRef); 3] =
            [("id", Arc::new(ids)), ("text", Arc::new(texts)), ("kind", Arc::new(kinds))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn stream(compression: Option<CompressionType>) -> Vec<u8> {
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch().schema(), options).unwrap();
        writer.write(&batch()).unwrap();
        writer.write(&batch()).unwrap();
        writer.finish().unwrap();
        writer.into_inner().unwrap()
    }

    fn rewritten(bytes: &[u8]) -> Result<u64, StreamFault> {
        rewritten_within(bytes, u64::MAX, u64::MAX)
    }

    fn rewritten_within(bytes: &[u8], rows: u64, room: u64) -> Result<u64, StreamFault> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let taken = AtomicU64::new(0);
        let take = move |bytes| taken.fetch_add(bytes, Ordering::Relaxed) + bytes <= room;
        rewrite(file.path(), tempfile::tempfile().unwrap(), &Intake { rows, take: Arc::new(take) })
    }

    #[test]
    fn a_stream_is_taken_in_as_far_as_there_is_room() {
        let packed = stream(Some(CompressionType::ZSTD));
        assert!(matches!(rewritten_within(&packed, 9_999, u64::MAX), Err(StreamFault::Rows(9_999))));
        let sent = packed.len() as u64;
        assert!(matches!(rewritten_within(&packed, 10_000, sent), Err(StreamFault::NoRoom)), "it grows");
        assert_eq!(rewritten_within(&packed, 10_000, 1 << 20).unwrap(), 10_000);
    }

    #[test]
    fn streams_with_and_without_compression_are_taken() {
        for compression in [None, Some(CompressionType::ZSTD), Some(CompressionType::LZ4_FRAME)] {
            assert_eq!(rewritten(&stream(compression)).unwrap(), 10_000);
        }
        let whole = stream(None);
        // The mark at the end is eight bytes; streams without it are common.
        assert_eq!(rewritten(&whole[..whole.len() - 8]).unwrap(), 10_000);
    }

    #[test]
    fn a_cut_stream_is_refused_wherever_it_is_cut() {
        let whole = stream(Some(CompressionType::ZSTD));
        let boundary = whole.len() - 8;
        for at in (0..whole.len()).step_by(97).chain([boundary - 1, boundary + 3, boundary + 7]) {
            // Between messages a stream may end; the caller's own end mark tells that it should not have.
            if check_stream(&mut Cursor::new(&whole[..at])).is_ok() {
                assert!(rewritten(&whole[..at]).is_ok_and(|rows| rows < 10_000), "{at}");
            }
        }
        assert!(rewritten(&whole[..boundary - 1]).is_err());
        assert!(matches!(rewritten(b""), Err(StreamFault::Malformed(1, _))));
        assert!(matches!(rewritten(b"PAR1 is no stream"), Err(StreamFault::Malformed(1, _))));
    }

    #[test]
    fn a_buffer_that_promises_too_much_is_refused_before_it_is_decoded() {
        let mut bytes = stream(Some(CompressionType::ZSTD));
        // The size before a buffer of 5,000 numbers of eight bytes.
        let promised = 40_000_i64.to_le_bytes();
        let at = bytes.windows(8).position(|window| window == promised).unwrap();
        bytes[at..at + 8].copy_from_slice(&(1_i64 << 50).to_le_bytes());
        assert!(matches!(rewritten(&bytes), Err(StreamFault::TooLarge(..))));
    }

    #[test]
    fn flipped_bits_are_survived() {
        let whole = stream(Some(CompressionType::LZ4_FRAME));
        for at in (0..whole.len()).step_by(61) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            drop(rewritten(&bytes));
        }
    }
}
