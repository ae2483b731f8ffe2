//! Errors of the engine's that say that a limit was met.

use std::io;

use datafusion::error::DataFusionError;

use crate::error::causes;
use crate::io::IoError;

/// What the engine's message names where spilled data takes too much.
const SPILL_LIMIT: &str = "datafusion.runtime.max_temp_directory_size";

/// The error as one of a limit, or itself again.
pub fn exhausted(error: DataFusionError) -> Result<IoError, DataFusionError> {
    // It comes as such, or in the words of whatever wrote the file.
    if error.to_string().contains(SPILL_LIMIT) {
        let message = "the temporary files of all runs together exceed their limit".to_owned();
        let hint = "raise --temp-limit, or --memory-limit so that less is spilled";
        return Ok(IoError::Exhausted { message, hint, source: Box::new(error) });
    }
    if let DataFusionError::ResourcesExhausted(message) = error.find_root() {
        let message = message.lines().next().unwrap_or_default();
        let message = message.split(" with top memory consumers").next().unwrap_or(message);
        let (message, hint) = (format!("memory ran out: {message}"), "raise --memory-limit, or run less at once");
        return Ok(IoError::Exhausted { message, hint, source: Box::new(error) });
    }
    let full = io_error(&error)
        .is_some_and(|io| matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded));
    if full {
        let message = "the disk for temporary files is full".to_owned();
        let hint = "free space on it, or name a folder on another one with --temp-dir";
        return Ok(IoError::Exhausted { message, hint, source: Box::new(error) });
    }
    Err(error)
}

/// The system's error at the root of an engine's.
pub fn io_error(error: &DataFusionError) -> Option<io::Error> {
    let code = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(io::Error::raw_os_error)?;
    Some(io::Error::from_raw_os_error(code))
}
