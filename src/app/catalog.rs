//! The components that a server was started with: read anew when a file changes, the last good text kept when an edit is
//! broken.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::component::{Component, Recipe, nearest, variables_in};
use crate::error::ErrorKind;
use crate::shown::shown;

/// Endings of component files.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// Largest component that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Why a named component cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The server has no component of that name.
    #[error("the server has no component `{}`\nhint: {}", shown(name), shown(hint))]
    Unknown {
        /// The name.
        name: String,
        /// The way out.
        hint: String,
    },
    /// It was never right.
    #[error("the component `{}` is broken on the server:\n{problem}", shown(name))]
    Broken {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl CatalogError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Broken { .. } => ErrorKind::InvalidComponent,
        }
    }
}

/// Components by name.
#[derive(Debug)]
pub struct Catalog {
    folder: Option<PathBuf>,
    listing: Mutex<Listing>,
}

#[derive(Debug, Default)]
struct Listing {
    entries: BTreeMap<String, Entry>,
    /// Changes that were not reported yet, by name.
    changes: BTreeMap<String, Change>,
}

/// A component of the catalog, as its text stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedComponent {
    /// Path of its file.
    pub file: String,
    /// Folder that relative paths in it start from.
    pub base_dir: String,
    /// Its YAML.
    pub text: String,
}

#[derive(Debug, Clone)]
struct Entry {
    path: PathBuf,
    /// What the file said when it was last looked at.
    seen: Result<String, String>,
    /// The last text that was right.
    good: Option<String>,
    /// What is wrong with the file as it is.
    problem: Option<String>,
}

/// What a look at the folder found to have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Name of the component.
    pub name: String,
    /// What is wrong with it now; `None` where it is right.
    pub problem: Option<String>,
    /// Whether an earlier text is used in its place.
    pub kept: bool,
    /// Whether its file is gone.
    pub gone: bool,
}

