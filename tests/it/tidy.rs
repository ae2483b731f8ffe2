//! The house rules, as far as a machine can see them: which room names what, first lines, lengths.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

const LONGEST: usize = 400;

/// Files that may be longer, each with a reason.
const LONG: [(&str, &str); 0] = [];

/// Text, where it may not stand (the beginning of a path), and where it may all the same.
struct Ban {
    text: &'static str,
    under: &'static [&'static str],
    except: &'static [&'static str],
    why: &'static str,
}

/// Rooms that are shared by all front ends.
const SPEAKS_NO_PROTOCOL: &[&str] = &["src/app/", "src/engine/", "src/plan/", "src/component/", "src/scorecard/"];

const BANS: &[Ban] = &[
    Ban { text: "datafusion", under: &["src/scorecard/"], except: &[], why: "a scorecard is plain data" },
    Ban { text: "arrow::", under: &["src/scorecard/"], except: &[], why: "a scorecard is plain data" },
    Ban {
        text: "async ",
        under: &["src/plan/", "src/scorecard/", "src/component/"],
        except: &[],
        why: "nothing waits here",
    },
    Ban {
        text: "tokio",
        under: &["src/plan/", "src/scorecard/", "src/component/"],
        except: &[],
        why: "nothing waits here",
    },
    Ban { text: "std::fs", under: &["src/plan/", "src/scorecard/"], except: &[], why: "plans do no I/O" },
    Ban {
        text: "object_store",
        under: &["src/plan/", "src/scorecard/", "src/component/"],
        except: &[],
        why: "plans do no I/O",
    },
    Ban {
        text: "object_store",
        under: &["src/app/", "src/wire/", "src/grpc/", "src/cli/", "src/client.rs"],
        except: &[],
        why: "stores stay in the engine",
    },
    Ban {
        text: "reqwest",
        under: &["src/"],
        except: &["src/io/store/mod.rs"],
        why: "one place makes HTTP clients, which follow no redirects",
    },
    Ban {
        text: "unsafe_code",
        under: &["src/", "benches/", "examples/", "tests/"],
        except: &["src/allocator.rs", "src/lib.rs", "tests/it/tidy.rs"],
        why: "one call sets the allocator, and nothing else is unsafe",
    },
    Ban {
        text: "println!",
        under: &["src/"],
        except: &[],
        why: "`cli/print.rs` writes for people, in lines that no name can end",
    },
    Ban {
        text: "eprintln!",
        under: &["src/"],
        except: &[],
        why: "`cli/print.rs` writes for people, in lines that no name can end",
    },
    Ban { text: "ScalarUDFImpl", under: &["src/"], except: &[], why: "the plan holds built-in expressions only" },
    Ban { text: "AggregateUDFImpl", under: &["src/"], except: &[], why: "the plan holds built-in expressions only" },
    Ban { text: "create_udf", under: &["src/"], except: &[], why: "the plan holds built-in expressions only" },
    Ban {
        text: "tonic",
        under: &["src/"],
        except: &["src/wire/", "src/grpc/", "src/client"],
        why: "gRPC stays in its shell",
    },
    Ban { text: "prost", under: SPEAKS_NO_PROTOCOL, except: &[], why: "messages stay in wire and its users" },
    Ban { text: "prost_types", under: SPEAKS_NO_PROTOCOL, except: &[], why: "messages stay in wire and its users" },
    Ban { text: "axum", under: &["src/"], except: &["src/app/metrics_server.rs"], why: "one file answers plain HTTP" },
    Ban {
        text: "clap",
        under: &["src/"],
        except: &["src/cli/", "src/main.rs"],
        why: "the command line stays in its room",
    },
    Ban {
        text: "SessionContext",
        under: &["src/"],
        except: &["src/engine/session.rs"],
        why: "one place makes sessions",
    },
    Ban {
        text: "SessionStateBuilder",
        under: &["src/"],
        except: &["src/engine/session.rs"],
        why: "one place makes sessions",
    },
    Ban {
        text: "File::create",
        under: &["src/engine/", "src/io/", "src/app/", "src/grpc/"],
        except: &["src/io/output.rs"],
        why: "one place creates outputs",
    },
    Ban {
        text: "File::options",
        under: &["src/engine/", "src/io/", "src/app/", "src/grpc/"],
        except: &["src/io/output.rs", "src/io/scratch.rs"],
        why: "one place creates outputs",
    },
    Ban {
        text: "OpenOptions",
        under: &["src/engine/", "src/io/", "src/app/", "src/grpc/"],
        except: &["src/io/output.rs"],
        why: "one place creates outputs",
    },
    Ban { text: "fs::rename", under: &["src/"], except: &["src/io/output.rs"], why: "one place publishes outputs" },
    Ban {
        text: "get_extension",
        under: &["src/"],
        except: &[],
        why: "what bounds a run stands in its RunContext; an extension that is absent would be no bound",
    },
    Ban {
        text: "env::set_var",
        under: &["src/", "tests/", "examples/"],
        except: &["tests/it/tidy.rs"],
        why: "it is unsound beside threads",
    },
];

