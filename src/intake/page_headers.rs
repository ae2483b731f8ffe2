//! Heads of Parquet pages: what a page promises to unpack to is looked at before anything unpacks it.
//!
//! Of a local file all heads are read when it is opened. What lies in a store is not read twice for that: whole chunks of
//! columns come from there anyway, and are looked at as they arrive, before the decoder has them.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::parquet_footer::ParquetFault;
use super::thrift::{Fault, Item, walk};

/// Most bytes of a page once unpacked: writers aim at 1 MiB, and some put a whole column into one.
pub const MAX_PAGE: i64 = 512 << 20;

/// Bytes read for a page's head at first, and at most; statistics make it long.
const HEAD: [usize; 3] = [256, 16 << 10, 1 << 20];

/// Copies bytes from an offset on, as far as there are any, and tells how many.
type Read<'a> = &'a mut dyn FnMut(&mut [u8], u64) -> io::Result<usize>;

/// Where a reader begins with a column's pages, and how many bytes it takes; `None` where they are negative.
pub fn place(column: &ColumnChunkMetaData) -> Option<(u64, u64)> {
    // The reader's own choice, whichever of the two lies first: it would not see what another walk sees.
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    Some((u64::try_from(start).ok()?, u64::try_from(column.compressed_size()).ok()?))
}

/// The chunks of a file whose pages are packed, and the number of the column.
fn packed(metadata: &ParquetMetaData) -> impl Iterator<Item = (Range<u64>, usize)> {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns().iter().enumerate());
    let columns = columns.filter(|(_, column)| column.compression() != Compression::UNCOMPRESSED);
    columns.filter_map(|(at, column)| place(column).map(|(start, length)| (start..start.saturating_add(length), at)))
}

