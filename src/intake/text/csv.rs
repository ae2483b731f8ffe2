//! One file of CSV: its columns, found by reading all of it, and its rows in the columns of a table.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatchOptions;

use super::bytes::Source;
use super::csv_records::CsvRecords;
use super::fault::TextFault;
use super::utf8::{Pieces, Replaced};

/// What is known of a file of CSV besides the types of its columns.
#[derive(Debug, Clone, Default)]
pub struct Csv {
    /// What separates values.
    pub delimiter: u8,
    /// Names of the columns, in the file's order.
    pub header: Vec<String>,
    /// Columns with text that is not UTF-8, and the first line that has it.
    pub not_utf8: BTreeMap<usize, u64>,
    /// Whether values have line ends in them, so that a line is not always a record.
    pub lines_in_values: bool,
}

/// The columns of a file, and how many bytes it has.
///
/// # Errors
/// Where it cannot be read, has a [`TextFault`], or is longer than there is room for.
pub fn look(bytes: Source, delimiter: u8, room: u64) -> io::Result<(Schema, Csv, u64)> {
    let mut checked = Checked {
        pieces: Pieces::new(bytes),
        records: CsvRecords::new(delimiter),
        at: 0,
        taken: 0,
        room,
        not_utf8: BTreeMap::new(),
        failure: None,
    };
    let found = Format::default().with_header(true).with_delimiter(delimiter).infer_schema(&mut checked, None);
    if let Some(failure) = checked.failure {
        return Err(failure);
    }
    let malformed = |error: ArrowError| match error {
        ArrowError::CsvError(reason) => TextFault::Malformed(reason),
        other => TextFault::Malformed(other.to_string()),
    };
    let (schema, _) = found.map_err(malformed)?;
    let header: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    if let [only] = header.as_slice()
        && (only.contains([';', '\t', '|']) || only.starts_with("sep="))
    {
        return Err(TextFault::Delimiter(only.clone()).into());
    }
    let (not_utf8, lines_in_values) = (checked.not_utf8, checked.records.lines_in_values);
    Ok((schema, Csv { delimiter, header, not_utf8, lines_in_values }, checked.taken))
}

/// Text on its way to whoever finds the types.
struct Checked<R> {
    pieces: Pieces<R>,
    records: CsvRecords,
    at: usize,
    taken: u64,
    room: u64,
    not_utf8: BTreeMap<usize, u64>,
    // The parser makes a message of whatever its reader says.
    failure: Option<io::Error>,
}

impl<R: Read> Checked<R> {
    fn next(&mut self) -> io::Result<bool> {
        self.at = 0;
        let some = self.pieces.next()?;
        self.taken += self.pieces.text.len() as u64;
        if self.taken > self.room {
            return Err(TextFault::Unpacked(self.room).into());
        }
        let mut from = 0;
        for at in &self.pieces.replaced {
            self.records.take(&self.pieces.text[from..*at])?;
            self.not_utf8.entry(self.records.columns).or_insert(self.records.lines + 1);
            from = *at;
        }
        self.records.take(&self.pieces.text[from..])?;
        if !some {
            self.records.end()?;
        }
        Ok(some)
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.pieces.text.len() {
            match self.next() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(error) => {
                    self.failure = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
        let rest = &self.pieces.text[self.at..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

impl Csv {
    /// The fault of a column that is not UTF-8.
    pub fn fault_of(&self, column: &str) -> Option<TextFault> {
        let at = self.header.iter().position(|name| name == column)?;
        let line = *self.not_utf8.get(&at)?;
        Some(TextFault::Column { column: column.to_owned(), line })
    }

    /// The rows of a file in these columns, found by name; one that the file does not have is null.
    ///
    /// # Errors
    /// Where the reader cannot be made.
    pub fn rows(
        &self,
        bytes: Source,
        columns: &SchemaRef,
        batch: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<>, ArrowError> {
        // Types matter of what is read only.
        let field = |name: &String| match columns.field_with_name(name) {
            Ok(field) => field.clone().with_nullable(true),
            Err(_) => Field::new(name, DataType::Utf8, true),
        };
        let here = Schema::new(self.header.iter().map(field).collect::<Vec<_>>());
        let place = |field: &Arc<Field>| self.header.iter().position(|name| name == field.name());
        let wanted: Vec<Option<usize>> = columns.fields().iter().map(place).collect();
        let mut read: Vec<usize> = wanted.iter().flatten().copied().collect();
        read.sort_unstable();
        let reader = ReaderBuilder::new(Arc::new(here))
            .with_header(true)
            .with_delimiter(self.delimiter)
            .with_batch_size(batch)
            .with_projection(read.clone())
            .build_buffered(BufReader::new(Replaced::new(bytes)))?;
        let columns = columns.clone();
        Ok(reader.map(move |rows| {
            let rows = rows?;
            let column = |(wanted, field): (&Option<usize>, &Arc<Field>)| -> ArrayRef {
                match wanted.and_then(|wanted| read.binary_search(&wanted).ok()) {
                    Some(at) => rows.column(at).clone(),
                    None => new_null_array(field.data_type(), rows.num_rows()),
                }
            };
            let arrays = wanted.iter().zip(columns.fields()).map(column).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
            RecordBatch::try_new_with_options(columns.clone(), arrays, &options)
        }))
    }
}
