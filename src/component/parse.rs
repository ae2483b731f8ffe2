//! From text to a spec: every slip is collected with its place, and reading goes on behind it.

use std::collections::{BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use serde_yaml::Value;

use super::advice::{self, describe, plain};
use super::document;
use super::level::{self, Levels};
use super::position::{Place, Positions, join};
use super::problem::{ComponentError, Problem, nearest, suggest};
use super::repeat::{self, Repeat};
use super::syntax::{self, Slip};
use super::template::{self, TemplateError, Variables};
use super::vet;

/// Keys beside `attributes:` that belong to the orchestrator and are left to it.
const ENVELOPE: [&str; 5] = ["type", "attributes", "template_vars_module", "requirements", "post_processing"];

/// More slips than this in one file are not worth telling apart.
const MOST_PROBLEMS: usize = 100;

/// Most bytes of the variables that come with a text: each template looks through them.
const MOST_VARIABLES: usize = 1 << 18;

/// A file's name and places, for problems found later.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// File as the user named it.
    pub file: String,
    positions: Positions,
    /// `attributes` where the file has an envelope.
    prefix: String,
}

impl Source {
    /// Place of the value at a path of the spec, if the file has it.
    pub fn place(&self, path: &str) -> Option<Place> {
        self.positions.value(&self.full(path))
    }

    /// A problem with the value at a path, placed at the nearest key above it where the value is not there.
    pub fn problem(&self, path: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        self.at(path, self.positions.nearest(&self.full(path)), message.into(), hint)
    }

    /// A problem with the key at the end of a path.
    pub fn key_problem(&self, path: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        let full = self.full(path);
        let place = self.positions.key(&full).unwrap_or_else(|| self.positions.nearest(&full));
        self.at(path, place, message.into(), hint)
    }

    fn full(&self, path: &str) -> String {
        if path.is_empty() {
            return self.prefix.clone();
        }
        join(&self.prefix, path)
    }

    fn at(&self, path: &str, place: Place, message: String, hint: Option<String>) -> Problem {
        Problem { file: self.file.clone(), line: place.0, column: place.1, path: path.to_owned(), message, hint }
    }
}

/// A spec with what was wrong with it.
#[derive(Debug, Clone)]
pub struct Parsed<T> {
    /// What could be read; keys with problems are as if left out.
    pub spec: T,
    /// What was wrong.
    pub problems: Vec<Problem>,
    /// Paths whose values had to be left out, so that nothing is concluded from their absence.
    pub poisoned: BTreeSet<String>,
    /// Names and places.
    pub source: Source,
}

/// Reads a text into a spec.
///
/// # Errors
/// Where the text is no YAML mapping at all; slips inside one are in [`Parsed::problems`].
pub fn parse<T: DeserializeOwned + JsonSchema>(
    file: &str,
    text: &str,
    variables: &Variables,
) -> Result<Parsed<T>, ComponentError> {
    let mut source = Source { file: file.to_owned(), ..Source::default() };
    let text = &*document::own(text);
    if let Err(vet::OutOfBounds { place, message, hint }) = vet::vet(text) {
        return Err(ComponentError::new(vec![source.at("", place, message, Some(hint))]));
    }
    if variables.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MOST_VARIABLES {
        let message = format!("the variables for its templates take more than {MOST_VARIABLES} bytes");
        let hint = Some("send only those that the text names".to_owned());
        return Err(ComponentError::new(vec![source.at("", (0, 0), message, hint)]));
    }
    let (text, repeats) = repeat::set_apart(text);
    source.positions = Positions::of(&text);
    let told = |repeat: &Repeat| {
        let message = format!("the key `{}` stands here again: it is on line {} already", repeat.key, repeat.first);
        source.at(&repeat.path, repeat.place, message, Some("keep one of the two".to_owned()))
    };
    let mut problems: Vec<Problem> = repeats.iter().map(told).collect();
    let mut root = read_yaml(&source, &text).map_err(|problem| {
        problems.push(problem);
        ComponentError::new(std::mem::take(&mut problems))
    })?;
    if !problems.is_empty() {
        repeat::take_out(&mut root);
    }
    if let Value::Mapping(entries) = &mut root
        && let Some(mut attributes) = entries.remove("attributes")
    {
        if let Value::Mapping(own) = &mut attributes {
            own.retain(|key, _| !key.as_str().is_some_and(|key| document::ORCHESTRATORS.contains(&key)));
        }
        for key in entries.keys().filter_map(Value::as_str).filter(|key| !ENVELOPE.contains(key)) {
            let hint = Some("the asset's own keys belong under `attributes:`".to_owned());
            problems.push(source.key_problem(key, format!("unknown key `{key}` beside `attributes`"), hint));
        }
        source.prefix = "attributes".to_owned();
        root = attributes;
    }
    match &mut root {
        Value::Null => root = Value::Mapping(Default::default()),
        Value::Mapping(entries) => drop(entries.remove("type")),
        other => {
            let message = format!("expected a mapping of keys, found {}", describe(other));
            return Err(ComponentError::new(vec![source.problem("", message, None)]));
        }
    }
    let (poisoned, templates, levels) = (BTreeSet::new(), HashMap::new(), level::of::<T>);
    let mut reader = Reader { source, problems, poisoned, templates, resolved: 0, levels };
    let mut failed = Vec::new();
    reader.resolve(&mut root, &mut Vec::new(), variables, &mut failed);
    for path in failed {
        reader.leave_out(&mut root, &path);
    }
    let spec = reader.read(&mut root)?;
    Ok(Parsed { spec, problems: reader.problems, poisoned: reader.poisoned, source: reader.source })
}

