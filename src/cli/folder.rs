//! What tables a folder holds, and how a component names them.

use std::collections::BTreeMap;
use std::path::Path;

use super::args;
use crate::component::Format;

/// What Delta Lake calls its log.
const LOG: &str = "_delta_log";

/// How deep folders are looked through.
const DEPTH: usize = 4;

/// What the parts of a table are called that Spark and others write; their folder has its name.
const PART: &str = "part";

/// A table that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// A file, a folder or a pattern.
    pub path: String,
    /// The files that it stands for, where these may be several tables for all that their names tell.
    pub parts: Vec<String>,
    /// Whether it is a path of the command line.
    pub given: bool,
}

/// The tables that a path stands for: the path itself, or what a folder holds by what it is called.
pub fn tables(path: &str) -> Vec<Found> {
    let mut found = within(path, DEPTH);
    found.iter_mut().for_each(|table| table.given = table.path == path);
    found
}

fn within(path: &str, depth: usize) -> Vec<Found> {
    let (folder, one) = (Path::new(path), || vec![Found { path: path.to_owned(), parts: Vec::new(), given: false }]);
    if path.contains("://") || !folder.is_dir() || folder.join(LOG).exists() {
        return one();
    }
    let Ok(entries) = folder.read_dir() else { return one() };
    let (mut groups, mut folders): (BTreeMap<String, Vec<String>>, Vec<String>) = Default::default();
    for entry in entries.flatten() {
        let (name, is_folder) = (entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir());
        // Partitions are parts of one table.
        if is_folder && name.contains('=') {
            return one();
        }
        if name.starts_with(['.', '_']) {
            continue;
        }
        if is_folder {
            folders.push(name);
        } else if Format::told_by(&name).is_some() {
            groups.entry(kind(&name)).or_default().push(name);
        }
    }
    groups.values_mut().for_each(|files| files.sort());
    folders.sort();
    let below = |name: &String| format!("{}/{name}", path.trim_end_matches('/'));
    let all: Vec<String> = groups.values().flatten().cloned().collect();
    let alone = groups.len() == 1 && folders.is_empty();
    let is_part = groups.keys().all(|kind| kind.starts_with(PART) || kind.starts_with('.'));
    if alone && (all.len() > 1 || is_part) {
        let parts = if all.len() > 1 { all.iter().map(below).collect() } else { Vec::new() };
        return vec![Found { path: path.to_owned(), parts, given: false }];
    }
    let of_group = |files: &Vec<String>| match pattern(files, &all) {
        Some(pattern) => {
            let parts = if files.len() > 1 { files.iter().map(below).collect() } else { Vec::new() };
            vec![Found { path: below(&pattern), parts, given: false }]
        }
        None => files.iter().map(|name| Found { path: below(name), parts: Vec::new(), given: false }).collect(),
    };
    let own: Vec<Found> = groups.values().flat_map(of_group).collect();
    let deeper = folders.iter().filter(|_| depth > 0).flat_map(|name| within(&below(name), depth.saturating_sub(1)));
    // A folder below that holds no table is none; the one that was named is told of.
    let found: Vec<Found> = own.into_iter().chain(deeper).collect();
    if found.is_empty() && depth == DEPTH { one() } else { found }
}

