//! What is wrong with a component, said with file, line, column and the way out.

use std::fmt;

use crate::error::ErrorKind;
use crate::shown::{HINT, told};

/// One thing wrong with a file, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File as the user named it.
    pub file: String,
    /// Line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where the file as a whole is meant.
    pub column: usize,
    /// Path of the key or value, such as `inputs.usage.path`.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Problem {
    /// `FILE:LINE:COLUMN: MESSAGE` with its hint, and all names as they are, for programs: [`Display`](fmt::Display) escapes
    /// line ends and what else does not belong into a line.
    pub fn as_it_is(&self) -> String {
        let hint = self.hint.as_deref().map(|hint| format!("{HINT}{hint}")).unwrap_or_default();
        format!("{}{hint}", self.headline())
    }

    fn headline(&self) -> String {
        match self.line {
            0 => format!("{}: {}", self.file, self.message),
            line => format!("{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&told(self.headline(), self.hint.as_deref()))
    }
}

/// What is wrong with a value, before its place is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault and the way out.
    pub fn new(message: impl Into<String>, hint: Option<String>) -> Self {
        Self { message: message.into(), hint }
    }
}

/// Everything that is wrong with a component, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ComponentError {
    /// At least one problem.
    pub problems: Vec<Problem>,
}

impl ComponentError {
    /// Sorts the problems by place and drops repeats.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message)));
        problems.dedup();
        Self { problems }
    }

    /// A single problem with a file as a whole.
    pub fn of_file(file: &str, message: String, hint: Option<String>) -> Self {
        Self {
            problems: vec![Problem { file: file.to_owned(), line: 0, column: 0, path: String::new(), message, hint }],
        }
    }

    /// Always [`ErrorKind::InvalidComponent`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidComponent
    }
}

impl fmt::Display for ComponentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// The known name nearest to `name`, where it is near enough to be a slip of the pen.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `did you mean ...`, else the known names, as a hint.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(near) = nearest(name, known.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let all: Vec<&str> = known.into_iter().collect();
    match all.len() {
        0 => None,
        1..=12 => Some(format!("known here: {}", all.join(", "))),
        more => Some(format!("known here: {} and {} more", all[..12].join(", "), more - 12)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_line_ends_stays_in_its_line() {
        let (file, path, message) = ("a\nb.yaml".to_owned(), "a".to_owned(), "unknown key `x\n\u{1b}[2J`".to_owned());
        let problem = Problem { file, line: 1, column: 2, path, message, hint: Some("c\rd".to_owned()) };
        assert_eq!(problem.to_string(), "a\\nb.yaml:1:2: unknown key `x\\n\\u{1b}[2J`\n  hint: c\\rd");
        assert_eq!(problem.as_it_is(), "a\nb.yaml:1:2: unknown key `x\n\u{1b}[2J`\n  hint: c\rd");
    }

    #[test]
    fn the_nearest_name_wins_and_a_far_one_is_not_offered() {
        let known = ["churn_risk_threshold", "expansion_opportunity_threshold", "max_health_score"];
        assert_eq!(nearest("churn_treshold", known), Some("churn_risk_threshold"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(
            suggest("zebra", known).unwrap(),
            "known here: churn_risk_threshold, expansion_opportunity_threshold, max_health_score"
        );
    }
}
