//! One register: a block of numbers or conditions, and which of them are null.

use datafusion::arrow::array::{Array, AsArray, BooleanArray, BooleanBufferBuilder};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};

use super::program::Comparison;

/// Rows that are computed at a time: so few that a program's registers fit into the nearest cache.
pub const BLOCK: usize = 256;

const YES: u64 = u64::MAX;

/// What is known of a mask without looking at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// No row.
    #[default]
    Nowhere,
    /// Every row.
    Everywhere,
    /// See the words.
    Mixed,
}

/// Rows of a block, each a word of ones or of zeros, as wide as the numbers they go with.
#[derive(Debug, Clone)]
pub struct Mask {
    /// What is known; the words mean nothing unless it is [`State::Mixed`].
    pub state: State,
    words: Box<[u64; BLOCK]>,
}

impl Default for Mask {
    fn default() -> Self {
        Self { state: State::Nowhere, words: Box::new([0; BLOCK]) }
    }
}

impl Mask {
    /// Whether a row is in it.
    pub fn has(&self, row: usize) -> bool {
        match self.state {
            State::Nowhere => false,
            State::Everywhere => true,
            State::Mixed => self.words[row] != 0,
        }
    }

    fn fill(&mut self, words: impl Fn(usize) -> u64) {
        let (mut any, mut all) = (0, YES);
        for (row, word) in self.words.iter_mut().enumerate() {
            *word = words(row);
            any |= *word;
            all &= *word;
        }
        self.settle(any, all);
    }

    fn settle(&mut self, any: u64, all: u64) {
        self.state = match (any, all) {
            (0, _) => State::Nowhere,
            (_, YES) => State::Everywhere,
            _ => State::Mixed,
        };
    }

    /// Becomes another.
    pub fn copy(&mut self, other: &Self) {
        self.state = other.state;
        if other.state == State::Mixed {
            self.words.copy_from_slice(other.words.as_slice());
        }
    }

    /// Rows of both.
    pub fn and(&mut self, a: &Self, b: &Self) {
        match (a.state, b.state) {
            (State::Nowhere, _) | (_, State::Nowhere) => self.state = State::Nowhere,
            (State::Everywhere, _) => self.copy(b),
            (_, State::Everywhere) => self.copy(a),
            (State::Mixed, State::Mixed) => self.fill(|row| a.words[row] & b.words[row]),
        }
    }

    /// Keeps the rows that another has too.
    pub fn retain(&mut self, other: &Self) {
        match (self.state, other.state) {
            (State::Nowhere, _) | (_, State::Everywhere) => {}
            (_, State::Nowhere) => self.state = State::Nowhere,
            (State::Everywhere, State::Mixed) => self.copy(other),
            (State::Mixed, State::Mixed) => {
                let (mut any, mut all) = (0, YES);
                for (word, other) in self.words.iter_mut().zip(other.words.iter()) {
                    *word &= other;
                    any |= *word;
                    all &= *word;
                }
                self.settle(any, all);
            }
        }
    }

    /// Rows that another has not.
    pub fn complement(&mut self, other: &Self) {
        match other.state {
            State::Nowhere => self.state = State::Everywhere,
            State::Everywhere => self.state = State::Nowhere,
            State::Mixed => self.fill(|row| !other.words[row]),
        }
    }

    /// Rows of one or the other.
    pub fn or(&mut self, a: &Self, b: &Self) {
        match (a.state, b.state) {
            (State::Everywhere, _) | (_, State::Everywhere) => self.state = State::Everywhere,
            (State::Nowhere, _) => self.copy(b),
            (_, State::Nowhere) => self.copy(a),
            (State::Mixed, State::Mixed) => self.fill(|row| a.words[row] | b.words[row]),
        }
    }

    /// Rows of the first that the second has not.
    pub fn without(&mut self, a: &Self, b: &Self) {
        match (a.state, b.state) {
            (State::Nowhere, _) | (_, State::Everywhere) => self.state = State::Nowhere,
            (_, State::Nowhere) => self.copy(a),
            (State::Everywhere, State::Mixed) => self.fill(|row| !b.words[row]),
            (State::Mixed, State::Mixed) => self.fill(|row| a.words[row] & !b.words[row]),
        }
    }