impl Catalog {
    /// The components of a folder, `DIR/NAME.yaml`; none without a folder.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, listing: Mutex::default() }
    }

    /// The folder, where there is one to watch.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Looks at the folder and reads what has changed.
    ///
    /// # Errors
    /// Where the folder cannot be read; what was known before is kept.
    pub fn refresh(&self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut found = BTreeMap::new();
        for file in std::fs::read_dir(folder)? {
            let path = file?.path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            let name = path.file_stem().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'));
            if let Some(name) = name.filter(|_| ENDINGS.contains(&ending)) {
                found.insert(name.to_owned(), path.clone());
            }
        }
        let mut listing = self.lock_listing();
        let Listing { entries, changes } = &mut *listing;
        entries.retain(|name, _| {
            let stays = found.contains_key(name);
            if !stays {
                let change = Change { name: name.clone(), problem: None, kept: false, gone: true };
                changes.insert(name.clone(), change);
            }
            stays
        });
        for (name, path) in found {
            let seen = read_text(&path);
            let before = entries.get(&name);
            if before.is_some_and(|entry| entry.seen == seen) {
                continue;
            }
            let good = before.and_then(|entry| entry.good.clone());
            let problem = match &seen {
                Ok(text) => find_problem(&path, folder, text),
                Err(problem) => Some(problem.clone()),
            };
            let good = if problem.is_none() { seen.clone().ok() } else { good };
            let change = Change { name: name.clone(), problem: problem.clone(), kept: good.is_some(), gone: false };
            changes.insert(name.clone(), change);
            entries.insert(name, Entry { path, seen, good, problem });
        }
        Ok(())
    }

    /// Takes the changes that were found since this was last called.
    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.lock_listing().changes).into_values().collect()
    }

    /// Finds a component by its name.
    ///
    /// # Errors
    /// Where there is no such component, or it was never right.
    pub fn find(&self, name: &str) -> Result<NamedComponent, CatalogError> {
        // An edit counts from the next call on; where the folder cannot be read, what is known of it does.
        if let Err(error) = self.refresh() {
            tracing::warn!("the folder of components cannot be read: {error}");
        }
        let entries = &self.lock_listing().entries;
        let Some(entry) = entries.get(name) else {
            let hint = match (&self.folder, nearest(name, entries.keys().map(String::as_str))) {
                (None, _) => {
                    "send the component's text, or have the operator start it with `serve --components DIR`".to_owned()
                }
                (Some(_), Some(near)) => format!("did you mean `{near}`?"),
                (Some(_), None) => {
                    format!("it has: {}", entries.keys().cloned().collect::<Vec<_>>().join(", "))
                }
            };
            return Err(CatalogError::Unknown { name: name.to_owned(), hint });
        };
        let Some(text) = entry.good.clone() else {
            let problem = entry.problem.clone().unwrap_or_default();
            return Err(CatalogError::Broken { name: name.to_owned(), problem });
        };
        let base_dir = self.folder.as_ref().map(|folder| folder.display().to_string()).unwrap_or_default();
        Ok(NamedComponent { file: entry.path.display().to_string(), base_dir, text })
    }

    fn lock_listing(&self) -> MutexGuard<'_, Listing> {
        self.listing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES {
        return Err(format!("the file has {size} bytes, and at most {MAX_BYTES} are read"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// What is wrong with a text. Templates get their values with each request, so that a text with templates can only be
/// checked then.
fn find_problem(path: &Path, folder: &Path, text: &str) -> Option<String> {
    let recipe = Recipe {
        file: path.display().to_string(),
        text: text.to_owned(),
        base_dir: folder.to_owned(),
        ..Recipe::default()
    };
    let error = Component::new(&recipe).err()?;
    let templates = !variables_in(text).is_empty();
    let serious = error.problems.iter().filter(|problem| !templates || problem.message.starts_with("not YAML"));
    let told: Vec<String> = serious.map(ToString::to_string).collect();
    (!told.is_empty()).then(|| told.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_counts_at_once_and_a_broken_one_keeps_the_last_good_text() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plg.yaml");
        let catalog = Catalog::new(Some(folder.path().to_owned()));
        let good = "inputs: {usage: u.parquet}\n";
        std::fs::write(&file, good).unwrap();
        let found = catalog.find("plg").unwrap();
        assert_eq!((found.text.as_str(), found.base_dir.as_str()), (good, folder.path().to_str().unwrap()));
        assert!(catalog.take_changes()[0].problem.is_none());
        catalog.refresh().unwrap();
        assert_eq!(catalog.take_changes(), []);

        std::fs::write(&file, "inputz: {usage: u.parquet}\n").unwrap();
        catalog.refresh().unwrap();
        let changes = catalog.take_changes();
        assert!(changes[0].kept && changes[0].problem.as_ref().unwrap().contains("inputz"), "{changes:?}");
        assert_eq!(catalog.find("plg").unwrap().text, good);

        std::fs::write(&file, "inputs: {usage: v.parquet}\n").unwrap();
        assert!(catalog.find("plg").unwrap().text.contains("v.parquet"));
        std::fs::remove_file(&file).unwrap();
        catalog.refresh().unwrap();
        assert!(catalog.take_changes()[0].gone);
        assert!(matches!(catalog.find("plg"), Err(CatalogError::Unknown { .. })));
    }

    #[test]
    fn names_lead_nowhere_else_and_are_told_when_near() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("out.yaml"), "inputs: {usage: u.parquet}\n").unwrap();
        std::fs::write(folder.path().join("in/enterprise.yaml"), "inputz:").unwrap();
        let catalog = Catalog::new(Some(folder.path().join("in")));
        for name in ["../out", "out", "/etc/passwd", ""] {
            assert!(matches!(catalog.find(name), Err(CatalogError::Unknown { .. })), "{name}");
        }
        let near = catalog.find("enterprize").unwrap_err().to_string();
        assert!(near.contains("did you mean `enterprise`?"), "{near}");
        assert!(matches!(catalog.find("enterprise"), Err(CatalogError::Broken { .. })));
        assert!(matches!(Catalog::new(None).find("a"), Err(CatalogError::Unknown { .. })));
    }
}
