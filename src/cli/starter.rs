//! The starter component.yaml: which table is which, and the text with what was found in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::print::Lines;
use crate::component::{Component, ComponentError, Recipe};
use crate::scorecard::presets;
use crate::scorecard::{InputName, Scorecard};
use crate::shown::{shown, shown_json, told};

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
    /// What each of them holds, in a word.
    pub types: Vec<String>,
    /// Those that hold dates or timestamps.
    pub times: Vec<String>,
    /// SQL for fields whose column cannot be used as it is.
    pub instead: BTreeMap<String, String>,
    /// Fields of the scorecard and the columns that a run reads them from.
    pub found: Vec<(String, String)>,
}

/// Why a table is left out, and what helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The table as it was found.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Note {
    /// The note as text, in one line and one of the hint.
    pub fn text(&self) -> String {
        told(format_args!("{}: {}", self.path, self.message), self.hint.as_deref())
    }

    /// The note for people.
    pub fn lines(&self) -> Lines {
        let mut lines = Lines::one(format_args!("note: {}: {}", self.path, self.message));
        self.hint.iter().for_each(|hint| lines.line(format_args!("  hint: {hint}")));
        lines
    }
}

impl Table {
    /// A column with its type.
    fn typed(&self, column: &str) -> String {
        let at = self.columns.iter().position(|name| name == column);
        let kind = at.and_then(|at| self.types.get(at)).map_or("", String::as_str);
        format!("{} ({kind})", shown(column))
    }
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

/// How much speaks for an input: columns and the name, and of names that say several things what comes last.
pub type Evidence = (usize, usize);

/// What a column of the input's speaks for it, and what the file's name does: columns such as `status` and `amount` are in
/// tables of all kinds, but no two of them in one that is called otherwise.
const COLUMN: usize = 2;
const NAME: usize = 3;

/// Which inputs a table may be, the likeliest first. Without those for which nothing speaks.
pub fn ranked(card: &Scorecard, path: &str, columns: &[String]) -> Vec<(Evidence, InputName)> {
    let path = path.trim_end_matches('/').to_lowercase();
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", &path));
    // `user_events` are events, and a file called `part-0` is what its folder is called.
    let said = |name: &str, input| usual_words(input).iter().filter_map(|word| name.rfind(word)).max();
    let in_file = InputName::ALL.iter().any(|input| said(file, *input).is_some());
    let name = if in_file { file } else { folder.rsplit('/').next().unwrap_or_default() };
    let evidence = |input| {
        let said = said(name, input).map(|at| at + 1);
        let fields = fields_of(card, input, columns).len();
        (COLUMN * fields + said.map_or(0, |_| NAME), said.unwrap_or_default())
    };
    let mut ranks: Vec<(Evidence, InputName)> = InputName::ALL.map(|input| (evidence(input), input)).into();
    ranks.retain(|((strength, _), _)| *strength > 0);
    ranks.sort_by_key(|(evidence, _)| std::cmp::Reverse(*evidence));
    ranks
}

/// Words in a file's name that tell what is in it, where its columns do not.
fn usual_words(input: InputName) -> &'static [&'static str] {
    match input {
        InputName::Customer => &["customer", "account", "user", "client", "compan", "contact"],
        InputName::Subscription => &[
            "subscription",
            "billing",
            "payment",
            "invoice",
            "contract",
            "revenue",
            "order",
            "deal",
            "sale",
            "opportunit",
            "transaction",
        ],
        InputName::Usage => &["usage", "event", "activity", "session", "login", "track", "feature"],
        InputName::Support => &["support", "ticket", "issue", "conversation", "feedback", "csat"],
    }
}

/// The fields of an input that have a column.
fn fields_of<'a>(card: &'a Scorecard, input: InputName, columns: &[String]) -> BTreeSet<&'a str> {
    let plain = |name: &str| name.trim().to_lowercase().replace([' ', '-'], "_");
    let columns: BTreeSet<String> = columns.iter().map(|column| plain(column)).collect();
    let has = |name: &String| columns.contains(&plain(name));
    let own = card.indicators().filter(|(_, indicator)| indicator.input == input);
    let found = own.filter(|(_, indicator)| has(&indicator.field) || indicator.aliases.iter().any(has));
    found.map(|(_, indicator)| indicator.field.as_str()).collect()
}

