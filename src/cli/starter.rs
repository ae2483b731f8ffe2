//! The starter component.yaml: which table is which, and the text with what was found in them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::component::{Component, ComponentError, Recipe};
use crate::scorecard::presets;
use crate::scorecard::{InputName, Scorecard};

/// Most columns that a comment lists.
const LISTED: usize = 30;

/// A table as its schema shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Path as it goes into the YAML.
    pub path: String,
    /// Column that holds the customer's id, where it could be told.
    pub key: Option<String>,
    /// All columns.
    pub columns: Vec<String>,
    /// Those that hold dates or timestamps.
    pub times: Vec<String>,
}

/// The scorecard that a component starts from when it names none.
///
/// # Errors
/// Never, unless the built-in scorecard is broken.
pub fn default_scorecard() -> Result<Scorecard, ComponentError> {
    let inputs: Vec<String> = InputName::ALL.iter().map(|name| format!("{name}: any")).collect();
    let text = format!("inputs: {{{}}}", inputs.join(", "));
    Ok(Component::new(&Recipe { text, ..Recipe::default() })?.scorecard().clone())
}

/// Which input a table is: the one that finds most of its fields there; of several the one that the path names.
///
/// # Errors
/// The inputs between which nothing decides.
pub fn guess(card: &Scorecard, path: &str, columns: &[String]) -> Result<InputName, Vec<InputName>> {
    let path = path.to_lowercase();
    let file = path.rsplit('/').next().unwrap_or_default();
    let ranks = InputName::ALL
        .map(|name| (found(card, name, columns).len(), usual_words(name).iter().any(|word| file.contains(word)), name));
    let best = ranks.iter().map(|(fields, named, _)| (*fields, *named)).max().unwrap_or_default();
    let top: Vec<InputName> =
        ranks.iter().filter(|(fields, named, _)| (*fields, *named) == best).map(|(_, _, name)| *name).collect();
    match top.as_slice() {
        [only] => Ok(*only),
        _ => Err(top),
    }
}

/// Words in a file's name that tell what is in it, where its columns do not.
fn usual_words(input: InputName) -> &'static [&'static str] {
    match input {
        InputName::Customer => &["customer", "account", "user"],
        InputName::Subscription => &["subscription", "billing", "payment", "invoice"],
        InputName::Usage => &["usage", "event", "activity", "session"],
        InputName::Support => &["support", "ticket", "issue"],
    }
}

/// The fields of an input that have a column, with that column.
fn found<'a>(card: &'a Scorecard, input: InputName, columns: &'a [String]) -> Vec<(&'a str, &'a str)> {
    let mut fields = Vec::new();
    for (_, indicator) in card.indicators().filter(|(_, indicator)| indicator.input == input) {
        let mut names = std::iter::once(&indicator.field).chain(&indicator.aliases);
        let column = names.find(|name| columns.contains(name));
        if let Some(column) = column.filter(|_| fields.iter().all(|(field, _)| *field != indicator.field)) {
            fields.push((indicator.field.as_str(), column.as_str()));
        }
    }
    fields
}

/// The text of the component.
pub fn yaml(card: &Scorecard, tables: &BTreeMap<InputName, Table>) -> String {
    let mut text = String::from(
        "# How customer_health_scores is made. `customer-health validate` finds mistakes in this file;\n\
         # `customer-health schema` prints its JSON Schema, with which editors complete and explain every key.\n\
         asset_name: customer_health_scores\n\
         # description: Health of every customer, for customer success.\n\
         # group_name: customer_success\n\
         # owners: [\"team:customer-success\"]\n\
         \n\
         # Paths start from this file's folder.\n\
         output: out/customer_health_scores.parquet\n\
         \n\
         inputs:\n",
    );
    for name in InputName::ALL {
        match tables.get(&name) {
            Some(table) => input(&mut text, card, name, table),
            None => {
                let _ = writeln!(text, "  # {name}: {{path: FILE}} # not connected: its fields count as missing");
            }
        }
    }
    defaults(&mut text, card);
    text
}

