//! One file of JSON: its columns, found by reading all of it, and its rows in the columns of a table.

use std::io::{self, Read};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;

use super::MAX_COLUMNS;
use super::bytes::Source;
use super::fault::TextFault;
use super::json_kind::{Kind, Notes};
use super::json_objects::{Cutter, Objects};
use super::utf8::Pieces;

/// What is known of a file of JSON besides the types of its columns.
#[derive(Debug, Clone, Default)]
pub struct Json {
    /// Whether each object is a line, and no field is one thing here and another there.
    pub usual: bool,
}

/// The columns of a file, and how many bytes it has.
///
/// # Errors
/// Where it cannot be read, has a [`TextFault`], or is longer than there is room for.
pub fn look(bytes: Source, room: u64) -> io::Result<(Schema, Json, u64)> {
    let (mut pieces, mut cutter) = (Pieces::new(bytes), Cutter::new(Default::default()));
    let (mut kind, mut notes, mut taken, mut record) = (Kind::Null, Notes::default(), 0, 0_u64);
    let mut cut = Vec::new();
    while pieces.next()? {
        taken += pieces.text.len() as u64;
        if taken > room {
            return Err(TextFault::Unpacked(room).into());
        }
        let known = cut.len();
        if let Some(at) = pieces.replaced.first() {
            cutter.take(&pieces.text[..*at], &mut cut)?;
            return Err(TextFault::Line(cutter.line()).into());
        }
        cutter.take(&pieces.text, &mut cut)?;
        let mut from = 0;
        let ends = cut[known..].iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| known + at);
        for end in ends {
            record += 1;
            notes.note(&mut kind, &cut[from..end]).map_err(|error| {
                if notes.fields > MAX_COLUMNS {
                    return TextFault::Columns;
                }
                // Its place in a text that was put together would lead nowhere.
                let reason = error.to_string();
                let reason = reason.split(" at line ").next().unwrap_or_default();
                TextFault::Malformed(format!("record {record} is no JSON: {reason}"))
            })?;
            from = end + 1;
        }
        cut.drain(..from);
    }
    cutter.end()?;
    let fields = match &kind {
        Kind::Object(fields) => fields.iter().map(column).collect(),
        _ => Vec::new(),
    };
    Ok((Schema::new(fields), Json { usual: cutter.in_lines && !notes.mixed }, taken))
}

/// What fits no type is its text.
fn column((name, kind): (&String, &Kind)) -> Field {
    Field::new(name, kind.data_type().unwrap_or(DataType::Utf8), true)
}

/// The rows of a file in these columns; one that the file does not have is null.
///
/// # Errors
/// Where the reader cannot be made.
pub fn rows(
    bytes: impl Read,
    columns: &SchemaRef,
    batch: usize,
) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>>, ArrowError> {
    let texts = columns.fields().iter().filter(|field| field.data_type() == &DataType::Utf8);
    let objects = Objects::new(bytes, texts.map(|field| field.name().clone()).collect());
    ReaderBuilder::new(columns.clone()).with_batch_size(batch).with_coerce_primitive(true).build(objects)
}
