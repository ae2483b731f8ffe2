//! Arrow IPC files from strangers: what a footer says of its batches is held against the file before a reader makes room
//! for it.
//!
//! DataFusion reads the stream format under the same name, so that a file that does not begin as the file format does is
//! looked at as a stream.

use std::io::{Read, Seek, SeekFrom};

use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::{Block, Footer, root_as_footer, root_as_message};

use super::ipc::{MAX_METADATA, StreamFault, check_buffers, check_stream};
use crate::panics;

/// What the file format begins and ends with.
const MAGIC: &[u8; 6] = b"ARROW1";

/// Length of the footer, and [`MAGIC`].
const TAIL: u64 = 10;

/// Longest footer: a batch takes 24 bytes of it, a column some hundred.
const MAX_FOOTER: u64 = 64 << 20;

/// Most bytes that the buffers of one batch may promise to unpack to. Writers put whole tables into one batch.
const MAX_UNPACKED: u64 = 4 << 30;

/// Bytes before a message: the mark of a continuation and its size, or in old files the size alone.
const PREFIXES: [usize; 2] = [8, 4];

/// Why an Arrow IPC file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ArrowFault {
    /// The end of the file is none, or describes another file.
    #[error("its footer makes no sense: {0}")]
    Footer(String),
    /// A batch is not what the footer says, or reaches beyond its place.
    #[error("{0}")]
    Batch(StreamFault),
    /// It is a stream, and that makes no sense.
    #[error("read as a stream of Arrow: {0}")]
    Stream(StreamFault),
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

impl ArrowFault {
    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Batch(StreamFault::TooLarge(..)) => "write the table in smaller batches, or as Parquet",
            Self::Io(_) => "look whether the disk or the store is in order, and try again",
            Self::Footer(_) | Self::Batch(..) | Self::Stream(_) => {
                "the file is damaged or was made up: copy it again, or write it anew"
            }
        }
    }
}

/// Looks at all that makes a reader of an Arrow IPC file allocate or seek, without decoding it.
///
/// # Errors
/// What does not fit the file.
pub fn check_file<R: Read + Seek>(reader: &mut R) -> Result<(), ArrowFault> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.rewind()?;
    let mut magic = [0; MAGIC.len()];
    if length < MAGIC.len() as u64 + 2 + TAIL || reader.read_exact(&mut magic).is_err() || magic != *MAGIC {
        reader.rewind()?;
        return check_stream(reader).map_err(ArrowFault::Stream);
    }
    let wrong = |what: &str| ArrowFault::Footer(what.to_owned());
    reader.seek(SeekFrom::Start(length - TAIL))?;
    let mut tail = [0; TAIL as usize];
    reader.read_exact(&mut tail)?;
    let (size, end) = tail.split_at(4);
    if end != MAGIC {
        return Err(wrong("the file is cut off"));
    }
    let size = size.try_into().map(i32::from_le_bytes).ok().and_then(|size| u64::try_from(size).ok());
    let size =
        size.filter(|size| *size > 0 && *size <= MAX_FOOTER).ok_or_else(|| wrong("its length is out of range"))?;
    let start = (length - TAIL).checked_sub(size).ok_or_else(|| wrong("it is longer than the file"))?;
    reader.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    reader.by_ref().take(size).read_to_end(&mut bytes)?;
    let footer = root_as_footer(&bytes).map_err(|error| ArrowFault::Footer(error.to_string()))?;
    check_schema(&footer)?;
    let blocks = footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten());
    for (at, block) in blocks.enumerate() {
        check_block(block, at + 1, start, reader)?;
    }
    Ok(())
}

/// Refuses a schema that the decoder panics on, such as one with a column of no type.
fn check_schema(footer: &Footer<'_>) -> Result<(), ArrowFault> {
    let schema = footer.schema().ok_or_else(|| ArrowFault::Footer("it has no schema".to_owned()))?;
    match panics::expected(|| drop(fb_to_schema(schema))) {
        Some(()) => Ok(()),
        None => Err(ArrowFault::Footer("it has a column of a type that there is not".to_owned())),
    }
}