fn read_yaml(source: &Source, text: &str) -> Result<Value, Problem> {
    serde_yaml::from_str(text).map_err(|error| {
        let Slip { place, message, hint } = syntax::explain(&error, text);
        source.at("", place, format!("not YAML: {message}"), Some(hint))
    })
}

struct Reader {
    source: Source,
    problems: Vec<Problem>,
    poisoned: BTreeSet<String>,
    /// Text of the template at a path, shown in place of what it resolved to, which may be a secret.
    templates: HashMap<String, String>,
    /// Bytes that templates resolved to.
    resolved: usize,
    /// What keys there are.
    levels: fn() -> Levels,
}

impl Reader {
    fn resolve(
        &mut self,
        value: &mut Value,
        path: &mut Vec<String>,
        variables: &Variables,
        failed: &mut Vec<Vec<String>>,
    ) {
        match value {
            Value::Mapping(entries) => {
                for (key, inner) in entries.iter_mut() {
                    path.push(key_text(key));
                    self.resolve(inner, path, variables, failed);
                    path.pop();
                }
            }
            Value::Sequence(items) => {
                for (index, inner) in items.iter_mut().enumerate() {
                    path.push(index.to_string());
                    self.resolve(inner, path, variables, failed);
                    path.pop();
                }
            }
            Value::String(text) if template::is_template(text) => match template::render(text, variables) {
                // A long variable that many templates name.
                Ok(resolved) if self.resolved + resolved.len() > vet::MOST_BYTES => {
                    let message = format!("what the templates stand for takes more than {} bytes", vet::MOST_BYTES);
                    self.problems.push(self.source.problem(&path.join("."), message, None));
                    failed.push(path.clone());
                }
                Ok(resolved) => {
                    self.resolved += resolved.len();
                    self.templates.insert(path.join("."), std::mem::replace(text, resolved));
                }
                Err(error) => {
                    let (message, hint) = match error {
                        TemplateError::NotSet(names) if names[0] == template::PROJECT_ROOT => (
                            "the folder of the project is not known".to_owned(),
                            "use a path relative to this file, or send `context.project_root` among the variables".to_owned(),
                        ),
                        TemplateError::NotSet(names) => (
                            format!("environment variable {} is not set", names.join(", ")),
                            format!("set it, or give a default: \"{{{{ env('{}', 'value') }}}}\"", names[0]),
                        ),
                        TemplateError::Unknown(detail) => (
                            format!("template not understood: {detail}"),
                            "known forms: {{ env.NAME }}, {{ env('NAME') }}, {{ env('NAME', 'default') }}, {{ context.project_root }}".to_owned(),
                        ),
                    };
                    self.problems.push(self.source.problem(&path.join("."), message, Some(hint)));
                    failed.push(path.clone());
                }
            },
            _ => {}
        }
    }

