//! How much an engine takes in and takes up, and what stands for a limit that nobody set.

use std::fs::read_to_string;
use std::path::Path;

use super::EngineError;

/// Temporary files of all runs together, in bytes.
pub const TEMP: u64 = 64 << 30;

/// Rows of one input.
pub const ROWS: u64 = 10_000_000_000;

/// Bytes of one input, unpacked.
pub const INPUT_BYTES: u64 = 1 << 40;

/// Memory that is taken where the machine does not say what it has.
const UNKNOWN_MACHINE: usize = 2 << 30;

/// What an input may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputLimits {
    /// Rows.
    pub rows: u64,
    /// Bytes of its files; for Parquet, what they say that they take once unpacked.
    pub bytes: u64,
}

impl InputLimits {
    /// Refuses an input with more rows.
    ///
    /// # Errors
    /// Where it has.
    pub fn admit_rows(&self, role: &str, path: &str, rows: u64) -> Result<(), EngineError> {
        if rows <= self.rows {
            return Ok(());
        }
        let reason = format!("it has {rows} rows, and at most {} are taken", self.rows);
        Err(too_large(role, path, reason, "--max-rows"))
    }

    /// Refuses an input with more bytes.
    ///
    /// # Errors
    /// Where it has.
    pub fn admit_bytes(&self, role: &str, path: &str, bytes: u64) -> Result<(), EngineError> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let reason = format!("it takes {bytes} bytes unpacked, and at most {} are taken", self.bytes);
        Err(too_large(role, path, reason, "--max-input-bytes"))
    }
}

fn too_large(role: &str, path: &str, reason: String, flag: &str) -> EngineError {
    let hint = format!("split the input, or raise the limit with {flag}");
    EngineError::Unreadable { role: role.to_owned(), path: path.to_owned(), reason, hint, source: None }
}

/// Memory for runs where nobody set a limit: six tenths of what the machine or the container has.
///
/// The rest is for what no pool counts: batches on their way, the pages being unpacked, and the system's file cache.
pub fn memory() -> usize {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    // Version 2 and version 1 of control groups, as a container sees them.
    let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = container.iter().find_map(|file| read_to_string(Path::new(file)).ok()?.trim().parse().ok());
    match machine.into_iter().chain(container).min() {
        Some(bytes) => usize::try_from(bytes / 10 * 6).unwrap_or(usize::MAX),
        None => UNKNOWN_MACHINE,
    }
}

/// The memory that a machine has, of /proc/meminfo.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_asked_for_its_memory() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       24576 kB\n"), Some(24 << 20));
        assert_eq!(total("nothing of the sort"), None);
        assert!(memory() >= 64 << 20);
    }

    #[test]
    fn what_exceeds_a_limit_is_told_with_its_flag() {
        let limits = InputLimits { rows: 10, bytes: 100 };
        assert!(
            limits.admit_rows("input `usage`", "u", 10).is_ok()
                && limits.admit_bytes("input `usage`", "u", 100).is_ok()
        );
        let rows = limits.admit_rows("input `usage`", "u.parquet", 11).unwrap_err().to_string();
        assert!(
            rows.contains("input `usage` (u.parquet)") && rows.contains("hint: ") && rows.contains("--max-rows"),
            "{rows}"
        );
        let bytes = limits.admit_bytes("input `usage`", "u.parquet", 101).unwrap_err().to_string();
        assert!(bytes.contains("101 bytes") && bytes.contains("--max-input-bytes"), "{bytes}");
    }
}
