//! Page indexes of Parquet files: where a footer says they are, and what they say of their own size.
//!
//! No scan uses them (see `session`), but the engine reads them with every footer whose schema it wants.

use std::ops::Range;

use bytes::Bytes;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};

use super::parquet_footer::ParquetFault;
use super::thrift::walk;
use crate::panics;

/// Most bytes from the first page index to the end of the last: readers fetch all of it at once.
const MAX_INDEX: u64 = 256 << 20;

/// Where the page indexes of a file are, from the first to the last, as a reader finds and fetches them.
///
/// # Errors
/// Where one is outside of the file, or they are too long.
pub fn place(metadata: &ParquetMetaData, size: u64) -> Result<Option<Range<u64>>, ParquetFault> {
    let (mut all, mut sum): (Option<Range<u64>>, u64) = (None, 0);
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let indexes = [
            (column.column_index_offset(), column.column_index_length()),
            (column.offset_index_offset(), column.offset_index_length()),
        ];
        for (offset, length) in indexes {
            let (Some(offset), Some(length)) = (offset, length) else { continue };
            let (Ok(start), Ok(length)) = (u64::try_from(offset), u64::try_from(length)) else { continue };
            let end = start.checked_add(length).filter(|end| *end <= size);
            let end = end.ok_or(ParquetFault::Footer("a page index lies outside of the file"))?;
            sum = sum.saturating_add(length);
            all = Some(all.map_or(start..end, |all| all.start.min(start)..all.end.max(end)));
        }
    }
    // Where many columns share one, each is built anew.
    if all.as_ref().is_some_and(|all| all.end - all.start > MAX_INDEX) || sum > MAX_INDEX {
        return Err(ParquetFault::Footer("its page indexes are too long"));
    }
    Ok(all.filter(|all| !all.is_empty()))
}

/// Looks at the page indexes, whose bytes these are.
///
/// # Errors
/// What no reader should be given.
pub fn vet(metadata: &ParquetMetaData, size: u64, place: Range<u64>, bytes: Bytes) -> Result<(), ParquetFault> {
    let within = |offset: Option<i64>, length: Option<i32>| {
        let start = u64::try_from(offset?).ok()?.checked_sub(place.start)?;
        let start = usize::try_from(start).ok()?;
        bytes.get(start..start.checked_add(usize::try_from(length?).ok()?)?).filter(|index| !index.is_empty())
    };
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let of_columns = within(column.column_index_offset(), column.column_index_length());
        let of_offsets = within(column.offset_index_offset(), column.offset_index_length());
        for index in [of_columns, of_offsets].into_iter().flatten() {
            walk(index, &mut |_, _| {})
                .map_err(|_| ParquetFault::Footer("a page index promises more than there is"))?;
        }
    }
    // Some nonsense makes it panic; what it refuses, the reader refuses.
    let decoded = panics::expected(|| {
        let decoder = ParquetMetaDataPushDecoder::try_new_with_metadata(size, metadata.clone());
        let mut decoder = decoder?.with_page_index_policy(PageIndexPolicy::Optional);
        decoder.push_range(place, bytes)?;
        decoder.try_decode().map(drop)
    });
    decoded.map(drop).ok_or(ParquetFault::Footer("a page index contradicts itself"))
}

#[cfg(test)]
mod tests {
    use parquet::file::metadata::ColumnChunkMetaData;

    use super::*;
    use crate::intake::parquet_footer::footer;
    use crate::intake::parquet_footer::tests::*;

    /// The file with other places of its first column's indexes.
    fn moved(change: impl Fn(ColumnChunkMetaData) -> ColumnChunkMetaData) -> (Bytes, ParquetMetaData) {
        let bytes = packed_file();
        let (_, metadata) = footer(footer_of(&bytes), bytes.len() as u64).unwrap().unwrap();
        let group = metadata.row_group(0).clone();
        let column = change(group.column(0).clone());
        let group = group.into_builder().set_column_metadata(vec![column]).build().unwrap();
        (bytes.into(), metadata.into_builder().set_row_groups(vec![group]).build())
    }

    fn vetted((bytes, metadata): &(Bytes, ParquetMetaData)) -> Result<(), ParquetFault> {
        let size = bytes.len() as u64;
        match place(metadata, size)? {
            Some(range) => vet(metadata, size, range.clone(), bytes.slice(range.start as usize..range.end as usize)),
            None => Ok(()),
        }
    }

    #[test]
    fn indexes_where_the_footer_says_are_taken() {
        let file = moved(|column| column);
        assert!(place(&file.1, file.0.len() as u64).unwrap().is_some(), "the writer makes some");
        vetted(&file).unwrap();
    }

    #[test]
    fn indexes_beyond_the_file_are_refused() {
        for offset in [1 << 41, i64::MAX, 1 << 20] {
            let offsets = moved(|c| c.into_builder().set_offset_index_offset(Some(offset)).build().unwrap());
            let columns = moved(|c| c.into_builder().set_column_index_offset(Some(offset)).build().unwrap());
            assert!(vetted(&offsets).is_err() && vetted(&columns).is_err(), "{offset}");
        }
        for length in [1 << 20, i32::MAX] {
            let offsets = moved(|c| c.into_builder().set_offset_index_length(Some(length)).build().unwrap());
            let columns = moved(|c| c.into_builder().set_column_index_length(Some(length)).build().unwrap());
            assert!(vetted(&offsets).is_err() && vetted(&columns).is_err(), "{length}");
        }
        // No reader finds one there, and none looks.
        let nowhere = moved(|c| {
            let column = c.into_builder().set_offset_index_offset(Some(-1)).set_column_index_length(Some(-1));
            column.build().unwrap()
        });
        vetted(&nowhere).unwrap();
    }

    #[test]
    fn an_index_that_promises_more_than_there_is_is_refused() {
        let (bytes, metadata) = moved(|column| column);
        let at = metadata.row_group(0).column(0).offset_index_offset().unwrap() as usize;
        let mut forged = bytes.to_vec();
        // A list of two thousand million pages.
        forged[at..at + 7].copy_from_slice(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]);
        assert!(matches!(vetted(&(forged.into(), metadata)), Err(ParquetFault::Footer(_))));
    }

    #[test]
    fn flipped_bits_of_an_index_are_survived() {
        let (bytes, metadata) = moved(|column| column);
        let range = place(&metadata, bytes.len() as u64).unwrap().unwrap();
        for at in range.start as usize..range.end as usize {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                drop(vetted(&(flipped.into(), metadata.clone())));
            }
        }
    }
}
