//! The JSON Schemas for editors: they are current, and take whatever the program takes.

use std::fs;
use std::path::PathBuf;

use customer_health::component::{self, Component, Recipe};
use regex::Regex;
use serde_json::Value;

use crate::support::root;

/// A schema that values are held against. It knows the keywords that these schemas use, and fails on any other.
pub struct Schema(Value);

impl Schema {
    pub fn of_components() -> Self {
        Self(component::json_schema())
    }

    /// Places and keywords that a value does not fulfil.
    pub fn faults(&self, value: &Value) -> Vec<String> {
        self.check(&self.0, value, "")
    }

    fn check(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let Value::Object(rules) = schema else {
            return if schema == false { vec![format!("{at}: not allowed")] } else { Vec::new() };
        };
        let mut faults = Vec::new();
        for (keyword, rule) in rules {
            let ok = |other: &Value| self.check(other, value, at).is_empty();
            let list = || rule.as_array().unwrap();
            let holds = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "default" | "format" | "then" | "else" => true,
                "$ref" => ok(self.0.pointer(rule.as_str().unwrap().strip_prefix('#').unwrap()).unwrap()),
                "type" => match rule {
                    Value::Array(several) => several.iter().any(|one| is_of(value, one)),
                    one => is_of(value, one),
                },
                "enum" => list().contains(value),
                "const" => rule == value,
                "pattern" => {
                    value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text))
                }
                "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
                "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
                "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
                "required" => {
                    value.as_object().is_none_or(|has| list().iter().all(|key| has.contains_key(key.as_str().unwrap())))
                }
                "dependentRequired" => value.as_object().is_none_or(|has| {
                    let needs = |(key, needed): (&String, &Value)| {
                        !has.contains_key(key)
                            || needed.as_array().unwrap().iter().all(|k| has.contains_key(k.as_str().unwrap()))
                    };
                    rule.as_object().unwrap().iter().all(needs)
                }),
                "not" => !ok(rule),
                "anyOf" => list().iter().any(ok),
                "oneOf" => list().iter().filter(|other| ok(other)).count() == 1,
                "if" => {
                    let branch = if ok(rule) { "then" } else { "else" };
                    faults.extend(rules.get(branch).map(|other| self.check(other, value, at)).unwrap_or_default());
                    true
                }
                "propertyNames" => value.as_object().is_none_or(|has| {
                    has.keys().all(|key| self.check(rule, &Value::from(key.as_str()), at).is_empty())
                }),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        faults.extend(self.check(rule, item, &format!("{at}/{index}")));
                    }
                    true
                }
                "properties" => {
                    for (key, inner) in value.as_object().into_iter().flatten() {
                        let rule = rule.get(key).unwrap_or(&Value::Bool(true));
                        faults.extend(self.check(rule, inner, &format!("{at}/{key}")));
                    }
                    true
                }
                "additionalProperties" => {
                    let known = rules.get("properties").and_then(Value::as_object);
                    let others = value.as_object().into_iter().flatten();
                    for (key, inner) in others.filter(|(key, _)| !known.is_some_and(|known| known.contains_key(*key))) {
                        faults.extend(self.check(rule, inner, &format!("{at}/{key}")));
                    }
                    true
                }
                other => panic!("no rule is known for `{other}`"),
            };
            if !holds {
                faults.push(format!("{at}: {keyword} {rule}"));
            }
        }
        faults
    }
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("no type is called {other}"),
    }
}

#[test]
fn the_committed_schemas_are_current() {
    for (file, schema) in [
        ("component.schema.json", component::json_schema()),
        ("scorecard.schema.json", component::scorecard_schema()),
        // The package has a copy, from which `dg check yaml` and editors know the types of attributes.
        ("examples/dagster/src/dagster_customer_health/component.schema.json", component::json_schema()),
    ] {
        let path = root().join(file);
        let current = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &current).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == current, "{file} is not current; run the tests with UPDATE_GOLDEN=1");
    }
}

/// Every component.yaml of this repository, with the folder that it lies in.
fn components() -> Vec<PathBuf> {
    let mut found = vec![root().join("component.yaml"), root().join("examples/ravenstack/component.yaml")];
    let cases =
        root().join("tests/cases").read_dir().unwrap().map(|entry| entry.unwrap().path().join("component.yaml"));
    found.extend(cases.filter(|path| path.exists()));
    assert!(found.len() > 20, "{found:?}");
    found
}

#[test]
fn what_the_program_takes_the_editor_takes() {
    let schema = Schema::of_components();
    for path in components() {
        let recipe = Recipe::read(&path).unwrap();
        let text = recipe.text.clone();
        if let (Ok(_), Ok(value)) = (Component::new(&recipe), serde_yaml::from_str(&text)) {
            assert_eq!(schema.faults(&value), Vec::<String>::new(), "{}", path.display());
        }
    }
    let templates = "{churn_risk_threshold: \"{{ env('X', 40) }}\", include_drivers: \"{{ env('D', 'true') }}\",
        analysis_period_days: \"{{ env('P', 30) }}\", scorecard: \"{{ env('S', 'plg') }}\", output: \"{{ env('O') }}\",
        combine: \"{{ env('C', 'weighted_mean') }}\", missing_component: \"{{ env('M', 'neutral') }}\",
        inputs: {usage: {path: 'x', format: \"{{ env('F', 'csv') }}\"}}, components: {engagement: {weight: \"{{ env.W }}\",
        indicators: {active_days: {scale: {range: [\"{{ env.L }}\", period]}, aggregate: \"{{ env.A }}\"}}}}}";
    let value = serde_yaml::from_str(templates).unwrap();
    assert_eq!(schema.faults(&value), Vec::<String>::new());
    let variables = [("O", "x"), ("W", "0.5"), ("L", "0"), ("A", "max")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let recipe = Recipe { text: templates.to_owned(), variables, ..Recipe::default() };
    assert!(Component::new(&recipe).is_ok(), "{:?}", Component::new(&recipe).err());
}

#[test]
fn the_built_in_scorecards_fit_the_schema_of_scorecard_files() {
    let schema = Schema(component::scorecard_schema());
    for preset in customer_health::scorecard::presets::ALL {
        let value = serde_yaml::from_str(preset.text).unwrap();
        assert_eq!(schema.faults(&value), Vec::<String>::new(), "{}", preset.name);
    }
    let wrong = "{extends: defualt, components: {c: {weight: 1, indicators: {x: {scale: {range: [1]}, wieght: 2}}}}}";
    let faults = schema.faults(&serde_yaml::from_str(wrong).unwrap());
    assert!(faults.len() >= 3 || faults.iter().any(|fault| fault.contains("extends")), "{faults:?}");
}
