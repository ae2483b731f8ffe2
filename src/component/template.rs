//! `{{ env.NAME }}`, `{{ env('NAME', 'default') }}` and `{{ context.project_root }}` in values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Object, Value};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};

/// Environment variables that a component may refer to, and [`PROJECT_ROOT`].
pub type Variables = HashMap<String, String>;

/// Name among the variables for the folder of the project that the component belongs to.
pub const PROJECT_ROOT: &str = "context.project_root";

/// The names that one rendering asked for, and whether each was there or had a default.
type Asked = Arc<Mutex<BTreeMap<String, bool>>>;

#[derive(Debug)]
struct Env {
    variables: Variables,
    asked: Asked,
}

impl Env {
    fn look_up(&self, name: &str, default: Option<&Value>) -> Option<Value> {
        let found = self.variables.get(name).map(|text| Value::from(text.clone())).or_else(|| default.cloned());
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), found.is_some());
        found
    }
}

impl Object for Env {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.look_up(key.as_str()?, None)
    }

    fn call(self: &Arc<Self>, _: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let Some(name) = args.first().and_then(Value::as_str) else {
            return Err(Error::new(ErrorKind::MissingArgument, "env() takes the name of a variable"));
        };
        Ok(self.look_up(name, args.get(1)).unwrap_or_default())
    }
}

/// What `context` stands for: the project's folder, and nothing else.
#[derive(Debug)]
struct Context(Arc<Env>);

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "project_root").then(|| self.0.look_up(PROJECT_ROOT, None))?
    }
}

/// Why a template could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// These variables are not set.
    NotSet(Vec<String>),
    /// Not a template of the two known forms.
    Unknown(String),
}

/// Whether a text has a template in it.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Replaces the templates in a text.
///
/// # Errors
/// Where a variable is not set, or a template is not of the known forms.
pub fn render(text: &str, variables: &Variables) -> Result<String, TemplateError> {
    if !is_known_form(text) {
        return Err(TemplateError::Unknown("it does more than to name a variable".to_owned()));
    }
    let (outcome, asked) = attempt(text, variables);
    let missing: Vec<String> = asked.into_iter().filter(|(_, found)| !found).map(|(name, _)| name).collect();
    if !missing.is_empty() {
        return Err(TemplateError::NotSet(missing));
    }
    outcome.map_err(|error| TemplateError::Unknown(error.detail().unwrap_or("not a known template").to_owned()))
}

/// Names of the variables that the templates in a YAML text refer to, so that a client can send their values.
pub fn variables_in(text: &str) -> Vec<String> {
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let end = rest[start..].find("}}").map_or(rest.len(), |end| start + end + 2);
        if is_known_form(&rest[start..end]) {
            names.extend(attempt(&rest[start..end], &Variables::new()).1.into_keys());
        }
        rest = &rest[end..];
    }
    names.into_iter().collect()
}

/// Whether a text has no more in its templates than names, calls, texts and numbers: loops and operators could make
/// much out of little.
fn is_known_form(text: &str) -> bool {
    if text.contains("{%") || text.contains("{#") {
        return false;
    }
    let (mut rest, mut quote) = (text, None);
    while let Some(start) = rest.find("{{") {
        rest = &rest[start + 2..];
        let Some(end) = rest.char_indices().position(|(at, c)| match quote {
            Some(open) => {
                quote = Some(open).filter(|open| *open != c);
                false
            }
            None => {
                quote = Some(c).filter(|c| matches!(c, '\'' | '"'));
                rest[at..].starts_with("}}") || !(c.is_alphanumeric() || "_.,()-'\" \t\n".contains(c))
            }
        }) else {
            // Without an end it is no template, which the engine says.
            return true;
        };
        rest = rest.char_indices().nth(end).map_or("", |(at, _)| &rest[at..]);
        if !rest.starts_with("}}") {
            return false;
        }
    }
    true
}

fn attempt(text: &str, variables: &Variables) -> (Result<String, Error>, BTreeMap<String, bool>) {
    let asked = Asked::default();
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    let env = Arc::new(Env { variables: variables.clone(), asked: asked.clone() });
    let context = Value::from_object(Context(env.clone()));
    let scope = Value::from_iter([("env", Value::from_dyn_object(env)), ("context", context)]);
    let outcome = engine.render_str(text, scope);
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (outcome, asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_resolve_and_a_default_stands_in() {
        let variables = Variables::from([("DATA".to_owned(), "/srv".to_owned())]);
        assert_eq!(render("{{ env.DATA }}/u.parquet", &variables).unwrap(), "/srv/u.parquet");
        assert_eq!(render("{{ env('DATA') }}", &variables).unwrap(), "/srv");
        assert_eq!(render("{{ env('OTHER', 'x') }}", &variables).unwrap(), "x");
        assert_eq!(render("{{ env.OTHER }}", &variables), Err(TemplateError::NotSet(vec!["OTHER".into()])));
        assert_eq!(render("{{ env('OTHER') }}", &variables), Err(TemplateError::NotSet(vec!["OTHER".into()])));
        let project = Variables::from([(PROJECT_ROOT.to_owned(), "/srv".to_owned())]);
        assert_eq!(render("{{ context.project_root }}/u", &project).unwrap(), "/srv/u");
        assert!(matches!(render("{{ context.root }}", &project), Err(TemplateError::Unknown(_))));
    }

    #[test]
    fn a_template_names_a_variable_and_does_nothing_else() {
        for text in [
            "{% for a in [1, 2] %}x{% endfor %}",
            "{{ 'a' * 1000000 }}",
            "{{ 'a' ~ 'b' }}",
            "{{ env.A }}{{ [1][0] }}",
            "{{ env.A | upper }}",
            "{# a note #}{{ env.A }}",
        ] {
            let told = render(text, &Variables::from([("A".to_owned(), "x".to_owned())]));
            assert!(matches!(told, Err(TemplateError::Unknown(_))), "{text}: {told:?}");
        }
        let none = Variables::new();
        assert_eq!(render("{{ env('A', 'x*}}|') }}-{{env(\"B\", 7)}}", &none).unwrap(), "x*}}|-7");
        assert!(matches!(render("{{ env.A", &none), Err(TemplateError::Unknown(_))));
    }

    #[test]
    fn a_client_learns_which_variables_to_send() {
        assert_eq!(
            variables_in("a: '{{ env.B }}'\nc: \"{{ env('A') }}/{{ env('D', 1) }}\"\n# {{ env.Z"),
            ["A", "B", "D"]
        );
    }
}