    /// Takes the rows of `chosen` from another mask, and leaves the rest.
    pub fn choose(&mut self, chosen: &Self, other: &Self) {
        match chosen.state {
            State::Nowhere => {}
            State::Everywhere => self.copy(other),
            State::Mixed if self.state == other.state && self.state != State::Mixed => {}
            State::Mixed => {
                let word = |mask: &Self, row: usize| if mask.has(row) { YES } else { 0 };
                let own: [u64; BLOCK] = std::array::from_fn(|row| word(self, row));
                self.fill(|row| (chosen.words[row] & word(other, row)) | (!chosen.words[row] & own[row]));
            }
        }
    }

    /// Appends some rows, the first of the block, as bits.
    pub fn append_to(&self, bits: &mut BooleanBufferBuilder, rows: usize) {
        match self.state {
            State::Nowhere => bits.append_n(rows, false),
            State::Everywhere => bits.append_n(rows, true),
            State::Mixed => {
                let mut packed = [0_u8; BLOCK / 8];
                for (byte, words) in packed.iter_mut().zip(self.words.chunks_exact(8)) {
                    *byte = words.iter().rev().fold(0, |byte, word| (byte << 1) | u8::from(*word != 0));
                }
                bits.append_packed_range(0..rows, &packed);
            }
        }
    }

    /// The rows that a buffer of nulls has values for.
    pub fn load(&mut self, nulls: Option<&NullBuffer>, start: usize, rows: usize) {
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => self.state = State::Everywhere,
            Some(nulls) if rows == BLOCK => self.unpack(&nulls.inner().slice(start, rows)),
            Some(nulls) => self.fill(|row| if row >= rows || nulls.is_valid(start + row) { YES } else { 0 }),
        }
    }

    /// Bits of a whole block.
    fn unpack(&mut self, bits: &BooleanBuffer) {
        let (mut any, mut all) = (0, YES);
        for (words, packed) in self.words.chunks_exact_mut(64).zip(bits.bit_chunks().iter_padded()) {
            any |= packed;
            all &= packed;
            for (at, word) in words.iter_mut().enumerate() {
                *word = 0_u64.wrapping_sub((packed >> at) & 1);
            }
        }
        self.settle(any, all);
    }
}

/// A block of outcomes. A condition's rows are those where it is true, all of them among the valid ones.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Numbers, which mean nothing where they are not valid.
    pub numbers: Box<[f64; BLOCK]>,
    /// Rows where a condition is true.
    pub truth: Mask,
    /// Rows that are not null.
    pub valid: Mask,
}

impl Default for Lane {
    fn default() -> Self {
        Self { numbers: Box::new([0.0; BLOCK]), truth: Mask::default(), valid: Mask::default() }
    }
}

/// Numbers that a step reads.
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    /// One for each row.
    Rows(&'a [f64; BLOCK]),
    /// The same for all.
    All(f64),
}

impl Lane {
    /// Takes in rows of an array of numbers; whole numbers become the nearest ones that there are.
    ///
    /// `false` where the array has no numbers in it.
    pub fn load_numbers(&mut self, array: &dyn Array, start: usize, rows: usize) -> bool {
        macro_rules! widen {
            ($($variant:ident $kind:ty),*) => {
                match array.data_type() {
                    DataType::Float64 => {
                        let values = &array.as_primitive::<Float64Type>().values()[start..start + rows];
                        self.numbers[..rows].copy_from_slice(values);
                    }
                    $(DataType::$variant => {
                        let values = &array.as_primitive::<$kind>().values()[start..start + rows];
                        for (number, value) in self.numbers.iter_mut().zip(values) {
                            #[allow(clippy::cast_precision_loss, clippy::cast_lossless, reason = "as SQL's CAST has it")]
                            let wide = *value as f64;
                            *number = wide;
                        }
                    })*
                    _ => return false,
                }
            };
        }
        widen!(Float32 Float32Type, Int8 Int8Type, Int16 Int16Type, Int32 Int32Type, Int64 Int64Type, UInt8 UInt8Type,
            UInt16 UInt16Type, UInt32 UInt32Type, UInt64 UInt64Type);
        self.valid.load(array.nulls(), start, rows);
        true
    }

    /// Takes in rows of an array of conditions.
    pub fn load_truth(&mut self, array: &BooleanArray, start: usize, rows: usize) {
        self.valid.load(array.nulls(), start, rows);
        let is_true = |row: usize| row < rows && array.is_valid(start + row) && array.value(start + row);
        self.truth.fill(|row| if is_true(row) { YES } else { 0 });
    }

