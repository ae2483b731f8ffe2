//! Regular files, and nothing else: opening a pipe waits for its other end, and a device may have none.

use std::fs::{File, FileType, Metadata, metadata};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Opens a file to read, where it is a regular one.
///
/// # Errors
/// Where it is something else, which is found without opening it, or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    check(&metadata(path)?)?;
    File::open(path)
}

/// Refuses what is no regular file; links were followed to get its metadata.
///
/// # Errors
/// What it is instead.
pub fn check(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let message = format!("it is {}, and no regular file", name(found.file_type()));
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

fn name(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listening = UnixListener::bind(&socket).unwrap();
        for (path, told) in
            [(folder.path(), "a folder"), (socket.as_path(), "a socket"), (Path::new("/dev/zero"), "a device")]
        {
            let error = open(path).unwrap_err();
            assert_eq!(error.to_string(), format!("it is {told}, and no regular file"));
        }
        std::fs::write(folder.path().join("file"), "x").unwrap();
        assert!(open(&folder.path().join("file")).is_ok());
    }
}
