//! What goes to stdout and stderr: lines for people, and documents for programs.

use std::fmt::Display;
use std::io::{self, Write};

use super::exit::Failure;
use crate::shown::shown;

/// Lines for people. Each is one line, whatever the names and values in it are: line ends and what else steers a terminal
/// are escaped. Nothing else goes to a terminal but documents, which escape by themselves.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Lines(String);

impl Lines {
    /// A single line.
    pub fn one(line: impl Display) -> Self {
        let mut lines = Self::default();
        lines.line(line);
        lines
    }

    /// Adds a line.
    pub fn line(&mut self, line: impl Display) {
        self.0 += &shown(line);
        self.0.push('\n');
    }

    /// Adds an empty line.
    pub fn blank(&mut self) {
        self.0.push('\n');
    }

    /// Adds others.
    pub fn append(&mut self, lines: &Self) {
        self.0 += &lines.0;
    }

    /// Their text, with an end to each.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes lines to stdout. A reader that has seen enough, such as `head`, is no failure.
///
/// # Errors
/// Where stdout cannot be written for another reason, such as a full disk.
pub fn stdout(lines: &Lines) -> Result<(), Failure> {
    document(lines.as_str())
}

/// Writes a document to stdout, in which names are escaped by the rules of its language.
///
/// # Errors
/// Where stdout cannot be written for another reason than that its reader has seen enough.
pub fn document(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::io("cannot write to stdout", &error)),
        _ => Ok(()),
    }
}

/// Writes lines to stderr. Where that fails there is nowhere left to say so.
pub fn stderr(lines: &Lines) {
    let _ = io::stderr().lock().write_all(lines.as_str().as_bytes());
}

/// Which side of a column its cells keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Cells in columns, the first row being the heading.
#[derive(Debug)]
pub struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(columns: &[(&str, Side)]) -> Self {
        let headings = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        Self { sides: columns.iter().map(|(_, side)| *side).collect(), rows: vec![headings] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        // As they will be shown, so that their widths are.
        self.rows.push(cells.map(shown).into());
    }

    /// The table as lines, each indented by two blanks.
    pub fn lines(&self) -> Lines {
        let width = |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.sides.len()).map(|at| width(at).unwrap_or(0)).collect();
        let mut lines = Lines::default();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, side), width) in row.iter().zip(&self.sides).zip(&widths) {
                let blanks = " ".repeat(width - cell.chars().count());
                line.push_str("  ");
                match side {
                    Side::Left => line.extend([cell.as_str(), &blanks]),
                    Side::Right => line.extend([blanks.as_str(), cell]),
                }
            }
            lines.line(line.trim_end());
        }
        lines
    }
}

/// A share in per cent, or `-` of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{:.1} %", part as f64 / whole as f64 * 100.0)
}

/// A count with its noun: `1 row`, `2 rows`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", indicatif::HumanCount(count))
}

/// A heading with a list below it; nothing where the list is empty.
pub fn list(heading: &str, items: &[String]) -> Lines {
    let mut lines = Lines::default();
    if !items.is_empty() {
        lines.blank();
        lines.line(heading);
        items.iter().for_each(|item| lines.line(format_args!("  - {item}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_blanks() {
        let mut table = Table::new(&[("name", Side::Left), ("rows", Side::Right), ("file", Side::Left)]);
        table.row(["\u{e4}b".to_owned(), "1,000".to_owned(), "x".to_owned()]);
        table.row(["longer".to_owned(), "7".to_owned(), String::new()]);
        assert_eq!(table.lines().as_str(), "  name     rows  file\n  \u{e4}b      1,000  x\n  longer      7\n");
    }

    #[test]
    fn cells_with_line_ends_stay_in_their_row_and_line_up() {
        let mut table = Table::new(&[("file", Side::Left), ("rows", Side::Right)]);
        table.row(["a\n\u{1b}[31mb".to_owned(), "1".to_owned()]);
        table.row(["c".to_owned(), "20".to_owned()]);
        let text = "  file            rows\n  a\\n\\u{1b}[31mb     1\n  c                 20\n";
        assert_eq!(table.lines().as_str(), text);
    }

    #[test]
    fn small_words() {
        assert_eq!((percent(1, 8), percent(1, 0)), ("12.5 %".to_owned(), "-".to_owned()));
        assert_eq!((counted(1, "row"), counted(1200, "row")), ("1 row".to_owned(), "1,200 rows".to_owned()));
        assert_eq!(list("hints", &["a\nb".to_owned()]).as_str(), "\nhints\n  - a\\nb\n");
        assert_eq!(list("hints", &[]), Lines::default());
    }
}
