//! Parquet files from strangers: what they say of their own size is held against the file and limits before it is believed.
//!
//! A reader makes room for what a footer or a page promises, and some kilobytes of zstd unpack to gigabytes. So the footer
//! is walked over first, then the head of each page: see `pages`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::IntakeError;
use super::limits::InputLimits;
use super::page_headers::{self, Arriving, MAX_PAGE, place};
use super::page_index;
use super::thrift::{Fault, Item, walk};
use crate::panics;

/// Most bytes of a footer.
const MAX_FOOTER: u64 = 64 << 20;

/// Most values of a chunk of a list: one row may have all of them, and a row is read whole.
const MAX_LIST_VALUES: i64 = 1 << 28;

/// Groups inside of one another.
const DEEPEST_SCHEMA: usize = 64;

/// Length of the footer, and `PAR1`.
const TAIL: u64 = 8;

/// What a file ends with.
const MAGIC: &[u8] = b"PAR1";

/// Files that are looked at beside one another.
const AT_ONCE: usize = 8;

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ParquetFault {
    /// The footer is none.
    #[error("its footer makes no sense: {0}")]
    Footer(&'static str),
    /// A page would take too much memory.
    #[error("a page of the column `{0}` takes {1} bytes unpacked, and at most {MAX_PAGE} are taken")]
    Page(String, i64),
    /// A chunk of a list has too many values.
    #[error("a row group has {1} values in the lists of the column `{0}`, and at most {MAX_LIST_VALUES} are taken")]
    Values(String, i64),
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The store does not give it.
    #[error("it cannot be read: {0}")]
    Store(#[from] object_store::Error),
}

impl ParquetFault {
    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Page(..) | Self::Values(..) => {
                "no writer makes files like that by itself: copy the file again in case it was damaged on its way, else \
                 write it anew with smaller pages or row groups"
            }
            Self::Footer(_) => "the file is damaged or was made up: copy it again, or write it anew",
            Self::Io(_) | Self::Store(_) => "look whether the disk or the store is in order, and try again",
        }
    }
}

/// Where the pages of a file are looked at.
#[derive(Clone)]
pub enum Pages {
    /// On the disk, at once.
    OnDisk,
    /// As they arrive from the store of this name.
    Arriving(Arc<Arriving>, String),
}

/// What a file says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Rows.
    pub rows: u64,
    /// Bytes once unpacked.
    pub bytes: u64,
}

/// Refuses Parquet files that promise more than is believed, or have more than is taken.
///
/// What is no Parquet file at all is left to the reader, which says so.
///
/// # Errors
/// Which file it is, and why.
pub async fn check_files(
    store: &Arc<dyn ObjectStore>,
    objects: &[ObjectMeta],
    pages: Pages,
    limits: &InputLimits,
) -> Result<(), IntakeError> {
    let all = stream::iter(objects.to_vec()).map(|object| {
        let (store, pages) = (store.clone(), pages.clone());
        async move { (file(store, &object, pages).await, object) }
    });
    let mut all = std::pin::pin!(all.buffer_unordered(AT_ONCE));
    let mut sum = Told::default();
    while let Some((told, object)) = all.next().await {
        let told = match told {
            Ok(told) => told,
            // What is gone or denied is told by whoever opens it next, in words for that.
            Err(ParquetFault::Io(_) | ParquetFault::Store(_)) => Told::default(),
            Err(fault) => {
                let file = (objects.len() > 1).then(|| object.location.to_string());
                return Err(IntakeError::Parquet { file, fault });
            }
        };
        sum = Told { rows: sum.rows.saturating_add(told.rows), bytes: sum.bytes.saturating_add(told.bytes) };
        limits.admit_rows(sum.rows)?;
        limits.admit_bytes(sum.bytes)?;
    }
    Ok(())
}

async fn file(store: Arc<dyn ObjectStore>, object: &ObjectMeta, pages: Pages) -> Result<Told, ParquetFault> {
    let Some((told, metadata)) = looked_at(&store, object).await? else { return Ok(Told::default()) };
    let object = object.clone();
    let work = tokio::task::spawn_blocking(move || {
        match pages {
            Pages::OnDisk => {
                let path = LocalFileSystem::new().path_to_filesystem(&object.location)?;
                page_headers::of_file(&File::open(path)?, &metadata)?;
            }
            Pages::Arriving(arriving, store) => arriving.watch(&store, &object.location, &metadata),
        }
        Ok(told)
    });
    work.await.map_err(|_| ParquetFault::Footer("it cannot be looked at"))?
}

