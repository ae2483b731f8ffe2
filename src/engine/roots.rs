//! Which folders a caller's paths may lead to, once `..` and links are followed.

use std::path::{Component as Part, Path, PathBuf};

use super::{EngineError, source};
use crate::component::{Component, Population};

/// The folders that an engine reads and writes in; without any such policy it has the rights of the user it runs as.
///
/// What is checked is where a path leads at that moment: who can change links inside the folders while a run works is
/// trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    folders: Vec<PathBuf>,
}

impl Roots {
    /// A policy that allows these folders and everything below.
    ///
    /// # Errors
    /// Where one of them is no folder that can be found.
    pub fn new<P: AsRef<Path>>(folders: impl IntoIterator<Item = P>) -> Result<Self, EngineError> {
        let found = folders.into_iter().map(|folder| {
            let folder = folder.as_ref();
            match folder.canonicalize() {
                Ok(real) if real.is_dir() => Ok(real),
                _ => Err(EngineError::NotFound {
                    role: "allowed folder".to_owned(),
                    path: folder.display().to_string(),
                    hint: "name a folder that exists".to_owned(),
                }),
            }
        });
        Ok(Self { folders: found.collect::<Result<_, _>>()? })
    }

    /// The same, and this folder.
    ///
    /// # Errors
    /// Where it is no folder that can be found.
    pub fn with(&self, folder: &Path) -> Result<Self, EngineError> {
        let more = Self::new([folder])?;
        Ok(Self { folders: self.folders.iter().chain(&more.folders).cloned().collect() })
    }

    /// Checks every path that a component names, before any of them is opened.
    ///
    /// # Errors
    /// [`EngineError::Outside`] for the first that leads out, or its scheme if that is none for local files.
    pub fn admit(&self, component: &Component) -> Result<(), EngineError> {
        let at = |path: &str| source::resolve(component.base_dir(), path);
        for (name, input) in component.inputs() {
            self.admit_path(&format!("input `{name}`"), &at(&input.path))?;
        }
        if let Some(path) = component.history() {
            self.admit_path("history", &at(path))?;
        }
        if let Population::FromOutput(path) = component.population() {
            self.admit_path("population", &at(path))?;
        }
        for (table, path) in component.fan_out() {
            self.admit_path(&format!("fan_out `{}`", table.name()), &at(path))?;
        }
        let Some(path) = component.output() else { return Ok(()) };
        self.admit_path("output", &at(path)).map(drop)
    }

    fn admit_path(&self, role: &str, path: &str) -> Result<PathBuf, EngineError> {
        let local = source::local(role, path)?;
        if self.holds(&local) { Ok(local) } else { Err(self.outside(role, path)) }
    }

    /// Checks a file that was found, such as one behind a glob.
    ///
    /// # Errors
    /// [`EngineError::Outside`] where it leads out.
    pub fn admit_file(&self, role: &str, path: &Path) -> Result<(), EngineError> {
        if self.holds(path) { Ok(()) } else { Err(self.outside(role, &path.display().to_string())) }
    }

    fn holds(&self, path: &Path) -> bool {
        real(path).is_some_and(|real| self.folders.iter().any(|folder| real.starts_with(folder)))
    }

    fn outside(&self, role: &str, path: &str) -> EngineError {
        let allowed: Vec<String> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        EngineError::Outside { role: role.to_owned(), path: path.to_owned(), allowed: allowed.join(", ") }
    }
}

/// Where a component's output will be, the same for all ways of naming it, so that runs for it can wait for one another.
pub fn output_place(component: &Component) -> Option<PathBuf> {
    let path = source::resolve(component.base_dir(), component.output()?);
    real(&source::local("output", &path).ok()?)
}

/// Where a path leads, as far as it exists; what does not exist yet is taken as it stands. `None` where that cannot be
/// told: behind a link that leads nowhere, or where `..` follows what does not exist.
fn real(path: &Path) -> Option<PathBuf> {
    let (mut real, mut exists) = (PathBuf::new(), true);
    for part in std::path::absolute(path).ok()?.components() {
        match part {
            Part::CurDir => {}
            Part::ParentDir if !exists => return None,
            Part::ParentDir => drop(real.pop()),
            Part::Prefix(_) | Part::RootDir => real.push(part),
            Part::Normal(name) => {
                real.push(name);
                match real.canonicalize() {
                    Ok(found) => real = found,
                    Err(_) if real.is_symlink() => return None,
                    Err(_) => exists = false,
                }
            }
        }
    }
    Some(real)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_are_followed_to_where_they_lead() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let inside = root.join("in");
        std::fs::create_dir_all(inside.join("deep")).unwrap();
        symlink("/", inside.join("out")).unwrap();
        symlink("deep", inside.join("near")).unwrap();
        symlink(root.join("nowhere"), inside.join("dangling")).unwrap();
        let roots = Roots::new([&inside]).unwrap();
        for held in ["", "a.parquet", "deep/../a", "near/a", "new/folder/a", "*.parquet", "deep/*/a"] {
            assert!(roots.holds(&inside.join(held)), "{held}");
        }
        for out in
            ["..", "../in2/a", "deep/../../a", "out/etc", "out", "dangling", "new/../../a", "*/../../a", "new/../a"]
        {
            assert!(!roots.holds(&inside.join(out)), "{out}");
        }
        for absolute in ["/", "/etc/passwd", "/etc/*/../../etc"] {
            assert!(!roots.holds(Path::new(absolute)), "{absolute}");
        }
        assert!(!roots.holds(&root.join("in2")), "a folder whose name merely begins alike");
        assert!(Roots::new([root.join("missing")]).is_err());
    }
}
