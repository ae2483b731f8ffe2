//! Columns of CSV and JSON files, found by reading all of it, and no record of them longer than memory should hold.
//!
//! A reader keeps a record until its end has come: a quote that is never closed or a newline that is missing makes that the
//! whole file. Whatever is too long is refused here, before the passes that follow.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use csv_core::{ReadRecordResult, Reader};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::reader::{ValueIter, infer_json_schema_from_iterator};
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{EngineError, external};

/// Most bytes of a record.
const MAX_RECORD: usize = 16 << 20;

/// Most columns, and most fields of JSON's objects inside of one another. Readers of CSV make room for all values of a
/// batch at once, whatever the file has of them.
const MAX_COLUMNS: usize = 2_048;

/// Pieces of a file on their way to where they are parsed.
const PIECES: usize = 16;

/// Why a text file is refused.
#[derive(Debug, thiserror::Error)]
pub enum TextFault {
    /// A record is too long.
    #[error("record {0} is longer than {MAX_RECORD} bytes")]
    Record(u64),
    /// There are too many columns.
    #[error("it has more than {MAX_COLUMNS} columns")]
    Columns,
}

impl TextFault {
    /// The failure of an input that has such a file.
    pub fn of_input(&self, role: &str, path: &str) -> EngineError {
        let hint = match self {
            Self::Record(_) => {
                "see whether a quote is left open or line ends are missing; tables with values that long go into Parquet"
            }
            Self::Columns => "leave out columns that nothing reads, or write the table as Parquet",
        };
        let (role, path, hint) = (role.to_owned(), path.to_owned(), hint.to_owned());
        EngineError::Unreadable { role, path, reason: self.to_string(), hint, source: None }
    }
}

/// The columns of CSV files.
///
/// # Errors
/// Where a file cannot be read, or has a [`TextFault`].
pub async fn csv_schema(
    format: &CsvFormat,
    state: &SessionState,
    store: &Arc<dyn ObjectStore>,
    files: &[ObjectMeta],
) -> Result<SchemaRef> {
    let mut schemas = Vec::new();
    for file in files.iter().filter(|file| file.size > 0) {
        let mut records = CsvRecords::default();
        let pieces = store.get(&file.location).await?.into_stream().map(move |piece| {
            let piece = piece?;
            records.take(&piece).map_err(external)?;
            Ok(piece)
        });
        let lines = format.read_to_delimited_chunks_from_stream(pieces.boxed());
        schemas.push(format.infer_schema_from_stream(state, usize::MAX, lines).await?.0);
    }
    Ok(Arc::new(Schema::try_merge(schemas)?))
}

/// The columns of JSON files with an object in each line.
///
/// # Errors
/// Where a file cannot be read, or has a [`TextFault`].
pub async fn json_schema(store: &Arc<dyn ObjectStore>, files: &[ObjectMeta]) -> Result<SchemaRef> {
    let mut schemas = Vec::new();
    for file in files.iter().filter(|file| file.size > 0) {
        let mut pieces = store.get(&file.location).await?.into_stream();
        let (pass, received) = mpsc::channel(PIECES);
        let inferring = tokio::task::spawn_blocking(move || infer(Received { pieces: received, piece: Bytes::new() }));
        let mut records = JsonRecords::default();
        while let Some(piece) = pieces.try_next().await? {
            records.take(&piece).map_err(external)?;
            // It stops at what is no JSON, and says so.
            if pass.send(piece).await.is_err() {
                break;
            }
        }
        drop(pass);
        schemas.push(inferring.await.map_err(external)??);
    }
    Ok(Arc::new(Schema::try_merge(schemas)?))
}

fn infer(bytes: impl Read) -> Result<Schema, ArrowError> {
    let mut fields = Fields::default();
    let values = ValueIter::new(BufReader::new(bytes), None).map(|value| {
        let value = value?;
        fields.note(&value, 0).map_err(|fault| ArrowError::ExternalError(fault.into()))?;
        Ok(value)
    });
    infer_json_schema_from_iterator(values)
}

