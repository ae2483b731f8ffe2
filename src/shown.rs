//! Names and values of others as they may stand in text for people: no file, column or customer can be called so that it
//! ends a line of ours, begins one of its own, or steers the terminal.

use std::fmt::Display;

/// What comes between what is wrong and the way out.
pub const HINT: &str = "\n  hint: ";

/// A text that stays in its line: line ends and whatever else steers a terminal are escaped, as Rust escapes them.
pub fn shown(text: impl Display) -> String {
    escaped(&text.to_string(), |c| c.escape_default().to_string())
}

/// JSON as it may go to a terminal: it says the same, with what JSON leaves as it is and steers terminals escaped.
/// Line ends stay, for JSON has none within its texts.
pub fn shown_json(json: &str) -> String {
    escaped(json, |c| match c {
        '\n' => c.to_string(),
        _ => format!("\\u{:04x}", u32::from(c)),
    })
}

/// What is wrong, in a line of its own, and the way out in the next one.
pub fn told(message: impl Display, hint: Option<&str>) -> String {
    let hint = hint.map(|hint| format!("{HINT}{}", shown(hint))).unwrap_or_default();
    format!("{}{hint}", shown(message))
}

/// Control characters, line ends, and what turns the direction of the text behind it.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match steers(c) {
            true => out.push_str(&escape(c)),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_neither_ends_its_line_nor_steers_the_terminal() {
        assert_eq!(
            shown("a\nerror: b\r\u{1b}[31m\u{9b}2J\u{202e}\u{7f}"),
            "a\\nerror: b\\r\\u{1b}[31m\\u{9b}2J\\u{202e}\\u{7f}"
        );
        assert_eq!(shown("M\u{fc}ller \u{1f600} \u{5e9} C:\\new"), "M\u{fc}ller \u{1f600} \u{5e9} C:\\new");
        assert_eq!(told("a\n  hint: b", Some("c\nd")), "a\\n  hint: b\n  hint: c\\nd");
    }

    #[test]
    fn json_says_the_same_once_it_is_shown() {
        let value = serde_json::json!({"a\u{9b}": ["\u{7f}\n\u{1b}\u{202e}\u{2028}\\n", "M\u{fc}ller"]});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = shown_json(&text);
        assert!(!shown.chars().any(|c| c != '\n' && steers(c)) && shown.lines().count() == text.lines().count());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