    /// Reads what can be read, leaving out one bad key after the other.
    fn read<T: DeserializeOwned>(&mut self, root: &mut Value) -> Result<T, ComponentError> {
        while self.problems.len() < MOST_PROBLEMS {
            let error = match serde_path_to_error::deserialize::<_, T>(root.clone()) {
                Ok(spec) => return Ok(spec),
                Err(error) => error,
            };
            let path: Vec<String> = error
                .path()
                .iter()
                .map_while(|segment| match segment {
                    Segment::Seq { index } => Some(index.to_string()),
                    Segment::Map { key } => Some(key.clone()),
                    Segment::Enum { .. } | Segment::Unknown => None,
                })
                .collect();
            if self.retype(root, &path) {
                continue;
            }
            self.tell(root, &path, &error.inner().to_string());
            if !self.leave_out(root, &path) {
                break;
            }
        }
        Err(ComponentError::new(std::mem::take(&mut self.problems)))
    }

    /// A resolved template is text; where that is the wrong type, it is read once more as YAML would.
    fn retype(&self, root: &mut Value, path: &[String]) -> bool {
        if !self.templates.contains_key(&path.join(".")) {
            return false;
        }
        let Some(place) = find(root, path) else { return false };
        let Value::String(text) = &*place else { return false };
        match serde_yaml::from_str::<Value>(text) {
            Ok(scalar @ (Value::Bool(_) | Value::Number(_))) => {
                *place = scalar;
                true
            }
            _ => false,
        }
    }

    fn tell(&mut self, root: &mut Value, path: &[String], error: &str) {
        let dotted = path.join(".");
        let quoted: Vec<&str> = error.split('`').skip(1).step_by(2).collect();
        let problem = if error.starts_with("unknown field") {
            let hint = self.hint_on_key(quoted[0], &quoted[1..], find(root, path), path);
            self.source.key_problem(&dotted, format!("unknown key `{}`", quoted[0]), hint)
        } else if error.starts_with("unknown variant") {
            let known = quoted[1..].join(", ");
            let hint = nearest(quoted[0], quoted.iter().skip(1).copied());
            let message = format!("`{}` is none of: {known}", quoted[0]);
            let hint = hint.or_else(|| advice::usual_word(quoted[0]).filter(|word| quoted[1..].contains(word)));
            self.source.problem(&dotted, message, hint.map(|near| format!("did you mean `{near}`?")))
        } else if error.starts_with("missing field") {
            self.source.problem(&dotted, format!("`{}` is missing here", quoted[0]), None)
        } else if let Some((_, expected)) = error.rsplit_once(", expected ") {
            let found = match (self.templates.get(&dotted), find(root, path)) {
                (Some(template), _) => format!("what `{template}` resolved to"),
                (None, Some(value)) => describe(value),
                (None, None) => "nothing".to_owned(),
            };
            let hint = find(root, path).and_then(|found| advice::on(plain(expected), found, path));
            self.source.problem(&dotted, format!("expected {}, found {found}", plain(expected)), hint)
        } else {
            self.source.problem(&dotted, error.to_owned(), None)
        };
        self.problems.push(problem);
    }

    /// What a key that is unknown where it stands was meant to be.
    fn hint_on_key(&self, key: &str, known: &[&str], value: Option<&mut Value>, path: &[String]) -> Option<String> {
        let near = nearest(key, known.iter().copied());
        // One letter off: `input` for `inputs`.
        let is_plural = near.is_some_and(|known| known.strip_suffix('s') == Some(key));
        let of_own_name = || value.filter(|_| near.is_none()).and_then(|value| level::of_own_name(path, value));
        let elsewhere = || level::right_place(&(self.levels)(), path).or_else(of_own_name);
        (!is_plural).then(elsewhere).flatten().or_else(|| suggest(key, known.iter().copied()))
    }

    /// Removes the mapping entry that a path leads to, or the one around it where the path leads into a list.
    fn leave_out(&mut self, root: &mut Value, path: &[String]) -> bool {
        for length in (1..=path.len()).rev() {
            let (key, above) = (&path[length - 1], &path[..length - 1]);
            if let Some(Value::Mapping(entries)) = find(root, above)
                && let Some(found) = entries.keys().find(|k| key_text(k) == *key).cloned()
            {
                entries.remove(found);
                self.poisoned.insert(path[..length].join("."));
                return true;
            }
        }
        false
    }
}

fn find<'a>(root: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(root, |value, segment| match value {
        Value::Mapping(entries) => entries.iter_mut().find(|(k, _)| key_text(k) == *segment).map(|(_, v)| v),
        Value::Sequence(items) => segment.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
        _ => None,
    })
}

fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        _ => String::new(),
    }
}