/// Pieces of a file as one; it ends early where nobody waits for what comes of it.
struct Received {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(piece) = self.pieces.blocking_recv() else { return Ok(0) };
            self.piece = piece;
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// Fields of JSON's objects, by the hash of their path.
#[derive(Default)]
struct Fields(HashSet<u64>);

impl Fields {
    fn note(&mut self, value: &Value, at: u64) -> Result<(), TextFault> {
        match value {
            Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
                let mut hasher = DefaultHasher::new();
                (at, name).hash(&mut hasher);
                let path = hasher.finish();
                if self.0.insert(path) && self.0.len() > MAX_COLUMNS {
                    return Err(TextFault::Columns);
                }
                self.note(value, path)
            }),
            Value::Array(values) => values.iter().try_for_each(|value| self.note(value, at)),
            _ => Ok(()),
        }
    }
}

/// Where records of CSV end, by the parser that reads them later.
struct CsvRecords {
    parser: Reader,
    length: usize,
    columns: usize,
    before: u64,
    // What is in a record does not matter here.
    values: Box<[u8]>,
    ends: [usize; 64],
}

impl Default for CsvRecords {
    fn default() -> Self {
        let values = vec![0; 16 << 10].into_boxed_slice();
        Self { parser: Reader::new(), length: 0, columns: 0, before: 0, values, ends: [0; 64] }
    }
}

impl CsvRecords {
    fn take(&mut self, mut piece: &[u8]) -> Result<(), TextFault> {
        while !piece.is_empty() {
            let (found, read, _, columns) = self.parser.read_record(piece, &mut self.values, &mut self.ends);
            piece = piece.get(read..).unwrap_or_default();
            self.length += read;
            self.columns += columns;
            if self.length > MAX_RECORD {
                return Err(TextFault::Record(self.before + 1));
            }
            if self.columns > MAX_COLUMNS {
                return Err(TextFault::Columns);
            }
            if found == ReadRecordResult::Record {
                (self.length, self.columns, self.before) = (0, 0, self.before + 1);
            }
        }
        Ok(())
    }
}

/// Where records of JSON end.
#[derive(Default)]
struct JsonRecords {
    length: usize,
    before: u64,
}

impl JsonRecords {
    fn take(&mut self, piece: &[u8]) -> Result<(), TextFault> {
        for (at, line) in piece.split(|byte| *byte == b'\n').enumerate() {
            if at > 0 {
                (self.length, self.before) = (0, self.before + 1);
            }
            self.length += line.len();
            if self.length > MAX_RECORD {
                return Err(TextFault::Record(self.before + 1));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(pieces: &[&[u8]]) -> Result<(), TextFault> {
        let mut records = CsvRecords::default();
        pieces.iter().try_for_each(|piece| records.take(piece))
    }

    #[test]
    fn records_end_where_the_parser_ends_them() {
        let line = [b"a,b\n1,".as_slice(), &vec![b'x'; MAX_RECORD - 3]].concat();
        csv(&[&line]).unwrap();
        csv(&[&line, b"\n", &line[4..]]).unwrap();
        assert!(matches!(csv(&[&line, b"xx"]), Err(TextFault::Record(2))));
        let rows = b"1,\"x y\"\r\n".repeat(MAX_RECORD / 4);
        csv(&[&rows]).unwrap();
        // A quote in the middle of a value is none.
        csv(&[b"5\" pipe,\n", &rows]).unwrap();
        assert!(matches!(csv(&[b"a,b\n1,\"", &b"2,3\n".repeat(MAX_RECORD)]), Err(TextFault::Record(2))));
        let mut records = JsonRecords::default();
        records.take(&b"{}\n".repeat(MAX_RECORD)).unwrap();
        records.take(&vec![b' '; MAX_RECORD]).unwrap();
        assert!(matches!(records.take(b" "), Err(TextFault::Record(number)) if number == MAX_RECORD as u64 + 1));
    }

    #[test]
    fn columns_are_counted_over_all_records() {
        csv(&[",".repeat(MAX_COLUMNS - 1).as_bytes(), b"\n"]).unwrap();
        assert!(matches!(csv(&[",".repeat(MAX_COLUMNS).as_bytes(), b"\n"]), Err(TextFault::Columns)));
        let lines = |count: usize| (0..count).map(|at| format!("{{\"a\": {{\"b{at}\": 1}}}}\n")).collect::<String>();
        assert_eq!(infer(lines(MAX_COLUMNS - 1).as_bytes()).unwrap().fields().len(), 1);
        let error = infer(lines(MAX_COLUMNS).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("more than 2048 columns"), "{error}");
    }
}
