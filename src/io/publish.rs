//! Several tables put in their places as one: where one of them fails, the others are put back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::output::{Output, Staged};
use crate::io::IoError;

/// Puts finished tables in their places, in the order given but for objects, which come last; their sizes, in that order.
///
/// A local file that was replaced is put back where a later table fails or the work is given up. An object that is complete
/// cannot be, and is named then.
///
/// # Errors
/// What went wrong with a table; [`IoError::PartlyPublished`] where others could not be put back.
pub async fn all(tables: Vec<(&Output, Staged)>) -> Result<Vec<u64>, IoError> {
    let several = tables.len() > 1;
    let mut sizes = vec![0; tables.len()];
    let mut places: Vec<(usize, &Output, Staged)> =
        tables.into_iter().enumerate().map(|(at, (output, staged))| (at, output, staged)).collect();
    places.sort_by_key(|(_, output, _)| matches!(output, Output::Object(..)));
    let (mut replaced, mut complete) = (Vec::new(), Vec::new());
    for (at, output, staged) in places {
        let outcome = match output {
            Output::File(target, _) if several => match Replaced::before(target) {
                Ok(before) => {
                    replaced.push(before);
                    output.publish(staged).await
                }
                Err(error) => Err(super::output::failure(&output.path(), error)),
            },
            Output::File(..) | Output::Object(..) => output.publish(staged).await,
        };
        match outcome {
            Ok(bytes) => sizes[at] = bytes,
            Err(error) => {
                let mut new = complete;
                new.extend(replaced.into_iter().rev().filter_map(|replaced| {
                    let path = replaced.target.display().to_string();
                    replaced.put_back().is_err().then_some(path)
                }));
                return Err(match new.is_empty() {
                    true => error,
                    false => IoError::PartlyPublished { new: new.join(", "), source: Box::new(error) },
                });
            }
        }
        if matches!(output, Output::Object(..)) {
            complete.push(output.path());
        }
    }
    replaced.into_iter().for_each(Replaced::keep);
    Ok(sizes)
}

/// What a file was before it is replaced; dropping it puts that back.
struct Replaced {
    target: PathBuf,
    /// The earlier file under another name; `None` where there was none.
    earlier: Option<TempPath>,
    kept: bool,
}

impl Replaced {
    fn before(target: &Path) -> io::Result<Self> {
        let earlier = match fs::symlink_metadata(target) {
            Ok(_) => Some(also_named(target)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { target: target.to_owned(), earlier, kept: false })
    }

    /// The new file is meant to stay.
    fn keep(mut self) {
        self.kept = true;
    }

    fn put_back(mut self) -> io::Result<()> {
        self.kept = true;
        self.restore()
    }

    fn restore(&mut self) -> io::Result<()> {
        match self.earlier.take() {
            Some(earlier) => earlier.persist(&self.target).map_err(|error| error.error),
            None => match fs::remove_file(&self.target) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = self.restore()
        {
            tracing::warn!("{}: the earlier table could not be put back: {error}", self.target.display());
        }
    }
}

/// Gives a file a second name beside its own, which the next run removes where this one is killed.
fn also_named(target: &Path) -> io::Result<TempPath> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let linked = |to: &Path| fs::hard_link(target, to);
    // Some file systems know of one name for each file only.
    let copied = |to: &Path| fs::copy(target, to).map(|_| ());
    let (mut names, prefix) = (tempfile::Builder::new(), super::output::staged_prefix(&name));
    let names = names.prefix(&prefix).suffix(super::output::STAGED);
    let made = names.make_in(folder, linked).or_else(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied => Err(error),
        _ => names.make_in(folder, copied),
    })?;
    Ok(made.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_put_back_and_what_is_kept_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        for keep in [false, true] {
            fs::write(&old, "earlier").unwrap();
            let _ = fs::remove_file(&new);
            let replaced = [Replaced::before(&old).unwrap(), Replaced::before(&new).unwrap()];
            for target in [&old, &new] {
                fs::write(folder.path().join("staged"), "later").unwrap();
                fs::rename(folder.path().join("staged"), target).unwrap();
            }
            if keep {
                replaced.into_iter().for_each(Replaced::keep);
                assert_eq!(fs::read_to_string(&old).unwrap(), "later");
                assert_eq!(fs::read_to_string(&new).unwrap(), "later");
            } else {
                drop(replaced);
                assert_eq!(fs::read_to_string(&old).unwrap(), "earlier");
                assert!(!new.exists());
            }
            let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left.len(), 1 + usize::from(keep), "{left:?}");
        }
    }
}