/// The text of the component; the notes are told in it, too.
pub fn yaml(card: &Scorecard, tables: &BTreeMap<InputName, Table>, notes: &[Note]) -> String {
    let mut text = String::from(
        "# yaml-language-server: $schema=component.schema.json\n\
         # How customer_health_scores is made. `customer-health validate` finds mistakes in this file. With the first line editors\n\
         # complete and explain every key; `customer-health schema > component.schema.json` writes what it names.\n\
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
    if !notes.is_empty() {
        text += "\n# Not connected, and why:\n";
    }
    for note in notes {
        let _ = writeln!(text, "#   {}", note.text().replace('\n', "\n#   "));
    }
    defaults(&mut text, card);
    text
}

fn input(text: &mut String, card: &Scorecard, name: InputName, table: &Table) {
    let _ = writeln!(text, "  {name}:\n    path: {}", quoted(&table.path));
    let _ = match &table.key {
        // Tickets, charges and events have ids of their own: named here, one would be believed.
        Some(key) if name != InputName::Customer && key.eq_ignore_ascii_case("id") => {
            writeln!(
                text,
                "    # key: COLUMN # `{key}` may be the row's own: name the column that holds the customer's id"
            )
        }
        Some(key) => writeln!(text, "    key: {} # holds the customer's id", quoted(key)),
        None => writeln!(text, "    # key: COLUMN # name the column that holds the customer's id"),
    };
    for time in &table.times {
        let days = card.analysis_period_days;
        let _ = writeln!(text, "    # timestamp: {} # then only rows of the last {days} days count", quoted(time));
    }
    let found = &table.found;
    let _ = writeln!(text, "    # Found {} of the fields that the scorecard reads from here:", found.len());
    for (field, column) in found {
        let from = if field == column { "" } else { ": column " };
        let name = if field == column { String::new() } else { field.to_string() };
        let _ = writeln!(text, "    #   {name}{from}{}", table.typed(column));
    }
    if !table.instead.is_empty() {
        text.push_str("    # These columns are no numbers; say how they become some:\n    fields:\n");
    }
    for (field, sql) in &table.instead {
        let _ = writeln!(text, "      {field}: {}", quoted(sql));
    }
    let mut missing: Vec<&str> = Vec::new();
    for (_, indicator) in card.indicators().filter(|(_, indicator)| indicator.input == name) {
        let field = indicator.field.as_str();
        let known = table.instead.contains_key(field) || found.iter().any(|(known, _)| known == field);
        if !known && !missing.contains(&field) {
            missing.push(field);
        }
    }
    if !missing.is_empty() {
        let _ = writeln!(text, "    # Not found; SQL over the columns can supply them, here or as an aggregate:");
        if table.instead.is_empty() {
            text.push_str("    # fields:\n");
        }
        missing.iter().for_each(|field| {
            let _ = writeln!(text, "    #   {field}: SQL");
        });
    }
    let used =
        |column: &&String| table.key.as_ref() == Some(*column) || found.iter().any(|(_, known)| known == *column);
    let others: Vec<String> =
        table.columns.iter().filter(|column| !used(column)).map(|column| table.typed(column)).collect();
    if !others.is_empty() {
        let more = others.len().saturating_sub(LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let listed = others[..others.len().min(LISTED)].join(", ");
        let _ = writeln!(text, "    # Columns not used: {listed}{more}");
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
    // JSON's strings are YAML's, but that YAML has less as it is.
    shown_json(&serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(path: &str, columns: &[&str]) -> Table {
        Table {
            path: path.into(),
            key: Some("customer_id".into()),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            types: columns.iter().map(|_| "text".to_owned()).collect(),
            times: vec!["day".into()],
            instead: BTreeMap::new(),
            found: vec![],
        }
    }

    #[test]
    fn a_name_outweighs_one_column_and_two_columns_a_name() {
        let card = default_scorecard().unwrap();
        let first = |path: &str, columns: &[&str]| {
            ranked(&card, path, &table(path, columns).columns).first().map(|(_, input)| *input)
        };
        assert_eq!(first("x.parquet", &["mrr", "status"]), Some(InputName::Subscription));
        assert_eq!(first("usage.parquet", &["Ticket Count", "csat-score"]), Some(InputName::Support));
        // So many tables have one.
        assert_eq!(first("tickets.csv", &["status"]), Some(InputName::Support));
        assert_eq!(first("x.csv", &["status"]), Some(InputName::Subscription));
        assert_eq!(first("data/Support_2025/", &["a"]), Some(InputName::Support));
        assert_eq!(first("user_events.csv", &["a"]), Some(InputName::Usage));
        assert_eq!(first("usage/part-0.parquet", &["a"]), Some(InputName::Usage));
        assert_eq!(first("x.parquet", &["a"]), None);
    }

    #[test]
    fn the_starter_is_a_valid_component_and_tells_what_was_found() {
        let card = default_scorecard().unwrap();
        let tables = BTreeMap::from([
            (
                InputName::Usage,
                Table {
                    found: vec![("session_count".into(), "session_count".into())],
                    ..table("data/usage: all.parquet", &["customer_id", "sessions", "session_count", "x\n\u{1b}y: z"])
                },
            ),
            (InputName::Support, Table { key: None, ..table("support.parquet", &["critical_issues"]) }),
        ]);
        let note = Note { path: "a\u{7}".into(), message: "b\nc: d".into(), hint: Some("e\nf: g".into()) };
        let text = yaml(&card, &tables, &[note]);
        assert!(text.contains("#   a\\u{7}: b\\nc: d\n#     hint: e\\nf: g\n"), "{text}");
        let component = Component::new(&Recipe { text: text.clone(), ..Recipe::default() }).unwrap();
        assert_eq!(component.inputs()[&InputName::Usage].path, "data/usage: all.parquet");
        assert_eq!(component.inputs()[&InputName::Support].key, None);
        assert_eq!(component.scorecard(), &card);
        assert!(
            text.contains("    #   session_count (text)\n")
                && text.contains("# Columns not used: sessions (text), x\\n\\u{1b}y: z (text)\n"),
            "{text}"
        );
        assert!(text.contains("    #   ticket_count: SQL\n"), "{text}");
    }

    #[test]
    fn the_defaults_that_are_offered_are_valid_too() {
        let card = default_scorecard().unwrap();
        let text = yaml(&card, &BTreeMap::from([(InputName::Usage, table("u.parquet", &[]))]), &[]);
        let (head, tail) = text.split_once("Remove the `#` to change it.\n").unwrap();
        let tail: String =
            tail.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(&line[1..]))).collect();
        let all = format!("{head}\n{tail}");
        let component = Component::new(&Recipe { text: all, ..Recipe::default() }).unwrap();
        assert_eq!(component.scorecard(), &card);
    }
}
