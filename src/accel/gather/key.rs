//! Keys as the grouping sees them: their hashes, and the part that a hash belongs to.

use std::hash::BuildHasher;

use datafusion::arrow::array::StringViewArray;
use datafusion::common::hash_utils::QualityRandomState;

/// Any number will do; that it is fixed makes two runs over one file alike.
const SEED: u64 = 11;

/// Longest text, in bytes, that a view holds itself.
const INLINE: u32 = 12;

/// First of the hash's bits that tell the part. Those of a table's bucket are at the lower end, its tags at the upper.
const PART_BITS: u32 = 40;

/// Parts there may be at most.
pub const MOST_PARTS: usize = 1 << 12;

/// Whether a view holds all of its text, so that two texts are equal exactly when their views are.
pub fn is_inline(view: u128) -> bool {
    #[allow(clippy::cast_possible_truncation, reason = "the lower 32 bits of a view are the length")]
    let length = view as u32;
    length <= INLINE
}

/// Hashes keys.
#[derive(Debug, Clone)]
pub struct Hashing(QualityRandomState);

impl Hashing {
    /// The same in every run.
    pub fn new() -> Self {
        Self(QualityRandomState::with_seed(SEED))
    }

    /// Hash of the key in a row, whose view is at hand.
    pub fn of(&self, view: u128, keys: &StringViewArray, row: usize) -> u64 {
        match is_inline(view) {
            true => self.0.hash_one(view),
            false => self.0.hash_one(keys.value(row)),
        }
    }
}

/// The part of a hash, of a power of two of parts.
pub fn part(hash: u64, parts: usize) -> usize {
    #[allow(clippy::cast_possible_truncation, reason = "cut to the number of parts")]
    let bits = (hash >> PART_BITS) as usize;
    bits & (parts - 1)
}
