//! Files that do not outlive a call: what was received, and tables that are only sent back.

use std::fs::File;
use std::path::Path;

use crate::intake::ipc;
use crate::intake::ipc::{Intake, StreamFault};
use crate::io::IoError;

/// A new file in such a folder.
///
/// # Errors
/// Where the disk refuses.
pub fn file(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// Checks an Arrow IPC stream and writes it down as an Arrow IPC file.
///
/// # Errors
/// What is wrong with the stream, or with the disk.
pub async fn rewrite_stream(role: &str, stream: &Path, to: &Path, intake: Intake) -> Result<u64, IoError> {
    let (from, into) = (stream.to_owned(), to.to_owned());
    let work = tokio::task::spawn_blocking(move || ipc::rewrite(&from, file(&into)?, &intake));
    let reason = match work.await {
        Ok(Ok(rows)) => return Ok(rows),
        Ok(Err(StreamFault::Io(error))) => {
            return Err(IoError::TempDir { path: to.display().to_string(), source: error });
        }
        Ok(Err(fault)) => fault.to_string(),
        Err(stopped) => stopped.to_string(),
    };
    Err(IoError::Unreadable {
        role: role.to_owned(),
        path: "streamed".to_owned(),
        reason,
        hint: "send a whole Arrow IPC stream, as pyarrow's new_stream or arrow's StreamWriter make it".to_owned(),
        source: None,
    })
}
