//! Pieces on disk: one file for each time that memory ran out, with a record batch for each part.
//!
//! A row is written once for each of its values, so that a file needs no column for values that its rows do not have. Its
//! bits go with the first of them only: they would seem to be repeated otherwise.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, AsArray, Float64Builder, RecordBatch, StringViewBuilder, UInt8Array, UInt8Builder,
};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, UInt8Type};
use datafusion::arrow::ipc::reader::FileReader;
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::SpillFile;
use datafusion::execution::disk_manager::DiskManager;
use datafusion::physical_plan::metrics::SpillMetrics;

use super::piece::{Bits, Piece, Scattered};

/// What a file is for, for whoever asks when none can be made.
const PURPOSE: &str = "grouping the inputs by customer";

/// A file of pieces.
pub struct Spilled(Arc<dyn SpillFile>);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Utf8View, false),
        Field::new("bits", DataType::UInt8, true),
        Field::new("which", DataType::UInt8, true),
        Field::new("value", DataType::Float64, true),
    ]))
}

impl Spilled {
    /// Writes all rows of some pieces.
    ///
    /// # Errors
    /// Where the disk is full, or holds as much as it may.
    pub fn write(pieces: &[Scattered], parts: usize, disk: &Arc<DiskManager>, metrics: &SpillMetrics) -> Result<Self> {
        let file = disk.create_tmp_file(PURPOSE)?;
        let mut writer = FileWriter::try_new(file.open_writer()?, &schema())?;
        for part in 0..parts {
            let rows = long(pieces, part)?;
            metrics.spilled_rows.add(rows.num_rows());
            writer.write(&rows)?;
        }
        writer.finish()?;
        writer.get_mut().finish()?;
        metrics.spill_file_count.add(1);
        metrics.spilled_bytes.add(usize::try_from(file.size().unwrap_or(0)).unwrap_or(usize::MAX));
        Ok(Self(file))
    }

    /// Reads the rows of a part, as a piece for each of `values` values and one for rows without any.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read(&self, part: usize, values: usize) -> Result<Vec<Piece>> {
        let path = self.0.path().ok_or_else(|| internal_datafusion_err!("temporary files are no files here"))?;
        let mut reader = FileReader::try_new(BufReader::new(File::open(path)?), None)?;
        reader.set_index(part)?;
        let Some(rows) = reader.next().transpose()? else { return internal_err!("a part is not in its file") };
        let which = rows.column(2).as_primitive::<UInt8Type>();
        let mut pieces = Vec::new();
        for value in (0..values).map(Some).chain([None]) {
            let wanted = which.iter().map(|which| Some(which.map(usize::from) == value)).collect();
            let rows = filter_record_batch(&rows, &wanted)?;
            if rows.num_rows() > 0 {
                pieces.push(Piece {
                    keys: rows.column(0).as_string_view().clone(),
                    bits: Bits::Each(rows.column(1).as_primitive::<UInt8Type>().clone()),
                    values: value
                        .map(|at| (at, rows.column(3).as_primitive::<Float64Type>().clone()))
                        .into_iter()
                        .collect(),
                });
            }
        }
        Ok(pieces)
    }
}

/// The rows of a part, one for each value.
fn long(pieces: &[Scattered], part: usize) -> Result<RecordBatch> {
    let (mut keys, mut bits) = (StringViewBuilder::new(), UInt8Builder::new());
    let (mut which, mut values) = (UInt8Builder::new(), Float64Builder::new());
    for scattered in pieces {
        let piece = scattered.piece();
        for row in scattered.rows(part) {
            let mut own = piece.values.iter().filter(|(_, column)| column.is_valid(row)).peekable();
            let mut first = true;
            while first || own.peek().is_some() {
                let value = own.next();
                keys.append_value(piece.keys.value(row));
                bits.append_option(piece.bits.get(row).filter(|_| first));
                which.append_option(value.and_then(|(at, _)| u8::try_from(*at).ok()));
                values.append_option(value.map(|(_, column)| column.value(row)));
                first = false;
            }
        }
    }
    let which: UInt8Array = which.finish();
    let columns = vec![
        Arc::new(keys.finish()) as _,
        Arc::new(bits.finish()) as _,
        Arc::new(which) as _,
        Arc::new(values.finish()) as _,
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