/// Looks at the message of a batch, which lies before the footer.
fn check_block<R: Read + Seek>(block: &Block, at: usize, footer: u64, reader: &mut R) -> Result<(), ArrowFault> {
    let wrong = |what: &str| ArrowFault::Batch(StreamFault::Malformed(at, what.to_owned()));
    let (offset, metadata, body) =
        (u64::try_from(block.offset()), u64::try_from(block.metaDataLength()), u64::try_from(block.bodyLength()));
    let (Ok(offset), Ok(metadata), Ok(body)) = (offset, metadata, body) else {
        return Err(wrong("a length below zero"));
    };
    if metadata > MAX_METADATA {
        return Err(wrong("a description that is far too long"));
    }
    let start = offset.checked_add(metadata).filter(|start| *start <= footer);
    let end = start.and_then(|start| start.checked_add(body)).filter(|end| *end <= footer);
    let (Some(start), Some(end)) = (start, end) else { return Err(wrong("it reaches beyond the file")) };
    reader.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    reader.by_ref().take(metadata).read_to_end(&mut bytes)?;
    let message = PREFIXES.into_iter().find_map(|prefix| root_as_message(bytes.get(prefix..)?).ok());
    let message = message.ok_or_else(|| wrong("its description makes no sense"))?;
    check_buffers(&message, at, start..end, MAX_UNPACKED, reader).map_err(ArrowFault::Batch)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Float64Array, RecordBatch, StringArray};
    use arrow::datatypes::Int32Type;
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

    use super::*;

    fn batch() -> RecordBatch {
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]));
        let plans: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter(["x", "y", "x"]));
        RecordBatch::try_from_iter([("customer_id", ids), ("mrr", numbers), ("plan", plans)]).unwrap()
    }

    fn file(compression: Option<CompressionType>) -> Vec<u8> {
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch().schema(), options).unwrap();
        writer.write(&batch()).unwrap();
        writer.into_inner().unwrap()
    }

    fn check(bytes: &[u8]) -> Result<(), String> {
        check_file(&mut Cursor::new(bytes)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn files_of_all_kinds_of_writers_pass() {
        for compression in [None, Some(CompressionType::ZSTD), Some(CompressionType::LZ4_FRAME)] {
            check(&file(compression)).unwrap();
        }
        let mut stream = StreamWriter::try_new(Vec::new(), &batch().schema()).unwrap();
        stream.write(&batch()).unwrap();
        check(&stream.into_inner().unwrap()).unwrap();
    }

    #[test]
    fn no_byte_of_a_footer_makes_a_reader_take_what_the_file_has_not() {
        let whole = file(Some(CompressionType::ZSTD));
        let length = i32::from_le_bytes(whole[whole.len() - 10..whole.len() - 6].try_into().unwrap());
        let start = whole.len() - 10 - usize::try_from(length).unwrap();
        let mut refused = 0;
        for at in start..whole.len() {
            for byte in [0x00, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                refused += u32::from(check(&changed).is_err());
            }
        }
        assert!(refused > 100, "{refused}");
        for cut in 0..whole.len() {
            assert!(check(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_batch_that_reaches_beyond_the_file_is_refused() {
        let mut whole = file(None);
        let footer = whole.len() - 10;
        // The lengths of a block stand as they are; the last one that is found is the body of the record batch.
        let body = {
            let length = i32::from_le_bytes(whole[footer..footer + 4].try_into().unwrap());
            let bytes = &whole[footer - usize::try_from(length).unwrap()..footer];
            root_as_footer(bytes).unwrap().recordBatches().unwrap().get(0).bodyLength()
        };
        let at = whole[..footer].windows(8).rposition(|bytes| bytes == body.to_le_bytes()).unwrap();
        whole[at..at + 8].copy_from_slice(&(1_i64 << 45).to_le_bytes());
        let told = check(&whole).unwrap_err();
        assert!(told.contains("beyond the file"), "{told}");
    }
}