/// Which rooms a room must not know, as `crate::` paths.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "src/scorecard/",
        &["component", "plan", "intake", "io", "accel", "cluster", "engine", "wire", "app", "grpc", "client", "cli"],
    ),
    ("src/component/", &["plan", "intake", "io", "accel", "cluster", "engine", "wire", "app", "grpc", "client", "cli"]),
    ("src/plan/", &["intake", "io", "accel", "cluster", "engine", "wire", "app", "grpc", "client", "cli"]),
    ("src/intake/", &["plan", "io", "accel", "cluster", "engine", "wire", "app", "grpc", "client", "cli"]),
    ("src/io/", &["accel", "engine", "wire", "app", "grpc", "client", "cli"]),
    ("src/accel/", &["component", "plan", "intake", "io", "cluster", "engine", "wire", "app", "grpc", "client", "cli"]),
    ("src/cluster/", &["component", "plan", "intake", "accel", "engine", "wire", "app", "grpc", "client", "cli"]),
    ("src/engine/", &["wire", "app", "grpc", "client", "cli"]),
    ("src/app/", &["wire", "intake", "io", "accel", "cluster", "grpc", "client", "cli"]),
    ("src/wire/", &["intake", "io", "accel", "cluster", "grpc", "client", "cli"]),
    ("src/grpc/", &["intake", "io", "accel", "cluster", "client", "cli"]),
    ("src/client", &["intake", "io", "accel", "cluster", "engine", "plan", "app", "grpc", "cli"]),
    ("src/cli/", &["intake", "io", "accel", "cluster", "plan"]),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// All Rust files but the generated ones, by their path from the root.
pub fn files() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        rust_files(&root().join(folder), &mut paths);
    }
    paths.sort();
    let named = paths.into_iter().map(|path| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        (name, fs::read_to_string(path).unwrap())
    });
    named.filter(|(name, _)| name != "src/wire/proto/customer_health_v1.rs").collect()
}

/// Lines of code with their numbers: no comments, and nothing from the module of unit tests on.
pub fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.take_while(|(_, line)| *line != "#[cfg(test)]").filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn starts_with_any(name: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| name.starts_with(beginning))
}

/// Whether a text stands in a line as a word of its own.
fn names(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + text.len()..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
        !word(before) && (!word(after) || !text.ends_with(char::is_alphanumeric))
    })
}

#[test]
fn rooms_name_only_what_they_may() {
    let mut faults = Vec::new();
    for (name, text) in files() {
        for ban in BANS.iter().filter(|b| starts_with_any(&name, b.under) && !starts_with_any(&name, b.except)) {
            for (number, _) in code(&text).filter(|(_, line)| names(line, ban.text)) {
                faults.push(format!("{name}:{number}: `{}` may not stand here: {}", ban.text, ban.why));
            }
        }
    }
    // The check of SQL syntax is the one thing that component takes from DataFusion.
    for (name, text) in files().into_iter().filter(|(name, _)| name.starts_with("src/component/")) {
        for (number, line) in code(&text).filter(|(_, line)| names(line, "datafusion")) {
            if !line.contains("datafusion::sql::sqlparser") {
                faults.push(format!("{name}:{number}: component knows nothing of execution"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn rooms_use_what_stands_to_their_right_only() {
    let mut faults = Vec::new();
    for (name, text) in files() {
        for (_, unknown) in ROOMS.iter().filter(|(room, _)| name.starts_with(room)) {
            for (number, line) in code(&text) {
                for other in unknown.iter().filter(|other| names(line, &format!("crate::{other}"))) {
                    faults.push(format!("{name}:{number}: this room may not use crate::{other}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_and_is_not_too_long() {
    let mut faults = Vec::new();
    for (name, text) in files() {
        if !text.starts_with("//! ") {
            faults.push(format!("{name}: the first line is no `//!` that says what the file is for"));
        }
        let lines = text.lines().count();
        if lines > LONGEST && !LONG.iter().any(|(long, _)| *long == name) {
            faults.push(format!("{name}: {lines} lines, at most {LONGEST} are read gladly"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_folder_is_called_utils() {
    let bad = ["utils", "util", "helpers", "common", "misc"];
    let faults: Vec<String> = files()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.split(['/', '.']).any(|part| bad.contains(&part)))
        .collect();
    assert!(faults.is_empty(), "a name that says nothing: {faults:?}");
}
