//! The rows of one part become customers: each key once, with what its rows say.

use datafusion::arrow::array::{
    Array, ArrayRef, ByteView, Float64Array, Int64Array, StringViewArray, UInt8Array, make_view,
};
use datafusion::arrow::buffer::{Buffer, NullBuffer};
use datafusion::arrow::error::ArrowError;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::ops::Range;
use std::sync::Arc;

use super::key::{Hashing, is_inline};
use super::piece::{Bits, Piece};

/// What becomes of the values of one key, of which nulls are no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// The largest.
    Largest,
    /// The smallest.
    Smallest,
    /// Their sum.
    Sum,
    /// Their sum, divided by their number.
    Average,
    /// Their number.
    Count,
}

/// Values of one column: for each customer what they came to so far, and how many they were.
struct Folded {
    how: Fold,
    states: Vec<(f64, u32)>,
}

impl Folded {
    fn add(&mut self, slots: &[u32], own: &Float64Array, rows: Range<usize>) {
        match self.how {
            // As the engine's own aggregates have it: what cannot be compared takes the place of what was there.
            Fold::Largest => self.each(slots, own, rows, |all, n, value| {
                let all = if n == 0 { f64::MIN } else { all };
                if value <= all { all } else { value }
            }),
            Fold::Smallest => self.each(slots, own, rows, |all, n, value| {
                let all = if n == 0 { f64::MAX } else { all };
                if value >= all { all } else { value }
            }),
            Fold::Sum | Fold::Average => self.each(slots, own, rows, |all, _, value| all + value),
            Fold::Count => self.each(slots, own, rows, |all, _, _| all),
        }
    }

    fn each(&mut self, slots: &[u32], own: &Float64Array, rows: Range<usize>, with: impl Fn(f64, u32, f64) -> f64) {
        let values = &own.values()[rows.clone()];
        let mut put = |slot: u32, value: f64| {
            let (all, number) = &mut self.states[slot as usize];
            *all = with(*all, *number, value);
            *number += 1;
        };
        if own.null_count() == 0 {
            slots.iter().zip(values).for_each(|(slot, value)| put(*slot, *value));
        } else {
            let there = slots.iter().zip(values).zip(rows).filter(|(_, row)| own.is_valid(*row));
            there.for_each(|((slot, value), _)| put(*slot, *value));
        }
    }

    fn finish(mut self, customers: usize) -> ArrayRef {
        self.states.resize(customers, (0.0, 0));
        if self.how == Fold::Count {
            return Arc::new(
                self.states.into_iter().map(|(_, number)| Some(i64::from(number))).collect::<Int64Array>(),
            );
        }
        let known: NullBuffer = self.states.iter().map(|(_, number)| *number > 0).collect::<Vec<bool>>().into();
        let values: Vec<f64> = match self.how {
            Fold::Average => self.states.into_iter().map(|(all, number)| all / f64::from(number)).collect(),
            _ => self.states.into_iter().map(|(all, _)| all).collect(),
        };
        Arc::new(Float64Array::new(values.into(), Some(known)))
    }
}

/// The customers of a part, as far as their rows were seen.
pub struct Meeting {
    hashing: Hashing,
    table: HashTable<u32>,
    hashes: Vec<u64>,
    /// The keys, the long ones as places in `long`.
    views: Vec<u128>,
    long: Vec<u8>,
    bits: Vec<Option<u8>>,
    values: Vec<Folded>,
    slots: Vec<u32>,
    /// Bits that two rows of one customer had in common.
    pub repeated: u8,
    /// Whether the long keys are more bytes than views can point at.
    pub overfull: bool,
}

impl Meeting {
    /// Nobody yet, with room for some customers, whose values become one by these folds.
    pub fn new(hashing: Hashing, customers: usize, folds: &[Fold]) -> Self {
        let folded = |how: &Fold| Folded { how: *how, states: Vec::with_capacity(customers) };
        Self {
            hashing,
            table: HashTable::with_capacity(customers),
            hashes: Vec::with_capacity(customers),
            views: Vec::with_capacity(customers),
            long: Vec::new(),
            bits: Vec::with_capacity(customers),
            values: folds.iter().map(folded).collect(),
            slots: Vec::new(),
            repeated: 0,
            overfull: false,
        }
    }

