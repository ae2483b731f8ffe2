//! The folder of an engine's temporary files: held by a lock, so that what a killed process left is told from what is used.

use std::fs::{self, DirEntry, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::scratch::file;
use crate::io::IoError;
use crate::regular;

/// What names of such folders begin with.
const PREFIX: &str = "customer-health-work-";

/// The file in it that its process holds locked.
const LOCK: &str = "lock";

/// How long a folder may be without a lock: its process is about to make one.
const NEW: Duration = Duration::from_secs(60);

/// A folder that belongs to one engine; dropping it removes it with everything inside.
#[derive(Debug)]
pub struct Workspace {
    folder: TempDir,
    _lock: File,
}

impl Workspace {
    /// Removes what killed processes left in a folder for temporary files, and makes a new folder in it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn new(above: Option<&Path>) -> Result<Self, IoError> {
        let above = above.map_or_else(std::env::temp_dir, Path::to_owned);
        let failed = |source| IoError::TempDir { path: above.display().to_string(), source };
        fs::create_dir_all(&above).map_err(failed)?;
        sweep(&above);
        loop {
            let mut builder = tempfile::Builder::new();
            let builder = builder.prefix(PREFIX).permissions(Permissions::from_mode(0o700));
            let folder = builder.tempdir_in(&above).map_err(failed)?;
            if let Some(lock) = hold(&folder.path().join(LOCK)).map_err(failed)? {
                return Ok(Self { folder, _lock: lock });
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder of its own for what does not outlive a call; dropping it removes it.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn scratch(&self) -> Result<TempDir, IoError> {
        let failed = |source| IoError::TempDir { path: self.path().display().to_string(), source };
        tempfile::Builder::new().prefix("call-").tempdir_in(self.path()).map_err(failed)
    }
}

/// A locked file; `None` where another process was quicker to take the folder for left over.
fn hold(path: &Path) -> io::Result<Option<File>> {
    let lock = match file(path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if lock.try_lock().is_err() {
        return Ok(None);
    }
    let there = fs::metadata(path).ok().map(|file| file.ino());
    Ok((there == Some(lock.metadata()?.ino())).then_some(lock))
}

/// Removes the folders that no living process holds. What cannot be removed belongs to somebody else.
fn sweep(above: &Path) {
    for entry in above.read_dir().into_iter().flatten().flatten() {
        if let Some((folder, lock)) = left_over(&entry) {
            match fs::remove_dir_all(&folder) {
                Ok(()) => tracing::info!("removed {}, which a killed process left", folder.display()),
                Err(error) => tracing::warn!("cannot remove {}: {error}", folder.display()),
            }
            // Held until the folder is gone, so that nobody else removes it too.
            drop(lock);
        }
    }
}

/// The folder with its lock, where it is one of ours that nobody holds.
fn left_over(entry: &DirEntry) -> Option<(PathBuf, Option<File>)> {
    // A link is none, wherever it leads.
    let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
    if !is_folder || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
        return None;
    }
    let folder = entry.path();
    match regular::open(&folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok().then_some((folder, Some(lock))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let age = entry.metadata().and_then(|it| it.modified()).ok()?.elapsed().ok()?;
            (age > NEW).then_some((folder, None))
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_goes_and_what_is_held_stays() {
        let above = tempfile::tempdir().unwrap();
        let living = Workspace::new(Some(above.path())).unwrap();
        let killed = above.path().join(format!("{PREFIX}killed"));
        fs::create_dir_all(killed.join("call-x")).unwrap();
        fs::write(killed.join("call-x/usage.received"), "rows").unwrap();
        fs::write(killed.join(LOCK), "").unwrap();
        let starting = above.path().join(format!("{PREFIX}starting"));
        fs::create_dir(&starting).unwrap();
        let others = above.path().join("somebody-elses");
        fs::create_dir(&others).unwrap();
        let link = above.path().join(format!("{PREFIX}link"));
        std::os::unix::fs::symlink(&others, &link).unwrap();

        let second = Workspace::new(Some(above.path())).unwrap();
        assert!(!killed.exists());
        assert!(living.path().exists() && second.path().exists() && starting.exists() && others.exists());
        let (one, scratch) = (second.path().to_owned(), second.scratch().unwrap());
        assert!(scratch.path().starts_with(&one));
        drop((scratch, second));
        assert!(!one.exists() && living.path().exists());
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_named() {
        let above = tempfile::tempdir().unwrap();
        fs::write(above.path().join("file"), "").unwrap();
        let error = Workspace::new(Some(&above.path().join("file/sub"))).unwrap_err().to_string();
        assert!(error.contains("file/sub") && error.contains("--temp-dir"), "{error}");
    }
}
