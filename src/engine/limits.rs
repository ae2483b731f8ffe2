//! What stands for a limit that nobody set: memory, temporary files, rows and bytes of an input.

use std::fs::read_to_string;
use std::path::Path;

/// Temporary files of all runs together, in bytes.
pub const TEMP: u64 = 64 << 30;

/// Rows of one input.
pub const ROWS: u64 = 10_000_000_000;

/// Bytes of one input, unpacked.
pub const INPUT_BYTES: u64 = 1 << 40;

/// Memory that is taken where the machine does not say what it has.
const UNKNOWN_MACHINE: usize = 2 << 30;

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
}
