//! What is wrong with a text that is no YAML, in the words of whoever wrote it.
//!
//! The reader tells what it expected where it gave up; what went wrong began earlier, often at a bracket or a quote.

use super::position::Place;

/// What is wrong, where, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// Where it begins.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: String,
}

/// Puts the reader's error into words.
pub fn explain(error: &serde_yaml::Error, text: &str) -> Slip {
    let whole = error.to_string();
    let at = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    let (problem, context) = whole.split_once(", while ").unwrap_or((&whole, ""));
    let problem = problem.split(" at line ").next().unwrap_or(problem);
    let began = place_in(context).unwrap_or(at);
    let line = |place: Place| text.lines().nth(place.0.saturating_sub(1)).unwrap_or_default();
    let found = line(at).chars().nth(at.1.saturating_sub(1));
    let before: String = line(at).chars().take(at.1.saturating_sub(1)).collect();
    let template = [at, began].iter().any(|place| has_bare_template(line(*place)));
    let slip = |place: Place, message: String, hint: &str| Slip { place, message, hint: hint.to_owned() };

    if whole.contains("more than one document") {
        let hint = "keep one document in the file, or one whose `type` ends in CustomerHealthScoreComponent";
        return slip(at, "more than one document".to_owned(), hint);
    }
    if template {
        let hint = "put quotes around a template: \"{{ env.NAME }}\"";
        return slip(
            if has_bare_template(line(at)) { at } else { began },
            "a template without quotes".to_owned(),
            hint,
        );
    }
    if found == Some('\t') || before.ends_with('\t') {
        return slip(at, "a tab among the spaces".to_owned(), "YAML is indented with spaces, not tabs");
    }
    if problem.contains("cannot start any token")
        && let Some(found) = found
    {
        let message = format!("a value cannot begin with `{found}`");
        return slip(at, message, "put quotes around the whole value: \"...\"");
    }
    if context.contains("scanning an alias") || problem.contains("unknown anchor") {
        let hint = "put quotes around a text that begins with `*`: \"*.parquet\"";
        return slip(began, "`*` at the beginning of a value names an anchor, and there is none".to_owned(), hint);
    }
    if context.contains("flow mapping") || context.contains("flow sequence") {
        let (open, close) = if context.contains("mapping") { ('{', '}') } else { ('[', ']') };
        let message =
            format!("the `{open}` is not closed: expected `,` or `{close}` before line {}, column {}", at.0, at.1);
        let hint = format!("close it with `{close}`; put quotes around a text with brackets, commas or colons in it");
        return Slip { place: began, message, hint };
    }
    if context.contains("quoted scalar") {
        let hint = "close it with the same quote; inside of '...' a quote is written twice: ''";
        return slip(began, "the quote that begins here is not closed".to_owned(), hint);
    }
    if context.contains("simple key") {
        let message = format!("expected `key: value`, found `{}`", line(began).trim());
        return slip(began, message, "put `: ` between the key and its value");
    }
    if problem.contains("mapping values are not allowed") {
        let hint = "put quotes around a text that has `: ` in it; else indent this line as the keys beside it";
        return slip(at, "a `:` where no key can be".to_owned(), hint);
    }
    if problem.contains("did not find expected key") && before.trim_end().ends_with(['"', '\'']) {
        let hint = "put the other sort of quotes around the whole value: \"'a' <> b\"";
        return slip(at, "text behind the closing quote".to_owned(), hint);
    }
    if problem.contains("did not find expected key") || problem.contains("did not find expected '-' indicator") {
        let (line, column) = began;
        let message =
            format!("this line belongs to nothing above: what is around it began on line {line}, column {column}");
        return slip(at, message, "indent it as deep as the lines that it belongs with");
    }
    slip(at, problem.to_owned(), "check indentation, quotes and brackets at this place")
}

/// Whether a line has a template that no quotes are around.
fn has_bare_template(line: &str) -> bool {
    line.find("{{").is_some_and(|at| !line[..at].contains(['"', '\'']))
}

/// The place that ends in `at line 1 column 2`.
fn place_in(context: &str) -> Option<Place> {
    let (_, place) = context.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (Place, String) {
        let error = serde_yaml::from_str::<serde_yaml::Value>(text).unwrap_err();
        let slip = explain(&error, text);
        (slip.place, slip.message)
    }

    #[test]
    fn the_place_is_where_the_slip_begins() {
        assert_eq!(told("a: 1\nb: {x: 1\nc: 2\n").0, (2, 4));
        assert_eq!(told("a: 1\nb: 'x\nc: 2\n"), ((2, 4), "the quote that begins here is not closed".to_owned()));
        assert_eq!(told("a: 1\nb 2\nc: 3\n"), ((2, 1), "expected `key: value`, found `b 2`".to_owned()));
        assert_eq!(told("a: x: y\n").1, "a `:` where no key can be");
        assert_eq!(told("a: 1\n\tb: 2\n").1, "a tab among the spaces");
        assert_eq!(told("a: {{ env.X }}/b\n").1, "a template without quotes");
        assert_eq!(told("a: 'x' <> y\n").1, "text behind the closing quote");
        assert_eq!(told("a: %x\n").1, "a value cannot begin with `%`");
    }
}
