//! No circle of files that spans rooms, and no folder with more files than a reader takes in: read off the `use` lines.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::tidy::{code, files};

/// Files of circles that span rooms today; a file goes from the list when its circle is gone.
const IN_CIRCLES: [&str; 0] = [];

/// Most Rust files in one folder of `src`.
const MOST_FILES: usize = 15;

/// Folders that have more today; a folder goes from the list when it has not.
const CROWDED: [&str; 4] = ["src/cli", "src/component", "src/engine", "src/plan"];

/// A module: its file, what it uses, and what it hands on from other modules, by name.
struct Module {
    file: String,
    uses: Vec<String>,
    handed_on: BTreeMap<String, String>,
}

/// Splits `a::{b, c::{d, e}}` into `a::b`, `a::c::d` and `a::c::e`.
fn expand_tree(before: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        if !path.is_empty() {
            paths.push(format!("{before}{path}").trim_end_matches("::self").to_owned());
        }
        return;
    };
    let inner = &rest[..rest.rfind('}').unwrap_or(rest.len())];
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand_tree(&format!("{before}{head}"), &inner[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand_tree(&format!("{before}{head}"), &inner[start..], paths);
}

/// The path of a module from the crate's root: `src/engine/run.rs` is `engine::run`.
fn module_path(file: &str) -> Option<String> {
    let path = file.strip_prefix("src/")?.strip_suffix(".rs")?.replace('/', "::");
    let path = path.strip_suffix("::mod").unwrap_or(&path);
    match path {
        "main" => None,
        "lib" => Some(String::new()),
        path => Some(path.to_owned()),
    }
}

fn read_module(file: &str, text: &str) -> Module {
    let lines: Vec<&str> = code(text).map(|(_, line)| line).collect();
    let text = lines.join("\n");
    let statement = Regex::new(r"(?m)^\s*(pub(?:\([^)]*\))? )?use ([^;]*);").unwrap();
    let (mut uses, mut handed_on) = (Vec::new(), BTreeMap::new());
    for found in statement.captures_iter(&text) {
        let mut paths = Vec::new();
        expand_tree("", &found[2], &mut paths);
        if found.get(1).is_none() {
            uses.extend(paths);
        } else {
            handed_on.extend(paths.into_iter().map(|path| (path.rsplit("::").next().unwrap().to_owned(), path)));
        }
    }
    // Paths that are written out where they are used count as well.
    let rest = statement.replace_all(&text, "");
    let written_out = Regex::new(r"\b(?:crate|super)(?:::\w+)+").unwrap();
    uses.extend(written_out.find_iter(&rest).map(|path| path.as_str().to_owned()));
    Module { file: file.to_owned(), uses, handed_on }
}

/// A path from the crate's root; `None` where it leads out of the crate.
fn resolve_path(modules: &BTreeMap<String, Module>, module: &str, path: &str) -> Option<Vec<String>> {
    let mut base: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut parts = path.split("::").peekable();
    match parts.peek().copied()? {
        "crate" => {
            base.clear();
            parts.next();
        }
        "self" => drop(parts.next()),
        "super" => {
            while parts.next_if_eq(&"super").is_some() {
                base.pop();
            }
        }
        first => {
            let child: Vec<&str> = base.iter().copied().chain([first]).collect();
            modules.get(&child.join("::"))?;
        }
    }
    Some(base.into_iter().chain(parts).map(str::to_owned).collect())
}

/// The module that an item stands in: where a module only hands it on, the one that it comes from.
fn find_home(modules: &BTreeMap<String, Module>, path: &[String]) -> Option<String> {
    let longest = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length].join("::")))?;
    let name = path[..longest].join("::");
    let handed_on = path.get(longest).and_then(|item| modules[&name].handed_on.get(item));
    match handed_on.and_then(|from| resolve_path(modules, &name, from)) {
        Some(from) if from != path => find_home(modules, &[from.as_slice(), &path[longest + 1..]].concat()),
        _ => Some(name),
    }
}

/// Which modules each module uses.
fn find_uses(modules: &BTreeMap<String, Module>) -> BTreeMap<&str, BTreeSet<String>> {
    let mut uses = BTreeMap::new();
    for (name, module) in modules {
        let paths = module.uses.iter().filter_map(|path| resolve_path(modules, name, path));
        let used = paths.filter_map(|path| find_home(modules, &path)).filter(|used| used != name && !used.is_empty());
        uses.insert(name.as_str(), used.collect());
    }
    uses
}