/// The footer of an object, and the indexes that it leads to, once they were looked at; `None` where the reader will refuse
/// it.
async fn looked_at(
    store: &Arc<dyn ObjectStore>,
    object: &ObjectMeta,
) -> Result<Option<(Told, ParquetMetaData)>, ParquetFault> {
    let Some(end) = object.size.checked_sub(TAIL) else { return Ok(None) };
    let tail = store.get_range(&object.location, end..object.size).await?;
    let Some(place) = footer_place(&tail, end)? else { return Ok(None) };
    let bytes = store.get_range(&object.location, place).await?;
    let size = object.size;
    let broken = |_| ParquetFault::Footer("it cannot be looked at");
    let looked = tokio::task::spawn_blocking(move || footer(&bytes, size)).await.map_err(broken)??;
    let Some((told, metadata)) = looked else { return Ok(None) };
    let Some(place) = page_index::place(&metadata, size)? else { return Ok(Some((told, metadata))) };
    let bytes = store.get_range(&object.location, place.clone()).await?;
    let work = move || page_index::vet(&metadata, size, place, bytes).map(|()| metadata);
    let metadata = tokio::task::spawn_blocking(work).await.map_err(broken)??;
    Ok(Some((told, metadata)))
}

/// What an object says of itself, where only its footer is read; `None` where it is no Parquet file.
///
/// # Errors
/// What no reader should be given, or where it cannot be read.
pub async fn of_object(
    store: &Arc<dyn ObjectStore>,
    object: &ObjectMeta,
) -> Result<Option<ParquetMetaData>, ParquetFault> {
    Ok(looked_at(store, object).await?.map(|(_, metadata)| metadata))
}

/// The same of a file on disk, whose indexes are left alone.
///
/// # Errors
/// What no reader should be given, or where it cannot be read.
pub fn of_file(file: &File) -> Result<Option<ParquetMetaData>, ParquetFault> {
    let size = file.metadata()?.len();
    let Some(end) = size.checked_sub(TAIL) else { return Ok(None) };
    let mut tail = [0; TAIL as usize];
    file.read_exact_at(&mut tail, end)?;
    let Some(place) = footer_place(&tail, end)? else { return Ok(None) };
    let mut bytes = vec![0; usize::try_from(place.end - place.start).unwrap_or(0)];
    file.read_exact_at(&mut bytes, place.start)?;
    Ok(footer(&bytes, size)?.map(|(_, metadata)| metadata))
}

/// Where the footer is that a file's last bytes, which begin at `end`, tell of.
fn footer_place(tail: &[u8], end: u64) -> Result<Option<Range<u64>>, ParquetFault> {
    let Some(length) = footer_length(tail) else { return Ok(None) };
    if length > MAX_FOOTER {
        return Err(ParquetFault::Footer("it is too long"));
    }
    // Some readers take one from the other without looking.
    let start = end.checked_sub(length).ok_or(ParquetFault::Footer("it would be longer than the file"))?;
    Ok(Some(start..end))
}

fn footer_length(tail: &[u8]) -> Option<u64> {
    let (length, magic) = tail.split_first_chunk::<4>()?;
    (magic == MAGIC).then(|| u64::from(u32::from_le_bytes(*length)))
}

/// Looks at a footer; `None` where the reader will refuse it.
///
/// # Errors
/// What no reader should be given.
pub fn footer(bytes: &[u8], size: u64) -> Result<Option<(Told, ParquetMetaData)>, ParquetFault> {
    let mut schema: Vec<i64> = Vec::new();
    let walked = walk(bytes, &mut |path, item| match (path, item) {
        ([2], Item::Struct) => schema.push(0),
        ([2, 5], Item::Int(children)) => schema.last_mut().into_iter().for_each(|last| *last = children),
        _ => {}
    });
    walked.map_err(|fault| match fault {
        Fault::Cut => ParquetFault::Footer("it promises more than there is"),
        Fault::Nonsense => ParquetFault::Footer("it has values of no known sort"),
    })?;
    schema_depth(&schema)?;
    // Some nonsense makes it panic, and some in the Arrow schema that writers leave in it. A schema that is merely refused is
    // the reader's to tell, but it gets to that after the page indexes.
    let decoded = panics::expected(|| {
        let metadata = ParquetMetaDataReader::decode_metadata(bytes)?;
        let file = metadata.file_metadata();
        drop(parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()));
        Ok::<_, ParquetError>(metadata)
    });
    let Some(decoded) = decoded else { return Err(ParquetFault::Footer("it contradicts itself")) };
    let Ok(metadata) = decoded else { return Ok(None) };
    let mut told = Told::default();
    let nowhere = || ParquetFault::Footer("a column lies outside of the file");
    for group in metadata.row_groups() {
        let rows = u64::try_from(group.num_rows()).map_err(|_| ParquetFault::Footer("a negative number of rows"))?;
        told.rows = told.rows.saturating_add(rows);
        for column in group.columns() {
            let (start, length) = place(column).ok_or_else(nowhere)?;
            if start.checked_add(length).is_none_or(|end| end > size) {
                return Err(nowhere());
            }
            let bytes = column.uncompressed_size();
            let bytes = u64::try_from(bytes).map_err(|_| ParquetFault::Footer("a negative number of bytes"))?;
            told.bytes = told.bytes.saturating_add(bytes);
            if column.column_descr().max_rep_level() > 0 && column.num_values() > MAX_LIST_VALUES {
                return Err(ParquetFault::Values(column.column_path().string(), column.num_values()));
            }
        }
    }
    Ok(Some((told, metadata)))
}

