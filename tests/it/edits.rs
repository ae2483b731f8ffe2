//! Wrong edits of a component.yaml, as people make them: each is told with its place and the way out, and most of them by the
//! editor already. `tests/edits/edits.txt` has the edits with what is said of them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use customer_health::component::Recipe;

use crate::schema::Schema;
use crate::support::{block_on, engine, root};

/// An edit: what is replaced by what, and what was written of the outcome.
struct Edit {
    name: String,
    old: String,
    new: String,
}

fn folder() -> PathBuf {
    root().join("tests/edits")
}

fn edits(text: &str) -> Vec<Edit> {
    let lines = |section: &str, mark: &str| {
        let of_mark = section.lines().filter_map(|line| line.strip_prefix(mark));
        of_mark.collect::<Vec<_>>().join("\n")
    };
    let sections = text.split("\n# ").skip(1);
    let edit = |section: &str| Edit {
        name: section.lines().next().unwrap().to_owned(),
        old: lines(section, "- "),
        new: lines(section, "+ "),
    };
    sections.map(edit).collect()
}

/// What the program says of a component in the folder of the edits.
fn told(text: &str) -> Option<String> {
    let recipe =
        Recipe { file: "component.yaml".to_owned(), text: text.to_owned(), base_dir: folder(), ..Recipe::default() };
    let outcome = block_on(async {
        let engine = engine(None);
        let component = engine.component(&recipe).await?;
        engine.describe(&component).await.map(drop)
    });
    Some(outcome.err()?.to_string().replace(&format!("{}/", folder().display()), ""))
}

#[test]
fn every_edit_is_told_as_written() {
    let (file, base) = (folder().join("edits.txt"), fs::read_to_string(folder().join("component.yaml")).unwrap());
    assert_eq!(told(&base), None, "without an edit there is nothing to tell");
    let (text, schema) = (fs::read_to_string(&file).unwrap(), Schema::of_components());
    let mut found = text.split("\n# ").next().unwrap().to_owned();
    let (mut all, mut caught) = (0, 0);
    for Edit { name, old, new } in edits(&text) {
        assert_eq!(base.matches(&old).count(), 1, "{name}: `{old}` has to be in the component once");
        let edited = base.replace(&old, &new);
        let answer = told(&edited).unwrap_or_else(|| panic!("{name}: nothing is told"));
        assert!(answer.contains("component.yaml:"), "{name}: told without a place\n{answer}");
        // The editor's reader of YAML finds the rest.
        let editor = match serde_yaml::from_str(&edited) {
            Ok(value) => !schema.faults(&value).is_empty(),
            Err(_) => true,
        };
        (all, caught) = (all + 1, caught + usize::from(editor));
        let marked = |mark: &str, text: &str| text.lines().map(|line| format!("{mark} {line}\n")).collect::<String>();
        let _ = write!(
            found,
            "\n# {name}\n{}{}{}editor: {}\n",
            marked("-", &old),
            marked("+", &new),
            marked(">", &answer),
            if editor { "finds it" } else { "does not" }
        );
    }
    assert!(all >= 45 && caught >= 45, "the editor finds {caught} of {all}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &found).unwrap();
    }
    assert!(text == found, "tests/edits/edits.txt says otherwise; UPDATE_GOLDEN=1 rewrites it, for review\n{found}");
}
