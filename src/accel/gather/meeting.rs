//! The rows of one part become customers: each key once, with what its rows say.

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanBufferBuilder, ByteView, Float64Array, Int64Array, StringViewArray, UInt8Array, make_view,
};
use datafusion::arrow::buffer::{Buffer, NullBuffer};
use datafusion::arrow::error::ArrowError;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::ops::Range;
use std::sync::Arc;

use super::key::{Hashing, is_inline};
use super::piece::Piece;

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

impl Fold {
    fn counts(self) -> bool {
        matches!(self, Self::Average | Self::Count)
    }

    /// Bytes that a customer takes.
    fn width(self) -> usize {
        size_of::<f64>() + if self.counts() { size_of::<u32>() } else { 0 }
    }
}

/// Values of one column: for each customer what they came to so far.
struct Folded {
    how: Fold,
    /// 0 where no value was seen.
    values: Vec<f64>,
    known: BooleanBufferBuilder,
    /// How many they were, where the fold needs to know.
    numbers: Vec<u32>,
}

impl Folded {
    fn new(how: Fold, customers: usize) -> Self {
        let counted = if how.counts() { customers } else { 0 };
        Self {
            how,
            values: Vec::with_capacity(customers),
            known: BooleanBufferBuilder::new(customers),
            numbers: Vec::with_capacity(counted),
        }
    }

    fn grow(&mut self, customers: usize) {
        self.known.advance(customers - self.values.len());
        self.values.resize(customers, 0.0);
        if self.how.counts() {
            self.numbers.resize(customers, 0);
        }
    }

    fn add(&mut self, slots: &[u32], own: &Float64Array, rows: Range<usize>) {
        match self.how {
            // As the engine's own aggregates have it: what cannot be compared takes the place of what was there.
            Fold::Largest => self.each(slots, own, rows, f64::MIN, |all, value| if value <= all { all } else { value }),
            Fold::Smallest => {
                self.each(slots, own, rows, f64::MAX, |all, value| if value >= all { all } else { value })
            }
            Fold::Sum | Fold::Average | Fold::Count => self.each(slots, own, rows, 0.0, |all, value| all + value),
        }
    }

    fn each(
        &mut self,
        slots: &[u32],
        own: &Float64Array,
        rows: Range<usize>,
        first: f64,
        with: impl Fn(f64, f64) -> f64,
    ) {
        let (values, known, numbers) = (&mut self.values, &mut self.known, &mut self.numbers);
        let mut put = |slot: usize, value: f64| {
            let all = if known.get_bit(slot) { values[slot] } else { first };
            values[slot] = with(all, value);
            known.set_bit(slot, true);
            if let Some(number) = numbers.get_mut(slot) {
                *number += 1;
            }
        };
        let pairs = slots.iter().zip(&own.values()[rows.clone()]).map(|(slot, value)| (*slot as usize, *value));
        match own.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => pairs.for_each(|(slot, value)| put(slot, value)),
            Some(nulls) => {
                let there = pairs.zip(rows).filter(|(_, row)| nulls.is_valid(*row));
                there.for_each(|((slot, value), _)| put(slot, value));
            }
        }
    }

    fn finish(mut self, customers: usize) -> ArrayRef {
        self.grow(customers);
        if self.how == Fold::Count {
            return Arc::new(Int64Array::from_iter_values(self.numbers.into_iter().map(i64::from)));
        }
        if self.how == Fold::Average {
            for (value, number) in self.values.iter_mut().zip(&self.numbers).filter(|(_, number)| **number > 0) {
                *value /= f64::from(*number);
            }
        }
        Arc::new(Float64Array::new(self.values.into(), Some(NullBuffer::new(self.known.finish()))))
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
    /// 0 where no row has any.
    bits: Vec<u8>,
    bits_known: BooleanBufferBuilder,
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
        Self {
            hashing,
            table: HashTable::with_capacity(customers),
            hashes: Vec::with_capacity(customers),
            views: Vec::with_capacity(customers),
            long: Vec::new(),
            bits: Vec::with_capacity(customers),
            bits_known: BooleanBufferBuilder::new(customers),
            values: folds.iter().map(|how| Folded::new(*how, customers)).collect(),
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
        self.bits_known.advance(customers - self.bits.len());
        self.bits.resize(customers, 0);
        let own = rows.clone().map(|row| piece.bits.get(row));
        for (slot, own) in self.slots.iter().zip(own).filter_map(|(slot, own)| Some((*slot as usize, own?))) {
            let seen = &mut self.bits[slot];
            self.repeated |= *seen & own;
            *seen |= own;
            self.bits_known.set_bit(slot, true);
        }
        for (at, own) in &piece.values {
            let folded = &mut self.values[*at];
            folded.grow(customers);
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
        // A key has its view, its hash, and its place in the table beside its bits.
        let of_key = size_of::<u128>() + size_of::<u64>() + 8;
        let of_customer = of_key + self.values.iter().map(|folded| folded.how.width()).sum::<usize>();
        self.customers() * of_customer + self.long.len()
    }

    /// The keys, the bits and each of the values.
    ///
    /// # Errors
    /// Where the keys are no texts, which is a fault of the program.
    pub fn finish(mut self) -> Result<(ArrayRef, ArrayRef, Vec<ArrayRef>), ArrowError> {
        let customers = self.customers();
        let columns = self.values.into_iter().map(|folded| folded.finish(customers)).collect();
        let texts = if self.long.is_empty() { Vec::new() } else { vec![Buffer::from(self.long)] };
        let keys = StringViewArray::try_new(self.views.into(), texts, None)?;
        let bits = UInt8Array::new(self.bits.into(), Some(NullBuffer::new(self.bits_known.finish())));
        Ok((Arc::new(keys), Arc::new(bits), columns))
    }
}

/// The text of a view that does not hold it itself.
fn long_text(view: u128, long: &[u8]) -> Option<&[u8]> {
    let view = ByteView::from(view);
    let start = view.offset as usize;
    long.get(start..start + view.length as usize).filter(|_| !is_inline(view.as_u128()))
}