/// Looks at the pages of a file on disk.
///
/// # Errors
/// Where one would take too much memory, or the file cannot be read.
pub fn of_file(file: &File, metadata: &ParquetMetaData) -> Result<(), ParquetFault> {
    let mut read = |buffer: &mut [u8], at: u64| {
        let mut read = 0;
        while read < buffer.len() {
            match file.read_at(&mut buffer[read..], at + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        Ok(read)
    };
    packed(metadata).try_for_each(|(range, column)| chunk(&mut read, range, &name(metadata, column)))
}

fn name(metadata: &ParquetMetaData, column: usize) -> String {
    metadata.file_metadata().schema_descr().column(column).path().string()
}

/// Looks at the heads of a chunk's pages.
fn chunk(read: Read<'_>, range: Range<u64>, column: &str) -> Result<(), ParquetFault> {
    let mut at = range.start;
    while at < range.end {
        // A head that makes no sense is where the reader stops too, and says so.
        let Some(head) = head(read, at, range.end)? else { break };
        if head.unpacked > MAX_PAGE {
            return Err(ParquetFault::Page(column.to_owned(), head.unpacked));
        }
        let Some(packed) = u64::try_from(head.packed).ok() else { break };
        at = at.saturating_add(head.length).saturating_add(packed);
    }
    Ok(())
}

struct Head {
    length: u64,
    unpacked: i64,
    packed: i64,
}

fn head(read: Read<'_>, at: u64, end: u64) -> io::Result<Option<Head>> {
    let mut buffer = Vec::new();
    for most in HEAD {
        let room = usize::try_from(end - at).unwrap_or(usize::MAX).min(most);
        buffer.resize(room, 0);
        let read = read(&mut buffer, at)?;
        let (mut unpacked, mut packed) = (0, 0);
        let walked = walk(&buffer[..read], &mut |path, item| match (path, item) {
            ([2], Item::Int(bytes)) => unpacked = bytes,
            ([3], Item::Int(bytes)) => packed = bytes,
            _ => {}
        });
        match walked {
            Ok(length) => return Ok(Some(Head { length: length as u64, unpacked, packed })),
            Err(Fault::Cut) if room == most => {}
            Err(_) => break,
        }
    }
    Ok(None)
}

/// The packed chunks of the files that a run reads from stores.
#[derive(Debug, Default)]
pub struct Arriving(Mutex<HashMap<(String, Path), Arc<Chunks>>>);

/// Those of one file.
#[derive(Debug)]
struct Chunks {
    columns: HashMap<Range<u64>, usize>,
    names: Vec<String>,
}

impl Arriving {
    /// Watches a file from now on.
    pub fn watch(&self, store: &str, file: &Path, metadata: &ParquetMetaData) {
        let columns: HashMap<_, _> = packed(metadata).collect();
        let names = (0..metadata.file_metadata().schema_descr().num_columns()).map(|at| name(metadata, at)).collect();
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert((store.to_owned(), file.clone()), Arc::new(Chunks { columns, names }));
    }

    /// Looks at what has arrived of a file, where these are packed chunks of it.
    ///
    /// # Errors
    /// Where a page would take too much memory.
    pub fn admit<'a>(
        &self,
        store: &str,
        file: &Path,
        arrived: impl Iterator<Item = (&'a Range<u64>, &'a [u8])>,
    ) -> Result<(), ParquetFault> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(chunks) = files.get(&(store.to_owned(), file.clone())).cloned() else { return Ok(()) };
        drop(files);
        for (range, bytes) in arrived {
            let Some(column) = chunks.columns.get(range) else { continue };
            let mut read = |buffer: &mut [u8], at: u64| {
                let from = usize::try_from(at - range.start).ok().and_then(|from| bytes.get(from..));
                let from = from.unwrap_or_default();
                let length = from.len().min(buffer.len());
                buffer[..length].copy_from_slice(&from[..length]);
                Ok(length)
            };
            let name = chunks.names.get(*column).map_or("?", String::as_str);
            chunk(&mut read, range.clone(), name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::intake::parquet_footer::footer;
    use crate::intake::parquet_footer::tests::*;

    /// A file whose page promises 2 GiB, with its metadata.
    fn forged() -> (Vec<u8>, ParquetMetaData) {
        let mut bytes = packed_file();
        let (_, metadata) = footer(footer_of(&bytes), bytes.len() as u64).unwrap().unwrap();
        // In the head of the page: field 2, an i32 of 200,004 (the text behind its length), as a zigzag varint.
        let size = [0x15, 0x88, 0xb5, 0x18];
        let at = bytes.windows(4).position(|window| window == size).unwrap();
        bytes.splice(at..at + 4, [0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f]);
        (bytes, metadata)
    }

    fn on_disk(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_page_that_promises_too_much_is_refused() {
        let honest = packed_file();
        let (bytes, metadata) = forged();
        of_file(&on_disk(&honest), &metadata).unwrap();
        let refused = of_file(&on_disk(&bytes), &metadata);
        assert!(matches!(refused, Err(ParquetFault::Page(_, size)) if size == i64::from(i32::MAX)), "{refused:?}");
    }

    #[test]
    fn the_same_page_is_refused_as_it_arrives() {
        let (arriving, file) = (Arriving::default(), Path::from("c.parquet"));
        let (bytes, metadata) = forged();
        let (start, length) = place(metadata.row_group(0).column(0)).unwrap();
        let range = start..start + length;
        let of = |bytes: &[u8]| bytes[start as usize..(start + length) as usize].to_vec();
        let admit = |bytes: &[u8]| arriving.admit("s3://a", &file, [(&range, bytes)].into_iter());
        admit(&of(&bytes)).unwrap();
        arriving.watch("s3://a", &file, &metadata);
        assert!(matches!(admit(&of(&bytes)), Err(ParquetFault::Page(name, _)) if name == "id"));
        admit(&of(&packed_file())).unwrap();
        admit(&[]).unwrap();
    }

    #[test]
    fn pages_are_looked_at_from_where_the_reader_begins() {
        let column = forged().1.row_group(0).column(0).clone();
        let later = column.data_page_offset() + 1000;
        let column = column.into_builder().set_dictionary_page_offset(Some(later)).build().unwrap();
        assert_eq!(place(&column), Some(column.byte_range()));
    }
}
