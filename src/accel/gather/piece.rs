//! Rows as they travel through the grouping: those of one batch, sorted by the part that their key belongs to.

use std::ops::Range;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringViewArray, UInt8Array, UInt32Array,
};
use datafusion::arrow::compute::{TakeOptions, concat, take};
use datafusion::arrow::datatypes::{Float64Type, UInt8Type};
use datafusion::common::internal_err;
use datafusion::error::Result;

use super::key::{Hashing, part};
use crate::error::external;

/// Where the columns of a row stand in the batches that are grouped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The key, Utf8View.
    pub key: usize,
    /// Bits that are brought together by `or`, UInt8, where there are any.
    pub bits: Option<usize>,
    /// Values, Float64, of which one is made for each key.
    pub values: Vec<usize>,
}

/// Bits of rows.
#[derive(Debug, Clone)]
pub enum Bits {
    /// The same in all rows; `None` where there are none.
    Same(Option<u8>),
    /// In each row, or null.
    Each(UInt8Array),
}

impl Bits {
    fn of(bits: &UInt8Array) -> Self {
        let first = (!bits.is_empty() && bits.is_valid(0)).then(|| bits.value(0));
        let same = match first {
            Some(first) => bits.null_count() == 0 && bits.values().iter().all(|bits| *bits == first),
            None => bits.null_count() == bits.len(),
        };
        if same { Self::Same(first) } else { Self::Each(bits.clone()) }
    }

    /// Bits of a row.
    pub fn get(&self, row: usize) -> Option<u8> {
        match self {
            Self::Same(bits) => *bits,
            Self::Each(bits) => bits.is_valid(row).then(|| bits.value(row)),
        }
    }
}

/// Rows of a batch.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Keys, none of them null.
    pub keys: StringViewArray,
    /// Bits, where the layout has them.
    pub bits: Bits,
    /// Which of the layout's values, and what it is in each row. What is null in all rows is left out.
    pub values: Vec<(usize, Float64Array)>,
}

/// A piece whose rows are sorted by part.
#[derive(Debug)]
pub struct Scattered {
    piece: Piece,
    /// First row of each part, and behind them the number of rows.
    starts: Vec<u32>,
}

impl Scattered {
    /// Sorts the rows of a piece by part.
    ///
    /// # Errors
    /// Where they cannot be put into another order, which is a fault of the program.
    pub fn new(piece: Piece, hashing: &Hashing, parts: usize) -> Result<Self> {
        if parts == 1 {
            let rows = u32::try_from(piece.keys.len()).map_err(external)?;
            return Ok(Self { piece, starts: vec![0, rows] });
        }
        let of_rows: Vec<u32> = piece
            .keys
            .views()
            .iter()
            .enumerate()
            .map(|(row, view)| {
                #[allow(clippy::cast_possible_truncation, reason = "parts are few")]
                let part = part(hashing.of(*view, &piece.keys, row), parts) as u32;
                part
            })
            .collect();
        let mut starts = vec![0_u32; parts + 1];
        for part in &of_rows {
            starts[*part as usize + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let (mut next, mut order) = (starts.clone(), vec![0_u32; of_rows.len()]);
        for (row, part) in (0_u32..).zip(&of_rows) {
            let place = &mut next[*part as usize];
            order[*place as usize] = row;
            *place += 1;
        }
        Ok(Self { piece: piece.reordered(&UInt32Array::from(order))?, starts })
    }

    /// The rows.
    pub fn piece(&self) -> &Piece {
        &self.piece
    }

    /// Where the rows of a part are.
    pub fn rows(&self, part: usize) -> Range<usize> {
        self.starts[part] as usize..self.starts[part + 1] as usize
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        let values: usize = self.piece.values.iter().map(|(_, values)| values.get_array_memory_size()).sum();
        let bits = match &self.piece.bits {
            Bits::Same(_) => 0,
            Bits::Each(bits) => bits.get_array_memory_size(),
        };
        self.piece.keys.get_array_memory_size() + bits + values + self.starts.len() * size_of::<u32>()
    }
}

impl Piece {
    /// The rows of a batch.
    ///
    /// # Errors
    /// Where the batch is not of that layout, or has a row without a key.
    pub fn of(batch: &RecordBatch, layout: &Layout) -> Result<Self> {
        let Some(keys) = batch.column(layout.key).as_string_view_opt() else {
            return internal_err!("keys are no views");
        };
        let bits = match layout.bits.map(|at| batch.column(at).as_primitive_opt::<UInt8Type>()) {
            Some(Some(bits)) => Bits::of(bits),
            Some(None) => return internal_err!("bits are of another type"),
            None => Bits::Same(None),
        };
        if keys.null_count() > 0 {
            return internal_err!("a row without a key");
        }
        let mut values = Vec::new();
        for (at, column) in layout.values.iter().enumerate() {
            let Some(column) = batch.column(*column).as_primitive_opt::<Float64Type>() else {
                return internal_err!("values are of another type");
            };
            if column.null_count() < column.len() {
                values.push((at, column.clone()));
            }
        }
        // Without texts that the views do not need, of which a page's may be held by a few rows.
        Ok(Self { keys: keys.gc(), bits, values })
    }

    /// Whether the other has the same values and bits, so that the two can be one.
    pub fn is_like(&self, other: &Self) -> bool {
        let which = |piece: &Self| piece.values.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        let same = matches!((&self.bits, &other.bits), (Bits::Same(own), Bits::Same(others)) if own == others);
        same && which(self) == which(other)
    }

    /// Pieces that are like one another as one.
    ///
    /// # Errors
    /// Where they are more than one array can hold.
    pub fn together(mut pieces: Vec<Self>) -> Result<Option<Self>> {
        if pieces.len() < 2 {
            return Ok(pieces.pop());
        }
        let keys: Vec<&dyn Array> = pieces.iter().map(|piece| &piece.keys as &dyn Array).collect();
        let keys = concat(&keys)?.as_string_view().clone();
        let mut values = Vec::with_capacity(pieces[0].values.len());
        for (place, (at, _)) in pieces[0].values.iter().enumerate() {
            let own: Vec<&dyn Array> = pieces.iter().map(|piece| &piece.values[place].1 as &dyn Array).collect();
            values.push((*at, concat(&own)?.as_primitive::<Float64Type>().clone()));
        }
        Ok(Some(Self { keys, bits: pieces[0].bits.clone(), values }))
    }

    fn reordered(&self, order: &UInt32Array) -> Result<Self> {
        // Every place in the order is a row's.
        let taken = |array: &dyn Array| take(array, order, Some(TakeOptions { check_bounds: false }));
        let number = |array: ArrayRef| array.as_primitive::<Float64Type>().clone();
        let values = self.values.iter().map(|(at, values)| Ok((*at, number(taken(values)?))));
        let bits = match &self.bits {
            Bits::Same(bits) => Bits::Same(*bits),
            Bits::Each(bits) => Bits::Each(taken(bits)?.as_primitive::<UInt8Type>().clone()),
        };
        Ok(Self { keys: taken(&self.keys)?.as_string_view().clone(), bits, values: values.collect::<Result<_>>()? })
    }
}