    /// Computes a number of two.
    pub fn compute(&mut self, a: Operand<'_>, b: Operand<'_>, of: impl Fn(f64, f64) -> f64) {
        let numbers = self.numbers.iter_mut();
        match (a, b) {
            (Operand::Rows(a), Operand::Rows(b)) => {
                numbers.zip(a.iter().zip(b)).for_each(|(number, (a, b))| *number = of(*a, *b));
            }
            (Operand::Rows(a), Operand::All(b)) => numbers.zip(a).for_each(|(number, a)| *number = of(*a, b)),
            (Operand::All(a), Operand::Rows(b)) => numbers.zip(b).for_each(|(number, b)| *number = of(a, *b)),
            (Operand::All(a), Operand::All(b)) => self.numbers.fill(of(a, b)),
        }
    }

    /// Compares two numbers, into the truth of rows that are valid already.
    pub fn compare(&mut self, how: Comparison, a: Operand<'_>, b: Operand<'_>) {
        let unordered = match how {
            Comparison::Less => self.compare_ordered(a, b, |a, b| a < b),
            Comparison::LessOrEqual => self.compare_ordered(a, b, |a, b| a <= b),
            Comparison::Equal => self.compare_ordered(a, b, |a, b| a == b),
            Comparison::NotEqual => self.compare_ordered(a, b, |a, b| a != b),
        };
        if unordered {
            self.compare_ordered(a, b, |a, b| {
                // Adding 0 makes the two zeros one.
                let order = (a + 0.0).total_cmp(&(b + 0.0));
                match how {
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::Equal => order.is_eq(),
                    Comparison::NotEqual => order.is_ne(),
                }
            });
        }
        self.truth.retain(&self.valid);
    }

    /// `true` where NaN is among the numbers, for which such comparisons mean nothing.
    fn compare_ordered(&mut self, a: Operand<'_>, b: Operand<'_>, is: impl Fn(f64, f64) -> bool) -> bool {
        match (a, b) {
            (Operand::Rows(a), Operand::Rows(b)) => self.compare_rows(|row| (a[row], b[row]), is),
            (Operand::Rows(a), Operand::All(b)) => self.compare_rows(|row| (a[row], b), is),
            (Operand::All(a), Operand::Rows(b)) => self.compare_rows(|row| (a, b[row]), is),
            (Operand::All(a), Operand::All(b)) => {
                self.truth.state = if is(a, b) { State::Everywhere } else { State::Nowhere };
                a.is_nan() | b.is_nan()
            }
        }
    }

    fn compare_rows(&mut self, pair: impl Fn(usize) -> (f64, f64), is: impl Fn(f64, f64) -> bool) -> bool {
        let (mut any, mut all, mut unordered) = (0, YES, 0);
        for (row, word) in self.truth.words.iter_mut().enumerate() {
            let (a, b) = pair(row);
            *word = if is(a, b) { YES } else { 0 };
            any |= *word;
            all &= *word;
            unordered |= if a.is_nan() | b.is_nan() { YES } else { 0 };
        }
        self.truth.settle(any, all);
        unordered != 0
    }

    /// Becomes these numbers.
    pub fn put(&mut self, numbers: Operand<'_>) {
        match numbers {
            Operand::Rows(numbers) => self.numbers.copy_from_slice(numbers),
            Operand::All(number) => self.numbers.fill(number),
        }
    }

    /// Takes the numbers of some rows, and leaves the rest.
    pub fn choose(&mut self, chosen: &Mask, other: Operand<'_>) {
        let pick =
            |chosen: u64, own: f64, other: f64| f64::from_bits((chosen & other.to_bits()) | (!chosen & own.to_bits()));
        match chosen.state {
            State::Nowhere => {}
            State::Everywhere => self.put(other),
            State::Mixed => {
                let rows = self.numbers.iter_mut().zip(chosen.words.iter());
                match other {
                    Operand::All(other) => rows.for_each(|(own, chosen)| *own = pick(*chosen, *own, other)),
                    Operand::Rows(others) => {
                        rows.zip(others).for_each(|((own, chosen), other)| *own = pick(*chosen, *own, *other));
                    }
                }
            }
        }
    }
}
