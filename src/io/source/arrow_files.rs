//! Arrow IPC files of an input, looked at before a reader believes them: on the disk, or in pieces from their store.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use url::Url;

use super::{LOOKS, shown};
use crate::intake::IntakeError;
use crate::intake::ipc_file::{ArrowFault, check_file};
use crate::regular;

/// Bytes that are asked of a store at once: messages are short, and batches are passed over.
const PIECE: u64 = 64 << 10;

/// Looks at the files of an input.
///
/// # Errors
/// The first that makes a reader allocate or seek what it has not.
pub async fn check_files(at: &Url, store: &Arc<dyn ObjectStore>, files: &[ObjectMeta]) -> Result<(), IntakeError> {
    let is_local = at.scheme() == "file";
    let checks = stream::iter(files.to_vec()).map(|file| {
        let store = store.clone();
        async move {
            let object = file.clone();
            let handle = Handle::current();
            let check = tokio::task::spawn_blocking(move || match is_local {
                true => check_file(&mut BufReader::new(open_local(&object)?)),
                false => check_file(&mut ObjectReader::new(store, object, handle)),
            });
            let outcome = check.await.map_err(|stopped| ArrowFault::Io(io::Error::other(stopped)));
            (outcome.and_then(|outcome| outcome), file)
        }
    });
    let mut checks = std::pin::pin!(checks.buffered(LOOKS));
    while let Some((outcome, file)) = checks.next().await {
        match outcome {
            // What is gone or denied is told by whoever opens it next, in words for that.
            Ok(()) | Err(ArrowFault::Io(_)) => {}
            Err(fault) => {
                let file = (files.len() > 1).then(|| shown(at, &file.location));
                return Err(IntakeError::Arrow { file, fault });
            }
        }
    }
    Ok(())
}

fn open_local(file: &ObjectMeta) -> io::Result<File> {
    regular::open(&LocalFileSystem::new().path_to_filesystem(&file.location)?)
}

/// An object as a file that is read in pieces; belongs to a thread that may block.
struct ObjectReader {
    store: Arc<dyn ObjectStore>,
    object: ObjectMeta,
    runtime: Handle,
    position: u64,
    piece: Bytes,
    piece_at: u64,
}

impl ObjectReader {
    fn new(store: Arc<dyn ObjectStore>, object: ObjectMeta, runtime: Handle) -> Self {
        Self { store, object, runtime, position: 0, piece: Bytes::new(), piece_at: 0 }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.object.size || buffer.is_empty() {
            return Ok(0);
        }
        let within = |piece_at: u64, piece: &Bytes, position: u64| {
            position
                .checked_sub(piece_at)
                .and_then(|from| usize::try_from(from).ok())
                .filter(|from| *from < piece.len())
        };
        if within(self.piece_at, &self.piece, self.position).is_none() {
            let wanted = PIECE.max(buffer.len() as u64);
            let end = self.position.saturating_add(wanted).min(self.object.size);
            let range = self.store.get_range(&self.object.location, self.position..end);
            self.piece = self.runtime.block_on(range).map_err(io::Error::from)?;
            self.piece_at = self.position;
        }
        let Some(from) = within(self.piece_at, &self.piece, self.position) else { return Ok(0) };
        let count = buffer.len().min(self.piece.len() - from);
        buffer[..count].copy_from_slice(&self.piece[from..from + count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.object.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
