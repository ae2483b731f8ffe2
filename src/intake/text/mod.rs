//! CSV and JSON: what a file has is found by reading all of it, and no record is longer than memory should hold.
//!
//! A reader keeps a record until its end has come: a quote that is never closed or a newline that is missing makes that the
//! whole file. Whatever is too long is refused here, before the passes that follow.
//!
//! Files as DataFusion's own readers take them are left to those, which also read parts of one file beside one another, and
//! which a cluster has. All others are read by [`source`].

mod bytes;
mod csv;
mod csv_records;
mod fault;
mod json;
mod json_kind;
mod json_objects;
mod merge;
mod source;
mod utf8;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::error::Result;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use self::csv::Csv;
use self::json::Json;
use crate::component::Format;
use crate::error::external;

pub use fault::{TextError, TextFault};
pub use merge::merge;

/// Most bytes of a record.
const MAX_RECORD: usize = 16 << 20;

/// Most columns, and most fields of JSON's objects inside of one another. Readers of CSV make room for all values of a
/// batch at once, whatever the file has of them.
const MAX_COLUMNS: usize = 2_048;

/// A text file once all of it was read.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// Where it is.
    pub location: Path,
    /// Its columns, by what this file has in them.
    pub columns: Schema,
    /// Its bytes, unpacked.
    pub bytes: u64,
    // Whether they are the bytes that are stored.
    as_stored: bool,
    layout: Layout,
}

#[derive(Debug, Clone)]
enum Layout {
    Csv(Csv),
    Json(Json),
}

impl Layout {
    fn fault_of(&self, column: &str) -> Option<TextFault> {
        match self {
            Self::Csv(csv) => csv.fault_of(column),
            Self::Json(_) => None,
        }
    }
}

/// Reads a file to the end for what it has; `room` is how many bytes it may have, unpacked.
///
/// # Errors
/// Where it cannot be read, or has a [`TextFault`], with its name.
pub async fn look(format: Format, store: &Arc<dyn ObjectStore>, file: &ObjectMeta, room: u64) -> Result<TextFile> {
    let location = file.location.clone();
    let stored = bytes::open(store, &location).await?;
    let delimiter = if named_tsv(&location) { b'\t' } else { b',' };
    let waiting = Arc::new(());
    let wanted = bytes::Wanted { bytes: stored, by: Arc::downgrade(&waiting) };
    let looking = tokio::task::spawn_blocking(move || {
        let text = bytes::text(Box::new(wanted))?;
        let (columns, layout, bytes) = match format {
            Format::Json => {
                let (columns, json, bytes) = json::look(text.bytes, room)?;
                (columns, Layout::Json(json), bytes)
            }
            _ => {
                let (columns, csv, bytes) = csv::look(text.bytes, delimiter, room)?;
                (columns, Layout::Csv(csv), bytes)
            }
        };
        Ok((columns, layout, bytes, text.as_stored))
    });
    let found = looking.await.map_err(external)?;
    drop(waiting);
    let (columns, layout, bytes, as_stored) = found.map_err(|error| fault::failure(&location, error))?;
    Ok(TextFile { location, columns, bytes, as_stored, layout })
}

fn named_tsv(location: &Path) -> bool {
    let name = location.filename().unwrap_or_default().to_lowercase();
    name.ends_with(".tsv") || name.contains(".tsv.")
}

/// What reads these files as one table with these columns, and whether a cluster has it too.
pub fn reader(files: &[TextFile], table: &Schema) -> (Arc<dyn FileFormat>, bool) {
    match usual(files, table) {
        Some(format) => (format, true),
        None => (Arc::new(source::Files::new(files)), false),
    }
}

/// DataFusion's own reader, where it takes all of the files.
fn usual(files: &[TextFile], table: &Schema) -> Option<Arc<dyn FileFormat>> {
    let first = files.first()?;
    if !files.iter().all(|file| file.as_stored && file.fits(table)) {
        return None;
    }
    let Layout::Csv(like) = &first.layout else { return Some(Arc::new(JsonFormat::default())) };
    let mut lines_in_values = false;
    for file in files {
        let Layout::Csv(csv) = &file.layout else { return None };
        if csv.delimiter != like.delimiter || !csv.not_utf8.is_empty() {
            return None;
        }
        lines_in_values |= csv.lines_in_values;
    }
    let format = CsvFormat::default().with_delimiter(like.delimiter).with_newlines_in_values(lines_in_values);
    Some(Arc::new(format))
}

impl TextFile {
    /// Whether a reader that knows the table's columns only finds them here.
    fn fits(&self, table: &Schema) -> bool {
        match &self.layout {
            // By place; values become whatever the column is.
            Layout::Csv(csv) => csv.header.iter().eq(table.fields().iter().map(|field| field.name())),
            Layout::Json(json) => {
                let same = |field: &Arc<datafusion::arrow::datatypes::Field>| {
                    let here = field.data_type();
                    table.field_with_name(field.name()).is_ok_and(|there| {
                        let there = there.data_type();
                        here == there || here.is_null() || (here, there) == (&DataType::Int64, &DataType::Float64)
                    })
                };
                json.usual && self.columns.fields().iter().all(same)
            }
        }
    }
}
