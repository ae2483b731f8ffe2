//! Where each key and value of a YAML text stands.

use std::collections::HashMap;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

/// Line and column, both from 1; zeros where unknown.
pub type Place = (usize, usize);

/// Places of the keys and values of one YAML document, by dotted path (`inputs.usage.path`, `caps.0.when`).
#[derive(Debug, Clone, Default)]
pub struct Positions {
    keys: HashMap<String, Place>,
    values: HashMap<String, Place>,
}

impl Positions {
    /// Reads a text; one that this parser cannot read has no positions.
    pub fn of(text: &str) -> Self {
        let mut found = Self::default();
        if let Ok(documents) = MarkedYaml::load_from_str(text)
            && let Some(root) = documents.first()
        {
            found.visit(root, String::new());
        }
        found
    }

    fn visit(&mut self, node: &MarkedYaml<'_>, path: String) {
        match &node.data {
            YamlData::Mapping(entries) => {
                for (key, value) in entries {
                    let at = join(&path, &scalar_text(key));
                    self.keys.insert(at.clone(), place(key));
                    self.visit(value, at);
                }
            }
            YamlData::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.visit(item, join(&path, &index.to_string()));
                }
            }
            YamlData::Tagged(_, inner) => self.visit(inner, path.clone()),
            _ => {}
        }
        self.values.insert(path, place(node));
    }

    /// Place of the value at a path.
    pub fn value(&self, path: &str) -> Option<Place> {
        self.values.get(path).copied()
    }

    /// Place of the key at the end of a path.
    pub fn key(&self, path: &str) -> Option<Place> {
        self.keys.get(path).copied()
    }

    /// Place of the value at a path, else of the nearest key above it, else of the whole document.
    pub fn nearest(&self, path: &str) -> Place {
        if let Some(place) = self.value(path) {
            return place;
        }
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('.') {
            if let Some(place) = self.key(parent) {
                return place;
            }
            above = parent;
        }
        (1, 1)
    }
}

/// Appends a segment to a dotted path.
pub fn join(path: &str, segment: &str) -> String {
    if path.is_empty() { segment.to_owned() } else { format!("{path}.{segment}") }
}

fn place(node: &MarkedYaml<'_>) -> Place {
    (node.span.start.line(), node.span.start.col() + 1)
}

fn scalar_text(node: &MarkedYaml<'_>) -> String {
    match &node.data {
        YamlData::Value(Scalar::String(text)) => text.to_string(),
        YamlData::Value(Scalar::Boolean(value)) => value.to_string(),
        YamlData::Value(Scalar::Integer(value)) => value.to_string(),
        YamlData::Value(Scalar::FloatingPoint(value)) => value.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_found_by_path() {
        let at = Positions::of("a: 1\nb:\n  - {x: 2}\n  - {x: {y: 3}}\n");
        assert_eq!(at.value("a"), Some((1, 4)));
        assert_eq!(at.key("b"), Some((2, 1)));
        assert_eq!(at.value("b.1.x.y"), Some((4, 13)));
        assert_eq!(at.nearest("b.1.x.y.z"), (4, 10));
        assert_eq!(at.nearest("nowhere"), (1, 1));
    }
}
