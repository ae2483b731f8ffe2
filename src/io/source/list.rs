//! Which of the files that a path leads to are a table's: not what engines and file systems put beside them.

use datafusion::datasource::listing::ListingTableUrl;
use glob::{MatchOptions, Pattern};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::component::Format;

/// A `*` does not lead into folders; `**` does.
const WITHIN_A_FOLDER: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// What is read of what lies below a folder.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The folder, or the one file.
    pub root: ListingTableUrl,
    /// Which names count, from the folder on; all those of the format where there is none.
    pub pattern: Option<Pattern>,
}

/// Files that were found, by what becomes of them.
#[derive(Debug, Default)]
pub struct Found {
    /// They may be the table's.
    pub files: Vec<ObjectMeta>,
    /// Files that look like data, and stand where engines put what is not, or no longer, theirs.
    pub hidden: Vec<Path>,
}

impl Choice {
    /// Whether a path may be one of the table's files, whatever its format.
    pub fn takes(&self, location: &Path) -> bool {
        let Some(parts) = self.below(location) else { return false };
        // The file itself.
        if parts.is_empty() {
            return !self.root.is_collection();
        }
        let Some(pattern) = &self.pattern else { return !hidden(&parts) };
        if hidden(&parts) && !pattern.as_str().split('/').any(|part| part.starts_with(['.', '_'])) {
            return false;
        }
        // Folders of partitions need not be in the pattern.
        let plain: Vec<&str> = parts.iter().copied().filter(|part| !part.contains('=')).collect();
        [parts, plain].iter().any(|parts| pattern.matches_with(&parts.join("/"), WITHIN_A_FOLDER))
    }

    /// The parts of a path below the folder.
    pub fn below<'a>(&'a self, location: &'a Path) -> Option<Vec<&'a str>> {
        Some(self.root.strip_prefix(location)?.collect())
    }

    /// Divides what lies below the folder into what is read and what is not.
    pub fn of(&self, all: Vec<ObjectMeta>) -> Found {
        let mut found = Found::default();
        for file in all {
            if self.takes(&file.location) {
                found.files.push(file);
            } else if self.below(&file.location).is_some_and(|parts| in_hidden_folder(&parts)) && told(&file).is_some()
            {
                found.hidden.push(file.location);
            }
        }
        // In one order, whatever the one is in which they are listed.
        found.files.sort_unstable_by(|one, other| one.location.cmp(&other.location));
        found.hidden.sort_unstable();
        found
    }

    /// The formats that the names of a folder's files tell, without repetition.
    pub fn formats(files: &[ObjectMeta]) -> Vec<(Format, &ObjectMeta)> {
        let mut formats: Vec<(Format, &ObjectMeta)> = Vec::new();
        for file in files {
            if let Some(format) = told(file)
                && formats.iter().all(|(other, _)| *other != format)
            {
                formats.push((format, file));
            }
        }
        formats
    }
}

/// The format that a file's name tells.
pub fn told(file: &ObjectMeta) -> Option<Format> {
    Format::told_by(file.location.filename().unwrap_or_default())
}

/// Names that begin with a dot or an underscore are not data to any engine, but for partitions such as `_day=1`.
fn hidden(parts: &[&str]) -> bool {
    parts.iter().any(|part| is_hidden(part))
}

fn in_hidden_folder(parts: &[&str]) -> bool {
    parts.split_last().is_some_and(|(_, folders)| {
        // Logs of tables are read, or refused, elsewhere.
        hidden(folders) && !folders.iter().any(|part| matches!(*part, "_delta_log" | ".hoodie"))
    })
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.') || (part.starts_with('_') && !part.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(pattern: Option<&str>) -> Choice {
        let root = ListingTableUrl::parse("file:///lake/").unwrap();
        Choice { root, pattern: pattern.map(|pattern| Pattern::new(pattern).unwrap()) }
    }

    #[test]
    fn what_is_no_data_is_passed_over() {
        let takes = |pattern, path: &str| choice(pattern).takes(&Path::parse(format!("lake/{path}")).unwrap());
        for data in ["a.csv", "2025/06/a.csv", "dt=1/a.csv", "_dt=1/a.csv"] {
            assert!(takes(None, data), "{data}");
        }
        for none in ["_SUCCESS", ".a.crc", "._a.csv", "_temporary/0/a.csv", "dt=1/_SUCCESS", ".git/a.csv"] {
            assert!(!takes(None, none) && !takes(Some("**"), none), "{none}");
        }
        assert!(takes(Some("_old/*"), "_old/a.csv"), "what is named is meant");
    }

    #[test]
    fn a_star_stays_within_its_folder() {
        let takes = |pattern, path: &str| choice(Some(pattern)).takes(&Path::parse(format!("lake/{path}")).unwrap());
        assert!(takes("*.csv", "a.csv") && takes("*/*.csv", "x/a.csv") && takes("**/*.csv", "x/y/a.csv"));
        assert!(!takes("*.csv", "x/a.csv") && !takes("*/*.csv", "x/y/a.csv"));
        assert!(takes("*.csv", "dt=1/a.csv") && takes("dt=*/*.csv", "dt=1/a.csv"));
    }
}
