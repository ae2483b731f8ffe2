//! Brings a file to disk while it is being written, so that little is left to wait for once it is whole.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Bytes that come together before they are brought to disk: enough for the disk to be busy with them in one go.
const STRETCH: u64 = 32 << 20;

/// What is on its way to disk. Belongs to a thread that may block.
pub struct WriteBehind {
    file: Arc<File>,
    begun: u64,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl WriteBehind {
    /// For a file of which nothing is written yet.
    ///
    /// # Errors
    /// Where the file cannot be opened a second time.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self { file: Arc::new(file.try_clone()?), begun: 0, syncing: None })
    }

    /// Brings the first so many bytes to disk, if they are worth it and the disk has done what it was told before.
    ///
    /// # Errors
    /// Where the disk refused those. It says so only once, so that an error may not be passed over.
    pub fn so_far(&mut self, bytes: u64) -> io::Result<()> {
        if bytes - self.begun < STRETCH || self.syncing.as_ref().is_some_and(|syncing| !syncing.is_finished()) {
            return Ok(());
        }
        self.wait()?;
        let file = self.file.clone();
        self.syncing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        self.begun = bytes;
        Ok(())
    }

    /// Waits for the disk.
    ///
    /// # Errors
    /// As with [`WriteBehind::so_far`].
    pub fn wait(&mut self) -> io::Result<()> {
        match self.syncing.take() {
            Some(syncing) => Handle::current().block_on(syncing).map_err(io::Error::other)?,
            None => Ok(()),
        }
    }
}
