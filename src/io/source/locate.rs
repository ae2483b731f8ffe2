//! From a path, folder, pattern or URI to where its files are.

use std::io::ErrorKind::NotFound;
use std::path::{Component, Path, PathBuf};

use datafusion::common::TableReference;
use datafusion::datasource::listing::ListingTableUrl;
use futures::TryStreamExt;
use glob::Pattern;
use object_store::ObjectStoreExt;
use url::Url;

use super::list::Choice;
use super::{IoError, Source};
use crate::component::nearest;
use crate::error::external;
use crate::io::context::RunContext;
use crate::io::store::Stores;
use crate::io::store::failure;
use crate::io::uri::{Protocol, Uri};
use crate::regular;

/// What to look at where a store has nothing.
const MISSING_OBJECT: &str = "check the bucket and the key; upper and lower case differ";

/// Characters of patterns; in the name of what is there they are characters as others.
const WILD: [char; 3] = ['*', '?', '['];

/// A path of component.yaml as seen from the working directory.
pub fn resolve(base: &Path, path: &str) -> String {
    if path.contains("://") || Path::new(path).is_absolute() || base.as_os_str().is_empty() {
        return path.to_owned();
    }
    base.join(path).display().to_string()
}

/// The local path that a path or a file URI stands for.
///
/// # Errors
/// Where it is a URI of another sort.
pub fn local(role: &str, path: &str) -> Result<PathBuf, IoError> {
    match path.split_once("://") {
        Some(("file", _)) => match Url::parse(path).map(|url| url.to_file_path()) {
            Ok(Ok(path)) => Ok(path),
            _ => {
                let (role, path) = (role.to_owned(), path.to_owned());
                let hint = "a file URI looks like file:///folder/name.parquet".to_owned();
                Err(IoError::NotFound { role, path, hint })
            }
        },
        Some((scheme, _)) => {
            let (role, path) = (role.to_owned(), path.to_owned());
            Err(IoError::Scheme { role, path, scheme: scheme.to_owned() })
        }
        None => Ok(PathBuf::from(path)),
    }
}

impl Source<'_> {
    /// Where the files are.
    pub(super) fn locate(&self) -> Result<Choice, IoError> {
        let path = local(self.role, self.path)?;
        let path = plain(&path).map_err(|e| IoError::of_io(self.role, self.path, "read", e))?;
        let (url, pattern) = match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => (Url::from_directory_path(&path), None),
            // Opened once here, so that a file that may not be read is told as such.
            Ok(_) => match regular::open(&path) {
                Ok(_) => (Url::from_file_path(&path), None),
                Err(error) => return Err(IoError::of_io(self.role, self.path, "read", error)),
            },
            Err(error) if error.kind() == NotFound => match wild(&path) {
                Some((folder, pattern)) => (Url::from_directory_path(folder), Some(self.pattern(&pattern)?)),
                None => return Err(self.not_found(near(&path))),
            },
            Err(error) => return Err(IoError::of_io(self.role, self.path, "read", error)),
        };
        let Ok(url) = url else {
            return Err(self.not_found("the path cannot be made absolute".to_owned()));
        };
        let root = ListingTableUrl::try_new(url, None);
        let root = root.map_err(|error| IoError::unreadable(self.role, self.path, error))?;
        Ok(Choice { root, pattern })
    }

    /// The same in a store, where a folder is what has something below it.
    pub(super) async fn locate_in_store(&self, context: &RunContext) -> Result<Choice, IoError> {
        let mut uri = Uri::parse(self.role, self.path)?;
        let store = Stores::register(self.role, &uri, context)?;
        if uri.protocol == Protocol::Http && uri.folder {
            return Err(IoError::Uri {
                role: self.role.to_owned(),
                uri: uri.to_string(),
                reason: "is a folder or a pattern, and web servers do not list their files".to_owned(),
                hint: "name one file, or put the files on s3://, gs:// or az://".to_owned(),
            });
        }
        if !uri.folder {
            match store.head(&uri.path()).await {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) if uri.protocol != Protocol::Http => {
                    // Named without its slash, as local folders may be.
                    let below = store.list(Some(&uri.path())).try_next().await;
                    let below = below.map_err(|error| failure::of(self.role, self.path, "read", &error))?;
                    if below.is_none() {
                        return Err(self.not_found(MISSING_OBJECT.to_owned()));
                    }
                    uri.folder = true;
                }
                Err(error) => return Err(failure::of(self.role, self.path, "read", &error)),
            }
        }
        let unreadable = |error| IoError::unreadable(self.role, self.path, error);
        // Listings are kept by path, and two stores may have one path.
        let root = ListingTableUrl::try_new(uri.url(), None).map_err(unreadable)?;
        let root = root.with_table_ref(TableReference::bare(uri.store.as_str()));
        let pattern = uri.glob.as_deref().map(|glob| self.pattern(glob)).transpose()?;
        Ok(Choice { root, pattern })
    }

    fn pattern(&self, text: &str) -> Result<Pattern, IoError> {
        Pattern::new(text).map_err(|error| IoError::unreadable(self.role, self.path, external(error)))
    }

    pub(super) fn not_found(&self, hint: String) -> IoError {
        IoError::NotFound { role: self.role.to_owned(), path: self.path.to_owned(), hint }
    }
}

/// The folder of a pattern, as far as it is there, and the pattern below.
fn wild(path: &Path) -> Option<(&Path, String)> {
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir())?;
    let rest = path.strip_prefix(folder).ok()?;
    let first = rest.iter().next()?.to_string_lossy();
    first.contains(WILD).then(|| (folder, rest.to_string_lossy().into_owned()))
}

/// A path from the root without links and `..`, which object stores do not know, as far as it exists.
///
/// # Errors
/// Where there is no working directory.
pub fn plain(path: &Path) -> std::io::Result<PathBuf> {
    let mut found = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            // Behind links that were followed, and behind folders that are not there yet.
            Component::ParentDir => drop(found.pop()),
            part => {
                found.push(part);
                if let Ok(real) = found.canonicalize() {
                    found = real;
                }
            }
        }
    }
    Ok(found)
}

/// A hint at what is there instead.
fn near(path: &Path) -> String {
    let fallback = "check the path; relative ones start from the folder of component.yaml".to_owned();
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return fallback };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return format!(
            "the folder {} is not there either; relative paths start from component.yaml's",
            folder.display()
        );
    };
    let names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    // Without their endings, which are alike and say nothing.
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    let likeliest = nearest(&stem(&name.to_string_lossy()), stems.iter().map(String::as_str));
    match likeliest.and_then(|near| names.iter().find(|name| stem(name) == near)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => fallback,
    }
}
