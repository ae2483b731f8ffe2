//! Which folders and stores a caller's paths may lead to, once `..` and links are followed.

use std::path::{Component as Part, Path, PathBuf};

use super::output::place_of;
use super::source;
use super::uri::{Uri, is_uri};
use crate::component::{Component, Population};
use crate::io::IoError;

/// The folders that an engine reads and writes in; without any such policy it has the rights of the user it runs as.
///
/// What is checked is where a path leads at that moment: who can change links inside the folders while a run works is
/// trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    folders: Vec<PathBuf>,
    stores: Vec<Uri>,
}

impl Roots {
    /// A policy that allows these folders, or prefixes of object stores such as `s3://bucket/prefix`, and everything below.
    ///
    /// # Errors
    /// Where one of them is no folder that can be found, or no URI of a folder.
    pub fn new<P: AsRef<Path>>(allowed: impl IntoIterator<Item = P>) -> Result<Self, IoError> {
        const ROLE: &str = "allowed folder";
        let mut roots = Self { folders: Vec::new(), stores: Vec::new() };
        for folder in allowed {
            let folder = folder.as_ref();
            let path = folder.to_string_lossy();
            if is_uri(&path) {
                let uri = Uri::parse(ROLE, &path)?;
                if uri.glob.is_some() {
                    return Err(IoError::Uri {
                        role: ROLE.to_owned(),
                        uri: uri.to_string(),
                        reason: "has a pattern, though everything below it is allowed".to_owned(),
                        hint: "name the folder, such as s3://bucket/prefix".to_owned(),
                    });
                }
                roots.stores.push(uri);
                continue;
            }
            match folder.canonicalize() {
                Ok(real) if real.is_dir() => roots.folders.push(real),
                _ => {
                    return Err(IoError::NotFound {
                        role: ROLE.to_owned(),
                        path: folder.display().to_string(),
                        hint: "name a folder that exists".to_owned(),
                    });
                }
            }
        }
        Ok(roots)
    }

    /// The same, and this folder.
    ///
    /// # Errors
    /// Where it is no folder that can be found.
    pub fn with(&self, folder: &Path) -> Result<Self, IoError> {
        let mut roots = self.clone();
        roots.folders.extend(Self::new([folder])?.folders);
        Ok(roots)
    }

    fn admit_path(&self, role: &str, path: &str) -> Result<(), IoError> {
        let local = source::local(role, path)?;
        if self.holds(&local) { Ok(()) } else { Err(self.outside(role, path, "DIR")) }
    }

    fn admit_uri(&self, role: &str, uri: &Uri) -> Result<(), IoError> {
        if self.stores.iter().any(|root| root.holds(uri)) {
            return Ok(());
        }
        Err(self.outside(role, &uri.to_string(), &uri.above()))
    }

    /// Checks a file that was found, such as one behind a glob.
    ///
    /// # Errors
    /// [`IoError::Outside`] where it leads out.
    pub fn admit_file(&self, role: &str, path: &Path) -> Result<(), IoError> {
        if self.holds(path) { Ok(()) } else { Err(self.outside(role, &path.display().to_string(), "DIR")) }
    }

    fn holds(&self, path: &Path) -> bool {
        real(path).is_some_and(|real| self.folders.iter().any(|folder| real.starts_with(folder)))
    }

    fn outside(&self, role: &str, path: &str, wanted: &str) -> IoError {
        let folders = self.folders.iter().map(|folder| folder.display().to_string());
        let allowed: Vec<String> = folders.chain(self.stores.iter().map(Uri::to_string)).collect();
        IoError::Outside {
            role: role.to_owned(),
            path: path.to_owned(),
            allowed: allowed.join(", "),
            wanted: wanted.to_owned(),
        }
    }
}

/// Checks every path that a component names, before any of them is opened.
///
/// # Errors
/// [`IoError::Outside`] for the first that leads out; whatever is wrong with a URI, also where there are no roots.
pub fn admit(roots: Option<&Roots>, component: &Component) -> Result<(), IoError> {
    let check = |role: &str, path: &str, written: bool| {
        let path = source::resolve(component.base_dir(), path);
        if is_uri(&path) {
            let uri = Uri::parse(role, &path)?;
            let uri = if written { uri.writable(role)? } else { uri };
            return roots.map_or(Ok(()), |roots| roots.admit_uri(role, &uri));
        }
        roots.map_or(Ok(()), |roots| roots.admit_path(role, &path))
    };
    for (name, input) in component.inputs() {
        check(&format!("input `{name}`"), &input.path, false)?;
    }
    if let Some(path) = component.history() {
        check("history", path, false)?;
    }
    if let Population::FromOutput(path) = component.population() {
        check("population", path, false)?;
    }
    for (table, path) in component.fan_out() {
        check(&format!("fan_out `{}`", table.name()), path, true)?;
    }
    component.output().map_or(Ok(()), |path| check("output", path, true))
}

/// Where a component's output will be, the same for all ways of naming it, so that runs for it can wait for one another.
pub fn output_place(component: &Component) -> Option<PathBuf> {
    place_of(&source::resolve(component.base_dir(), component.output()?)).ok()
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
