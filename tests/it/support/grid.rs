//! Small tables, as Arrow arrays or as plain rows that both the engine and the oracle can read.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};

/// A batch of named columns, all of them nullable.
pub fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    nullable_batch(columns.map(|(name, array)| (name.to_owned(), array)).into())
}

fn nullable_batch(columns: Vec<(String, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(name, a)| Field::new(name, a.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, a)| a).collect()).unwrap()
}

/// The shapes that rows come in, none of which may decide whether a component runs: the first column is the key.
pub fn shapes(rows: &RecordBatch) -> Vec<(&'static str, RecordBatch)> {
    let schema = rows.schema();
    let columns = rows.columns().iter().enumerate();
    let nulls = columns.map(|(at, column)| match at {
        0 => column.clone(),
        _ => new_null_array(column.data_type(), column.len()),
    });
    let nulls = RecordBatch::try_new(schema.clone(), nulls.collect()).unwrap();
    let twice = concat_batches(&schema, [rows, rows]).unwrap();
    let nothing_known = concat_batches(&schema, [&nulls, &nulls]).unwrap();
    vec![
        ("one row each", rows.clone()),
        ("one row", rows.slice(0, 1)),
        ("no rows", rows.slice(0, 0)),
        ("all null", nulls),
        ("all null and repeated", nothing_known),
        ("two rows each", twice),
        ("some repeated", concat_batches(&schema, [rows, &rows.slice(1, 1)]).unwrap()),
    ]
}

/// A Float64 column.
pub fn floats<T: Into<Option<f64>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Float64Array>())
}

/// An Int64 column.
pub fn ints<T: Into<Option<i64>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Int64Array>())
}

/// A Utf8 column.
pub fn texts<'a, T: Into<Option<&'a str>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<StringArray>())
}

/// A Boolean column.
pub fn flags<T: Into<Option<bool>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<BooleanArray>())
}

/// One value of a [`Grid`].
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Number(f64),
    Text(String),
    Flag(bool),
    /// Microseconds since 1970, UTC.
    Time(i64),
}

/// Type of a [`Grid`]'s column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Number,
    Text,
    Flag,
    Time,
}

/// A table as plain rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    pub columns: Vec<(String, Kind)>,
    pub rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// Position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| column == name)
    }

    /// The same table for the engine.
    pub fn batch(&self) -> RecordBatch {
        let columns = self.columns.iter().enumerate().map(|(at, (name, kind))| {
            let cells = self.rows.iter().map(|row| &row[at]);
            let array: ArrayRef = match kind {
                Kind::Number => floats(cells.map(|c| if let Cell::Number(n) = c { Some(*n) } else { None })),
                Kind::Text => texts(cells.map(|c| if let Cell::Text(t) = c { Some(t.as_str()) } else { None })),
                Kind::Flag => flags(cells.map(|c| if let Cell::Flag(b) = c { Some(*b) } else { None })),
                Kind::Time => {
                    let times = cells.map(|c| if let Cell::Time(t) = c { Some(*t) } else { None });
                    Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
                }
            };
            (name.clone(), array)
        });
        nullable_batch(columns.collect())
    }
}
