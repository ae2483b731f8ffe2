//! Text for stdout: writing it, and laying it out in columns.

use std::io::{self, Write};

use super::exit::Failure;

/// Writes text to stdout. A reader that has seen enough, such as `head`, is no failure.
///
/// # Errors
/// Where stdout cannot be written for another reason, such as a full disk.
pub fn stdout(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::io("cannot write to stdout", &error)),
        _ => Ok(()),
    }
}

/// Writes text to stderr. Where that fails there is nowhere left to say so.
pub fn stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
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
        self.rows.push(cells.into());
    }

    /// The table as lines, each indented by two blanks.
    pub fn text(&self) -> String {
        let width = |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.sides.len()).map(|at| width(at).unwrap_or(0)).collect();
        let mut text = String::new();
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
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
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
pub fn list(heading: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    // Items may have lines of their own, such as a hint.
    let lines: String = items.iter().map(|item| format!("  - {}\n", item.replace('\n', "\n    "))).collect();
    format!("\n{heading}\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_blanks() {
        let mut table = Table::new(&[("name", Side::Left), ("rows", Side::Right), ("file", Side::Left)]);
        table.row(["\u{e4}b".to_owned(), "1,000".to_owned(), "x".to_owned()]);
        table.row(["longer".to_owned(), "7".to_owned(), String::new()]);
        assert_eq!(table.text(), "  name     rows  file\n  \u{e4}b      1,000  x\n  longer      7\n");
    }

    #[test]
    fn small_words() {
        assert_eq!((percent(1, 8), percent(1, 0)), ("12.5 %".to_owned(), "-".to_owned()));
        assert_eq!((counted(1, "row"), counted(1200, "row")), ("1 row".to_owned(), "1,200 rows".to_owned()));
        assert_eq!(list("hints", &["a\nb".to_owned()]), "\nhints\n  - a\n    b\n");
        assert_eq!(list("hints", &[]), "");
    }
}
