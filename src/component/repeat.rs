//! Keys that stand twice in one mapping: each is found, and set apart so that the rest of the text can be read.
//!
//! The YAML reader ends at the first of them and tells of the mapping around it only.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, Span};
use serde_yaml::Value;

use super::position::{Place, join};

/// Characters that no key begins with: a repeated key is replaced by one of these, as long as itself.
const APART: std::ops::Range<u32> = 0xE000..0xE100;

/// A key that stood in its mapping before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// The key.
    pub key: String,
    /// Its dotted path.
    pub path: String,
    /// Where it stands again.
    pub place: Place,
    /// Line on which it stood first.
    pub first: usize,
}

/// A mapping or list that is not at its end.
struct Open {
    path: String,
    /// Keys with their lines; `None` for a list.
    keys: Option<HashMap<String, usize>>,
    /// The key whose value is next; `None` where a key is next.
    key: Option<String>,
    items: usize,
}

impl Open {
    /// Notes a value that is complete.
    fn value(&mut self) {
        self.key = None;
        self.items += 1;
    }

    /// Whether what comes next is a key.
    fn wants_key(&self) -> bool {
        self.keys.is_some() && self.key.is_none()
    }

    fn path_of_next(&self) -> String {
        match &self.key {
            Some(key) => join(&self.path, key),
            None => join(&self.path, &self.items.to_string()),
        }
    }
}

/// The text with repeated keys under names that nobody reads, and what they were; places stay what they are.
pub fn set_apart(text: &str) -> (Cow<'_, str>, Vec<Repeat>) {
    let found = find(text);
    if found.is_empty() {
        return (Cow::Borrowed(text), Vec::new());
    }
    let mut chars: Vec<char> = text.chars().collect();
    for ((_, span), stand_in) in found.iter().zip(APART.filter_map(char::from_u32)) {
        if let Some(key) = chars.get_mut(span.start.index()..span.end.index()) {
            key.fill(stand_in);
        }
    }
    (Cow::Owned(chars.into_iter().collect()), found.into_iter().map(|(repeat, _)| repeat).collect())
}

fn find(text: &str) -> Vec<(Repeat, Span)> {
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        // What this parser cannot read, the other one tells.
        let Ok((event, span)) = event else { return Vec::new() };
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let path = open.last().map(Open::path_of_next).unwrap_or_default();
                let keys = matches!(event, Event::MappingStart(..)).then(HashMap::new);
                open.push(Open { path, keys, key: None, items: 0 });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
                complete(open.last_mut());
            }
            Event::Scalar(name, ..) => match open.last_mut() {
                Some(around) if around.wants_key() => {
                    let path = join(&around.path, &name);
                    let (line, column) = (span.start.line(), span.start.col() + 1);
                    let before = around.keys.as_mut().and_then(|keys| match keys.get(name.as_ref()) {
                        Some(first) => Some(*first),
                        None => keys.insert(name.to_string(), line).and(None),
                    });
                    around.key = Some(name.to_string());
                    if let Some(first) = before.filter(|_| found.len() < APART.len() && span.end.line() == line) {
                        found.push((Repeat { key: name.to_string(), path, place: (line, column), first }, span));
                    }
                }
                around => complete(around),
            },
            Event::Alias(_) => complete(open.last_mut()),
            _ => {}
        }
    }
    found
}

/// Notes a value, or a key that is no scalar.
fn complete(around: Option<&mut Open>) {
    match around {
        Some(around) if around.wants_key() => around.key = Some(String::new()),
        Some(around) => around.value(),
        None => {}
    }
}

/// Takes what was set apart out of the values that were read.
pub fn take_out(value: &mut Value) {
    let apart =
        |key: &Value| key.as_str().and_then(|key| key.chars().next()).is_some_and(|c| APART.contains(&c.into()));
    match value {
        Value::Mapping(entries) => {
            entries.retain(|key, _| !apart(key));
            entries.values_mut().for_each(take_out);
        }
        Value::Sequence(items) => items.iter_mut().for_each(take_out),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_repeated_key_is_told_with_both_places() {
        let (_, found) = set_apart("a: 1\nb:\n  - {x: 1, y: 2, 'x': 3}\n  - {x: 1}\na: 2\na: [*q]\n");
        let told: Vec<_> = found.iter().map(|r| (r.path.as_str(), r.place, r.first)).collect();
        // An alias without an anchor is a mistake that the reader tells.
        assert_eq!(told, []);
        let (text, found) = set_apart("a: 1\nb:\n  - {x: 1, y: 2, 'x': 3}\n  - {x: 1}\na: {q: 1}\na: [2]\nc: 1\n");
        let told: Vec<_> = found.iter().map(|r| (r.path.as_str(), r.place, r.first)).collect();
        assert_eq!(told, [("b.0.x", (3, 18), 3), ("a", (5, 1), 1), ("a", (6, 1), 1)]);
        let mut value: Value = serde_yaml::from_str(&text).unwrap();
        take_out(&mut value);
        let rest: Value = serde_yaml::from_str("{a: 1, b: [{x: 1, y: 2}, {x: 1}], c: 1}").unwrap();
        assert_eq!(value, rest);
    }

    #[test]
    fn keys_of_different_mappings_and_keys_that_are_values_do_not_repeat() {
        for text in ["a: {a: a}\nb: {a: 1}\n", "- a\n- a\n", "a\n", "", "? {a: 1}\n: {a: 1}\n? [a]\n: 2\n"] {
            assert!(matches!(set_apart(text), (Cow::Borrowed(_), found) if found.is_empty()), "{text}");
        }
    }
}