/// A path of the command line, or below one, from the root.
pub fn absolute(path: &str) -> String {
    args::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Paths in a component start from its folder: as given where that is the working directory, else from the root.
pub fn from_component(path: &str, output: Option<&Path>) -> String {
    let folder = output.and_then(Path::parent).unwrap_or(Path::new(""));
    if folder.as_os_str().is_empty() || folder == Path::new(".") { path.to_owned() } else { absolute(path) }
}

/// What the files of one table have in common: the name without numbers and ids, and the ending.
fn kind(name: &str) -> String {
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    let letters = |word: &str| word.chars().filter(|c| !c.is_numeric()).collect::<String>();
    let is_id = |word: &&str| word.contains(char::is_numeric) && word.chars().all(|c| c.is_ascii_hexdigit());
    let words = stem.split(|c: char| !c.is_alphanumeric()).filter(|word| !is_id(word)).map(letters);
    let words: Vec<String> = words.filter(|word| !word.is_empty()).map(|word| word.to_lowercase()).collect();
    if words.first().is_some_and(|word| word == PART) {
        return format!("{PART}.{}", ending.rsplit('.').next().unwrap_or_default());
    }
    format!("{}.{}", words.join(" "), ending.to_lowercase())
}

/// A pattern that fits a group's files and no others; a single file's own name.
fn pattern(files: &[String], all: &[String]) -> Option<String> {
    let (first, rest) = files.split_first()?;
    if rest.is_empty() {
        return Some(first.clone());
    }
    let begins = |at: &usize| rest.iter().all(|file| file.starts_with(&first[..*at]));
    let ends = |at: &usize| rest.iter().all(|file| file.ends_with(&first[*at..]));
    let boundaries = || first.char_indices().map(|(at, _)| at).chain([first.len()]);
    let head = &first[..boundaries().filter(begins).max()?];
    let tail = &first[boundaries().find(ends)?..];
    let longer = |file: &String| file.len() >= head.len() + tail.len();
    let fits = |file: &String| longer(file) && file.starts_with(head) && file.ends_with(tail);
    let apart = all.iter().filter(|file| fits(file)).count() == files.len() && files.iter().all(longer);
    (apart && !head.contains(['*', '?', '[']) && !tail.contains(['*', '?', '['])).then(|| format!("{head}*{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let root = folder.path().display().to_string();
        tables(&root).into_iter().map(|found| found.path.replace(&root, "D")).collect()
    }

    #[test]
    fn a_folder_is_one_table_or_several() {
        assert_eq!(of(&["part-000.parquet", "part-001.parquet", "_SUCCESS"]), ["D"]);
        let ids = ["part-0-3f2a-c0de.c000.snappy.parquet", "part-1-91bd-feed.c000.snappy.parquet", "_SUCCESS"];
        assert_eq!(of(&ids), ["D"]);
        assert_eq!(of(&ids[..1]), ["D"]);
        assert_eq!(of(&["day=1/a.csv", "day=2/a.csv"]), ["D"]);
        assert_eq!(of(&["_delta_log/0.json", "a.parquet", "b.parquet"]), ["D"]);
        assert_eq!(of(&["notes.txt"]), ["D"]);
        assert_eq!(of(&["customers.csv"]), ["D/customers.csv"]);
        assert_eq!(of(&["customers.csv", "usage.parquet", "README.md"]), ["D/customers.csv", "D/usage.parquet"]);
        assert_eq!(
            of(&["usage/1.parquet", "usage-2024-01.csv", "usage-2024-02.csv", "users.csv"]),
            ["D/usage-2024-0*.csv", "D/users.csv", "D/usage"]
        );
        assert_eq!(
            of(&["crm/customers.csv", "crm/deals.csv", "product/usage/part-0.parquet", "notes/a.txt", "b/_x/c.csv"]),
            ["D/crm/customers.csv", "D/crm/deals.csv", "D/product/usage"]
        );
    }

    #[test]
    fn a_folder_without_a_table_is_told_as_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        assert_eq!(tables(&path), [Found { path: path.clone(), parts: vec![], given: true }]);
        assert_eq!(tables("s3://bucket/a")[0].path, "s3://bucket/a");
        assert!(tables("/no/such/folder")[0].given);
    }

    #[test]
    fn paths_stay_as_given_where_the_file_lies_in_the_working_directory() {
        let here = std::env::current_dir().unwrap().join("a.parquet").display().to_string();
        assert_eq!(from_component("a.parquet", None), "a.parquet");
        assert_eq!(from_component("a.parquet", Some(Path::new("component.yaml"))), "a.parquet");
        assert_eq!(from_component("a.parquet", Some(Path::new("conf/component.yaml"))), here);
    }

    #[test]
    fn a_pattern_fits_no_file_of_another_table() {
        assert_eq!(of(&["a1.csv", "a2.csv", "ab.csv"]), ["D/a1.csv", "D/a2.csv", "D/ab.csv"]);
        assert_eq!(of(&["a[1].csv", "a[2].csv", "b.csv"]), ["D/a[1].csv", "D/a[2].csv", "D/b.csv"]);
    }
}