    /// Takes in some rows of a piece.
    pub fn add(&mut self, piece: &Piece, rows: Range<usize>) {
        self.slots.clear();
        let views = &piece.keys.views()[rows.clone()];
        for (row, view) in rows.clone().zip(views) {
            let slot = self.slot(piece, *view, row);
            self.slots.push(slot);
        }
        let customers = self.hashes.len();
        self.bits.resize(customers, None);
        if !matches!(piece.bits, Bits::Same(None)) {
            for (slot, row) in self.slots.iter().zip(rows.clone()) {
                if let Some(own) = piece.bits.get(row) {
                    let seen = &mut self.bits[*slot as usize];
                    self.repeated |= seen.unwrap_or(0) & own;
                    *seen = Some(seen.unwrap_or(0) | own);
                }
            }
        }
        for (at, own) in &piece.values {
            let folded = &mut self.values[*at];
            folded.states.resize(customers, (0.0, 0));
            folded.add(&self.slots, own, rows.clone());
        }
    }

    /// The place of a key, which is made for a new one.
    fn slot(&mut self, piece: &Piece, view: u128, row: usize) -> u32 {
        let hash = self.hashing.of(view, &piece.keys, row);
        let (hashes, views, long) = (&self.hashes, &self.views, &self.long);
        let same = |slot: &u32| {
            let slot = *slot as usize;
            if is_inline(view) {
                return views[slot] == view;
            }
            hashes[slot] == hash && long_text(views[slot], long) == Some(piece.keys.value(row).as_bytes())
        };
        match self.table.entry(hash, same, |slot| hashes[*slot as usize]) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                // Parts are cut so that their rows are far fewer than a u32 can count.
                #[allow(clippy::cast_possible_truncation, reason = "see above")]
                let slot = self.hashes.len() as u32;
                let offset = u32::try_from(self.long.len()).unwrap_or_else(|_| {
                    self.overfull = true;
                    0
                });
                new.insert(slot);
                self.hashes.push(hash);
                if is_inline(view) {
                    self.views.push(view);
                } else {
                    let key = piece.keys.value(row).as_bytes();
                    self.views.push(make_view(key, 0, offset));
                    self.long.extend_from_slice(key);
                }
                slot
            }
        }
    }

    /// Customers so far.
    pub fn customers(&self) -> usize {
        self.hashes.len()
    }

    /// Bytes of memory, about.
    pub fn size(&self) -> usize {
        // A key has its view, its hash, its place in the table and its bits; a value its number and its count.
        let of_customer = size_of::<u128>() + size_of::<u64>() + 8 + self.values.len() * size_of::<(f64, u32)>();
        self.customers() * of_customer + self.long.len()
    }

    /// The keys, the bits and each of the values.
    ///
    /// # Errors
    /// Where the keys are no texts, which is a fault of the program.
    pub fn finish(self) -> Result<(ArrayRef, ArrayRef, Vec<ArrayRef>), ArrowError> {
        let customers = self.customers();
        let columns = self.values.into_iter().map(|folded| folded.finish(customers)).collect();
        let texts = if self.long.is_empty() { Vec::new() } else { vec![Buffer::from(self.long)] };
        let keys = StringViewArray::try_new(self.views.into(), texts, None)?;
        Ok((Arc::new(keys), Arc::new(UInt8Array::from(self.bits)), columns))
    }
}

/// The text of a view that does not hold it itself.
fn long_text(view: u128, long: &[u8]) -> Option<&[u8]> {
    let view = ByteView::from(view);
    let start = view.offset as usize;
    long.get(start..start + view.length as usize).filter(|_| !is_inline(view.as_u128()))
}