fn reach<'a>(uses: &'a BTreeMap<&str, BTreeSet<String>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(name) = open.pop() {
        open.extend(uses[name].iter().map(String::as_str).filter(|used| reached.insert(*used)));
    }
    reached
}

/// The files of circles that have files of more than one room, each with the step that leaves its room.
fn find_circles(modules: &BTreeMap<String, Module>) -> BTreeMap<String, Vec<String>> {
    let room = |name: &str| name.split("::").next().unwrap_or_default().to_owned();
    let uses = find_uses(modules);
    let reached: BTreeMap<&str, BTreeSet<&str>> = uses.keys().map(|name| (*name, reach(&uses, name))).collect();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, used) in &uses {
        for other in used.iter().filter(|other| room(other) != room(name) && reached[other.as_str()].contains(name)) {
            found.entry(modules[*name].file.clone()).or_default().push(modules[other].file.clone());
        }
    }
    found
}

fn read_modules(files: &[(String, String)]) -> BTreeMap<String, Module> {
    files.iter().filter_map(|(file, text)| Some((module_path(file)?, read_module(file, text)))).collect()
}

#[test]
fn no_circle_of_files_spans_rooms() {
    let found = find_circles(&read_modules(&files()));
    let new = found.iter().filter(|(file, _)| !IN_CIRCLES.contains(&file.as_str()));
    let new: Vec<String> = new.map(|(file, used)| format!("{file} -> {}", used.join(", "))).collect();
    assert!(new.is_empty(), "these steps close a circle that spans rooms:\n{}", new.join("\n"));
    let gone: Vec<_> = IN_CIRCLES.iter().filter(|file| !found.contains_key(**file)).collect();
    assert!(gone.is_empty(), "no longer in a circle, take them off the list: {gone:?}");
}

#[test]
fn no_folder_has_more_files_than_a_reader_takes_in() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (file, _) in files().iter().filter(|(file, _)| file.starts_with("src/")) {
        *counts.entry(file.rsplit_once('/').unwrap().0.to_owned()).or_default() += 1;
    }
    counts.retain(|_, count| *count > MOST_FILES);
    let new: Vec<_> = counts.iter().filter(|(folder, _)| !CROWDED.contains(&folder.as_str())).collect();
    assert!(new.is_empty(), "more than {MOST_FILES} files: {new:?}");
    let gone: Vec<_> = CROWDED.iter().filter(|folder| !counts.contains_key(**folder)).collect();
    assert!(gone.is_empty(), "no longer crowded, take them off the list: {gone:?}");
}

/// What is held above would hold of an empty `src` as well.
#[test]
fn a_circle_is_found_through_nested_lists_handed_on_items_and_written_out_paths() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let house = |last: &str| {
        let files = [
            file("src/lib.rs", "pub mod cli;\npub mod engine;\npub use engine::run::Run;\n"),
            file("src/engine/mod.rs", "mod run;\npub use run::{Run, Other as Second};\n"),
            file("src/engine/run.rs", "use std::fmt;\nuse super::plan::{self, deep::{A, B}};\npub struct Run;\n"),
            file("src/engine/plan.rs", last),
            file("src/cli/mod.rs", "use crate::{engine::{Run}, error};\n"),
            file("src/cli/text.rs", "use super::run;\n"),
        ];
        find_circles(&read_modules(&files))
    };
    assert!(house("").is_empty());
    assert!(house("// use crate::cli::run;\n#[cfg(test)]\nmod tests { use crate::cli::run; }\n").is_empty());
    for last in ["use crate::cli;\n", "pub fn plan() { crate::cli::run() }\n", "use super::super::cli::{run};\n"] {
        let found = house(last);
        let steps: Vec<_> =
            found.iter().flat_map(|(file, used)| used.iter().map(move |used| (&**file, &**used))).collect();
        let circle = [("src/cli/mod.rs", "src/engine/run.rs"), ("src/engine/plan.rs", "src/cli/mod.rs")];
        assert_eq!(steps, circle, "{last}");
    }
}
