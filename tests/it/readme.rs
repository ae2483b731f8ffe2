//! The README and the API's page say what is true: pictures of the output, a component.yaml, its mistakes, all calls.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use customer_health::component::{Component, Recipe};
use prost::Message;
use prost_types::FileDescriptorSet;

use crate::support::root;

/// The fenced blocks of a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_picture_is_what_the_first_command_prints() {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_customer-health"))
        .current_dir(root())
        .args(["materialize", "component.yaml", "--as-of", "2026-01-01", "--output"])
        .arg(folder.path().join("scores.parquet"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let printed = String::from_utf8(run.stdout).unwrap().replace(&format!("{}/", root().display()), "");
    for line in blocks("text")[0].lines().filter(|line| line.trim() != "...") {
        assert!(
            printed.lines().any(|other| other == line),
            "the README shows, but nothing printed:\n{line}\n{printed}"
        );
    }
}

/// Else the second of them compiles DataFusion again.
#[test]
fn its_two_commands_share_one_build() {
    assert_eq!(blocks("console")[..2], ["cargo run -- materialize component.yaml\n", "cargo test\n"]);
    let features = |edges: &str| -> BTreeSet<String> {
        let tree = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p} {f}", "--edges", edges])
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let lines = String::from_utf8(tree.stdout).unwrap();
        lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
    };
    let (run, test) = (features("normal,build"), features("normal,build,dev"));
    let apart: Vec<&String> = run.difference(&test).collect();
    assert!(apart.is_empty(), "the tests ask more features of these; Cargo.toml has to as well:\n{apart:#?}");
}

#[test]
fn the_page_of_the_api_shows_every_call_in_each_language() {
    let page = fs::read_to_string(root().join("docs/api.md")).unwrap();
    let contract = FileDescriptorSet::decode(customer_health::proto::FILE_DESCRIPTOR_SET).unwrap();
    let (_, languages) = page.split_once("## Rust\n").unwrap();
    let (rust, rest) = languages.split_once("## Python\n").unwrap();
    let (python, shell) = rest.split_once("## Shell\n").unwrap();
    for method in contract.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method) {
        let name = method.name();
        let snake: String =
            name.chars().map(|c| if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.into() }).collect();
        assert!(rust.contains(&format!("client.{}(", &snake[1..])), "Rust: {name}");
        assert!(python.contains(&format!("service.{name}(")), "Python: {name}");
        assert!(
            shell.contains(&format!("ask {name} ")) || shell.contains(&format!("Service/{name}\n")),
            "shell: {name}"
        );
    }
}

#[test]
fn the_page_for_operators_lists_the_flags_of_serve_and_no_others() {
    let help = Command::new(env!("CARGO_BIN_EXE_customer-health")).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let known: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("-h, ").or(Some(line.trim_start())))
        .filter(|line| line.starts_with("--"))
        .filter_map(|line| line.split([' ', '=']).next())
        .filter(|flag| *flag != "--help")
        .collect();
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `--"));
    let cells = rows.filter_map(|line| line.split('|').nth(1));
    let told: BTreeSet<&str> =
        cells.flat_map(|cell| cell.split(['`', ' '])).filter(|word| word.starts_with("--")).collect();
    assert_eq!(told, known);
}

#[test]
fn its_component_is_valid() {
    let text = blocks("yaml").remove(0);
    let recipe = Recipe { file: "README.md".to_owned(), text, ..Recipe::default() };
    let component = Component::new(&recipe).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(component.scorecard().components.last().unwrap().column(), "adoption_score");
}

#[test]
fn the_page_of_scorecards_shows_one_that_holds() {
    let page = fs::read_to_string(root().join("docs/scorecards.md")).unwrap();
    let scorecard = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ours.yaml"), scorecard).unwrap();
    let text = "{scorecard: ./ours.yaml, inputs: {usage: u.parquet}}".to_owned();
    let recipe = Recipe { text, base_dir: folder.path().to_owned(), ..Recipe::default() };
    let component = Component::new(&recipe).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = component.scorecard().components.iter().map(|c| c.name.as_str()).collect();
    assert!(names.contains(&"onboarding") && !names.contains(&"support_health"), "{names:?}");
}

#[test]
fn its_mistakes_are_told_in_these_words() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("usage.csv"), "account_id,sessions\na,1\n").unwrap();
    let text =
        "output: out.parquet\n\nchurn_treshold: 40\ninputs:\n  usage:\n    path: usage.csv\n    key: acount_id\n";
    fs::write(folder.path().join("component.yaml"), text).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_customer-health"))
        .current_dir(folder.path())
        .args(["materialize", "component.yaml", "--quiet"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(3));
    assert_eq!(String::from_utf8(run.stderr).unwrap(), blocks("text")[1]);
}