/// Refuses schemas whose depth no stack holds, or whose groups promise more fields than there are.
fn schema_depth(children: &[i64]) -> Result<(), ParquetFault> {
    let mut open: Vec<i64> = Vec::new();
    for (at, count) in children.iter().enumerate() {
        if *count < 0 || *count > (children.len() - at - 1) as i64 {
            return Err(ParquetFault::Footer("a group promises more fields than there are"));
        }
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if *count > 0 {
            open.push(*count);
        }
        if open.len() > DEEPEST_SCHEMA {
            return Err(ParquetFault::Footer("its groups lie too deep inside of one another"));
        }
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;

    use super::*;

    pub fn packed_file() -> Vec<u8> {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(["x".repeat(200_000)]));
        let batch = RecordBatch::try_from_iter([("id", texts)]).unwrap();
        let packed = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(packed).set_dictionary_enabled(false).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    pub fn footer_of(bytes: &[u8]) -> &[u8] {
        let length = footer_length(&bytes[bytes.len() - 8..]).unwrap() as usize;
        &bytes[bytes.len() - 8 - length..bytes.len() - 8]
    }

    #[test]
    fn a_file_tells_its_rows_and_bytes() {
        let bytes = packed_file();
        let (told, _) = footer(footer_of(&bytes), bytes.len() as u64).unwrap().unwrap();
        assert!(told.rows == 1 && told.bytes > 200_000 && (bytes.len() as u64) < told.bytes / 10, "{told:?}");
        assert!(matches!(footer(footer_of(&bytes), 10), Err(ParquetFault::Footer(_))), "columns outside of it");
    }

    #[test]
    fn an_arrow_schema_that_makes_the_reader_panic_is_refused() {
        use base64::Engine as _;
        use base64::prelude::BASE64_STANDARD;

        let bytes = packed_file();
        let whole = footer_of(&bytes);
        let key = b"ARROW:schema";
        // Behind the key: the head of its value, its length as a varint of two bytes, and base64.
        let at = whole.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 3;
        let length =
            whole[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)).count();
        let schema = BASE64_STANDARD.decode(&whole[at..at + length]).unwrap();
        let mut refused = 0;
        for (byte, value) in (0..schema.len()).flat_map(|byte| [0, 1, 0x7f, 0xff].map(|value| (byte, value))) {
            let mut schema = schema.clone();
            schema[byte] = value;
            let mut forged = whole.to_vec();
            forged[at..at + length].copy_from_slice(BASE64_STANDARD.encode(schema).as_bytes());
            refused += usize::from(matches!(footer(&forged, bytes.len() as u64), Err(ParquetFault::Footer(_))));
        }
        assert!(refused > 0, "none of them made it panic");
    }

    #[test]
    fn schemas_without_bottom_are_refused() {
        assert!(schema_depth(&[2, 0, 1, 0]).is_ok());
        assert!(schema_depth(&[i64::from(i32::MAX), 0]).is_err() && schema_depth(&[-1]).is_err());
        let mut deep = vec![1; 100_000];
        deep.push(0);
        assert!(schema_depth(&deep).is_err());
        assert!(schema_depth(&[vec![1; 60], vec![0]].concat()).is_ok());
    }

    #[test]
    fn flipped_bits_and_cuts_of_a_footer_are_survived() {
        let bytes = packed_file();
        let whole = footer_of(&bytes);
        for at in 0..whole.len() {
            drop(footer(&whole[..at], bytes.len() as u64));
            for bit in 0..8 {
                let mut flipped = whole.to_vec();
                flipped[at] ^= 1 << bit;
                drop(footer(&flipped, bytes.len() as u64));
            }
        }
    }
}
