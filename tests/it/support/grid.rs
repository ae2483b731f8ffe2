//! Small tables, as Arrow arrays or as plain rows that both the engine and the oracle can read.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};

/// A batch of named columns, all of them nullable.
pub fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    nullable_batch(columns.map(|(name, array)| (name.to_owned(), array)).into())
}

fn nullable_batch(columns: Vec<(String, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(name, a)| Field::new(name, a.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, a)| a).collect()).unwrap()
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
