//! Values of the wrong type: what was found, what was expected and how it is written, in the words of whoever edits YAML.

use serde_yaml::Value;

/// A value in the words of whoever wrote it.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(value) => format!("the number {value}"),
        Value::String(text) if text.chars().count() > 40 => {
            format!("the text \"{}...\"", text.chars().take(40).collect::<String>())
        }
        Value::String(text) => format!("the text \"{text}\""),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Tagged(tagged) => format!("the tag {}", tagged.tag),
    }
}

/// A Rust type's name in the words of whoever edits YAML.
pub fn plain(expected: &str) -> &str {
    match expected {
        "u32" => "a whole number from 0",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "string" => "text",
        "a sequence" => "a list",
        "a map" => "a mapping",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    }
}

/// How a value is to be written at a path, where what was meant can be told.
pub fn on(expected: &str, found: &Value, path: &[String]) -> Option<String> {
    let last = path.last().map(String::as_str).unwrap_or_default();
    match (expected, found) {
        ("a list", Value::String(text)) => Some(format!("put it in brackets: [{text}]")),
        ("a list", Value::Mapping(_)) if last == "risk_categories" || last == "caps" || last == "bands" => {
            Some("begin each entry with `- `".to_owned())
        }
        ("a list", Value::Number(number)) if last == "range" => {
            Some(format!("a range has two ends, the worst value and the best: [0, {number}]"))
        }
        ("a mapping", Value::Sequence(_)) if last == "scale" => {
            Some("say which scale it is: {range: [worst, best]}".to_owned())
        }
        ("a mapping", Value::Sequence(_)) => Some("write `name: value` lines, without `- `".to_owned()),
        ("text", Value::Number(number)) => Some(format!("put it in quotes: \"{number}\"")),
        ("text", Value::Bool(value)) => Some(format!("put it in quotes: \"{value}\"")),
        ("true or false", Value::String(text)) => flag(text),
        ("true or false", Value::Number(number)) => match number.as_u64() {
            Some(0) => Some("write false".to_owned()),
            Some(1) => Some("write true".to_owned()),
            _ => None,
        },
        ("a whole number from 0", Value::Number(number)) => {
            let fraction = number.as_f64().filter(|number| *number > 0.0 && number.fract() != 0.0);
            fraction.map(|number| format!("write {}", number.round()))
        }
        (_, Value::String(text)) if expected.contains("number") || expected.contains("score") => number(text),
        _ => None,
    }
}

/// What a choice is called here that has another name elsewhere.
pub fn usual_word(word: &str) -> Option<&'static str> {
    match word.to_lowercase().as_str() {
        "average" | "mean" => Some("avg"),
        "distinct" | "nunique" | "unique" => Some("count_distinct"),
        "latest" | "newest" => Some("last"),
        "total" => Some("sum"),
        "ndjson" | "jsonl" => Some("json"),
        "ipc" | "feather" => Some("arrow"),
        _ => None,
    }
}

fn flag(text: &str) -> Option<String> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some("write true".to_owned()),
        "false" | "no" | "off" | "n" => Some("write false".to_owned()),
        _ => None,
    }
}

/// How a number is written that a text begins with.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    if text.parse::<f64>().is_ok_and(f64::is_finite) {
        return Some(format!("write {text}, without quotes"));
    }
    if let Some(share) = text.strip_suffix('%').map(str::trim).and_then(|text| text.parse::<f64>().ok()) {
        return Some(format!("write a number without `%`: {share}, or {} where a share is meant", share / 100.0));
    }
    let point = text.replacen(',', ".", 1);
    if point != text && point.parse::<f64>().is_ok() {
        return Some(format!("write {point}, with a point"));
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse::<f64>().ok().map(|_| format!("write {}, without a unit", &text[..end]))
}

#[cfg(test)]
mod tests {

    #[test]
    fn what_was_meant_is_told_where_it_can_be() {
        let on = |expected: &str, found: &str| super::on(expected, &serde_yaml::from_str(found).unwrap(), &[]);
        assert_eq!(on("a number", "'40'").unwrap(), "write 40, without quotes");
        assert_eq!(on("a number", "40%").unwrap(), "write a number without `%`: 40, or 0.4 where a share is meant");
        assert_eq!(on("a number", "'0,25'").unwrap(), "write 0.25, with a point");
        assert_eq!(on("a whole number from 0", "30 days").unwrap(), "write 30, without a unit");
        assert_eq!(on("a whole number from 0", "29.6").unwrap(), "write 30");
        assert_eq!(on("a whole number from 0", "-3"), None);
        assert_eq!(on("a number", "forty"), None);
        assert_eq!(on("true or false", "yes").unwrap(), "write true");
        assert_eq!(on("true or false", "maybe"), None);
        assert_eq!(on("text", "12").unwrap(), "put it in quotes: \"12\"");
    }
}