fn input(text: &mut String, card: &Scorecard, name: InputName, table: &Table) {
    let _ = writeln!(text, "  {name}:\n    path: {}", quoted(&table.path));
    let _ = match &table.key {
        Some(key) => writeln!(text, "    key: {} # holds the customer's id", quoted(key)),
        None => writeln!(text, "    # key: COLUMN # name the column that holds the customer's id"),
    };
    for time in &table.times {
        let days = card.analysis_period_days;
        let _ = writeln!(text, "    # timestamp: {} # then only rows of the last {days} days count", quoted(time));
    }
    let found = found(card, name, &table.columns);
    let _ = writeln!(text, "    # Found {} of the fields that the scorecard reads from here:", found.len());
    for (field, column) in &found {
        let from = if field == column { String::new() } else { format!(" (column {column})") };
        let _ = writeln!(text, "    #   {field}{from}");
    }
    let mut missing: Vec<&str> = Vec::new();
    for (_, indicator) in card.indicators().filter(|(_, indicator)| indicator.input == name) {
        let field = indicator.field.as_str();
        if !missing.contains(&field) && found.iter().all(|(known, _)| *known != field) {
            missing.push(field);
        }
    }
    if !missing.is_empty() {
        let _ = writeln!(text, "    # Not found; SQL over the columns can supply them, here or as an aggregate:");
        let _ = writeln!(text, "    # fields:");
        missing.iter().for_each(|field| {
            let _ = writeln!(text, "    #   {field}: SQL");
        });
    }
    let used = |column: &&String| table.key.as_ref() == Some(*column) || found.iter().any(|(_, known)| known == column);
    let others: Vec<&str> = table.columns.iter().filter(|column| !used(column)).map(String::as_str).collect();
    if !others.is_empty() {
        let more = others.len().saturating_sub(LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let listed = others[..others.len().min(LISTED)].join(", ");
        // A line break in a column's name must not end the comment.
        let _ = writeln!(text, "    # Columns not used: {}{more}", listed.replace(['\n', '\r'], " "));
    }
}

fn defaults(text: &mut String, card: &Scorecard) {
    let presets: Vec<&str> = presets::ALL.iter().map(|preset| preset.name).collect();
    let _ = writeln!(text, "\n# What holds where nothing is said. Remove the `#` to change it.");
    let _ =
        writeln!(text, "# scorecard: {} # or {}, or the path of your own", presets::DEFAULT, presets[1..].join(", "));
    let _ = writeln!(text, "# analysis_period_days: {}", card.analysis_period_days);
    let _ = writeln!(text, "# min_health_score: {}", card.min_health_score);
    let _ = writeln!(text, "# max_health_score: {}", card.max_health_score);
    for (key, flag) in
        [("churn_risk_threshold", card.churn_risk), ("expansion_opportunity_threshold", card.expansion_opportunity)]
    {
        if let Some(score) = flag.score() {
            let _ = writeln!(text, "# {key}: {score}");
        }
    }
    let _ = writeln!(text, "# components:");
    for component in &card.components {
        let _ = writeln!(text, "#   {}: {{weight: {}}}", component.name, component.weight);
    }
    let _ = writeln!(text, "# include_factor_breakdown: true # a column for each component's score");
    let _ = writeln!(text, "# include_drivers: false # columns that say what moved each score");
}

/// A YAML scalar that reads back as this text.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let starts_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_word = matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off");
    if starts_plain && text.chars().all(plain) && !is_word {
        return text.to_owned();
    }
    // JSON's strings are YAML's.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(path: &str, columns: &[&str]) -> Table {
        Table {
            path: path.into(),
            key: Some("customer_id".into()),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            times: vec!["day".into()],
        }
    }

    #[test]
    fn columns_decide_and_the_name_of_the_file_breaks_ties() {
        let card = default_scorecard().unwrap();
        let guess = |path: &str, columns: &[&str]| super::guess(&card, path, &table(path, columns).columns);
        assert_eq!(guess("x.parquet", &["mrr", "status"]), Ok(InputName::Subscription));
        assert_eq!(guess("usage.parquet", &["ticket_count"]), Ok(InputName::Support));
        assert_eq!(guess("Support_2025.parquet", &["a"]), Ok(InputName::Support));
        assert_eq!(guess("x.parquet", &["a"]), Err(InputName::ALL.to_vec()));
    }

    #[test]
    fn the_starter_is_a_valid_component_and_tells_what_was_found() {
        let card = default_scorecard().unwrap();
        let tables = BTreeMap::from([
            (InputName::Usage, table("data/usage: all.parquet", &["customer_id", "sessions", "session_count", "x"])),
            (InputName::Support, Table { key: None, ..table("support.parquet", &["critical_issues"]) }),
        ]);
        let text = yaml(&card, &tables);
        let component = Component::new(&Recipe { text: text.clone(), ..Recipe::default() }).unwrap();
        assert_eq!(component.inputs()[&InputName::Usage].path, "data/usage: all.parquet");
        assert_eq!(component.inputs()[&InputName::Support].key, None);
        assert_eq!(component.scorecard(), &card);
        assert!(
            text.contains("    #   session_count\n") && text.contains("# Columns not used: sessions, x\n"),
            "{text}"
        );
        assert!(text.contains("    #   ticket_count: SQL\n"), "{text}");
    }

    #[test]
    fn the_defaults_that_are_offered_are_valid_too() {
        let card = default_scorecard().unwrap();
        let text = yaml(&card, &BTreeMap::from([(InputName::Usage, table("u.parquet", &[]))]));
        let (head, tail) = text.split_once("Remove the `#` to change it.\n").unwrap();
        let tail: String =
            tail.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(&line[1..]))).collect();
        let all = format!("{head}\n{tail}");
        let component = Component::new(&Recipe { text: all, ..Recipe::default() }).unwrap();
        assert_eq!(component.scorecard(), &card);
    }
}
