//! How much an input may have.

/// What an input may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputLimits {
    /// Rows.
    pub rows: u64,
    /// Bytes of its files; for Parquet, what they say that they take once unpacked.
    pub bytes: u64,
}

/// An input is larger than the engine takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// It has too many rows.
    #[error("it has {rows} rows, and at most {limit} are taken")]
    Rows {
        /// Its rows.
        rows: u64,
        /// The most that are taken.
        limit: u64,
    },
    /// It has too many bytes.
    #[error("it takes {bytes} bytes unpacked, and at most {limit} are taken")]
    Bytes {
        /// Its bytes, unpacked.
        bytes: u64,
        /// The most that are taken.
        limit: u64,
    },
}

impl LimitExceeded {
    /// The way out.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Rows { .. } => "split the input, or raise the limit with --max-rows",
            Self::Bytes { .. } => "split the input, or raise the limit with --max-input-bytes",
        }
    }
}

impl InputLimits {
    /// Refuses an input with more rows.
    ///
    /// # Errors
    /// Where it has.
    pub fn admit_rows(&self, rows: u64) -> Result<(), LimitExceeded> {
        let limit = self.rows;
        if rows <= limit { Ok(()) } else { Err(LimitExceeded::Rows { rows, limit }) }
    }

    /// Refuses an input with more bytes.
    ///
    /// # Errors
    /// Where it has.
    pub fn admit_bytes(&self, bytes: u64) -> Result<(), LimitExceeded> {
        let limit = self.bytes;
        if bytes <= limit { Ok(()) } else { Err(LimitExceeded::Bytes { bytes, limit }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_a_limit_is_told_with_its_flag() {
        let limits = InputLimits { rows: 10, bytes: 100 };
        assert!(limits.admit_rows(10).is_ok() && limits.admit_bytes(100).is_ok());
        let rows = limits.admit_rows(11).unwrap_err();
        assert_eq!(rows.to_string(), "it has 11 rows, and at most 10 are taken");
        assert!(rows.hint().contains("--max-rows"), "{}", rows.hint());
        let bytes = limits.admit_bytes(101).unwrap_err();
        assert_eq!(bytes.to_string(), "it takes 101 bytes unpacked, and at most 100 are taken");
        assert!(bytes.hint().contains("--max-input-bytes"), "{}", bytes.hint());
    }
}
