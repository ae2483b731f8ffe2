//! JSON Schemas of component.yaml and of scorecard files, made from the Rust types, for editors.
//!
//! The types tell names and sorts of values. What the checks behind them refuse besides is added here as far as JSON Schema can
//! say it; what templates may stand for is let through, as it is read only when they are resolved.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::document::ORCHESTRATORS;
use super::outputs::OTHER_FORMATS;
use super::spec::{ComponentSpec, ScorecardSpec};
use crate::scorecard::presets;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A text with a template in it, which stands for a number or a flag.
const TEMPLATE: &str = r"\{\{.*\}\}";

/// The schema of component.yaml: the attributes, flat or in an envelope.
pub fn json_schema() -> Value {
    let (mut attributes, mut definitions) = of_type::<ComponentSpec>();
    if let Some(properties) = attributes.pointer_mut("/properties").and_then(Value::as_object_mut) {
        // The names without `_key` are aliases, which the generator does not see.
        for name in ["customer_data_asset", "subscription_data_asset", "product_usage_asset", "support_ticket_asset"] {
            if let Some(property) = properties.get(&format!("{name}_key")).cloned() {
                properties.insert(name.to_owned(), property);
            }
        }
        properties.insert(
            "type".to_owned(),
            json!({"type": "string", "description": "Type of the component, for the orchestrator."}),
        );
    }
    let mut enveloped = attributes.clone();
    if let Some(properties) = enveloped.pointer_mut("/properties").and_then(Value::as_object_mut) {
        let left =
            ORCHESTRATORS.map(|key| (key.to_owned(), json!({"description": "Read by Dagster's component only."})));
        properties.extend(left);
    }
    definitions.insert("Attributes".to_owned(), attributes);
    definitions.insert("EnvelopedAttributes".to_owned(), enveloped);
    json!({
        "$schema": DIALECT,
        "title": "component.yaml",
        "$defs": definitions,
        "if": {"required": ["attributes"]},
        "then": {
            "properties": {
                "type": {"type": "string"},
                "attributes": {"$ref": "#/$defs/EnvelopedAttributes"},
                "template_vars_module": {},
                "requirements": {},
                "post_processing": {}
            },
            "additionalProperties": false
        },
        "else": {"$ref": "#/$defs/Attributes"}
    })
}

/// The schema of a scorecard file.
pub fn scorecard_schema() -> Value {
    let (mut scorecard, definitions) = of_type::<ScorecardSpec>();
    if let Some(scorecard) = scorecard.as_object_mut() {
        scorecard.insert("$schema".to_owned(), json!(DIALECT));
        scorecard.insert("$defs".to_owned(), definitions.into());
    }
    scorecard
}

/// A type's schema and the definitions that it refers to, with what the type does not tell.
pub fn of_type<T: JsonSchema>() -> (Value, Map<String, Value>) {
    let mut schema = schemars::schema_for!(T).to_value();
    let mut definitions = Map::new();
    if let Some(root) = schema.as_object_mut() {
        root.remove("$schema");
        if let Some(Value::Object(found)) = root.remove("$defs") {
            definitions = found;
        }
    }
    for (definition, property, rules) in rules() {
        let holder = if definition.is_empty() { Some(&mut schema) } else { definitions.get_mut(definition) };
        let place = match (holder, property) {
            (Some(holder), "") => Some(holder),
            (Some(holder), property) => holder.pointer_mut(&format!("/properties/{property}")),
            (None, _) => None,
        };
        // A rule for a property that only the other one of the two types has.
        if let (Some(Value::Object(place)), Value::Object(rules)) = (place, rules) {
            place.extend(rules);
        }
    }
    let_templates_through(&mut schema);
    definitions.values_mut().for_each(let_templates_through);
    definitions.insert(
        "Template".to_owned(),
        json!({"description": "A template that stands for the value: \"{{ env('NAME', 'default') }}\".",
               "type": "string", "pattern": TEMPLATE}),
    );
    (schema, definitions)
}

/// What the checks refuse: definition (the type itself where empty), property (all of it where empty), rules.
fn rules() -> Vec<(&'static str, &'static str, Value)> {
    let score = || json!({"minimum": 0, "maximum": 100});
    let endings = OTHER_FORMATS.map(case_blind).join("|");
    let parquet = || json!({"not": {"type": "string", "pattern": format!(r"\.({endings})$")}});
    let names: Vec<&str> = presets::ALL.iter().map(|preset| preset.name).collect();
    let scorecard = || {
        let file = r"[./]|\{\{";
        json!({"anyOf": [{"enum": names}, {"type": "string", "pattern": file}, {"type": "null"}]})
    };
    let components =
        json!({"propertyNames": {"pattern": "^[a-z][a-z0-9_]*$", "not": {"enum": ["health", "previous_health"]}}});
    let one_of = ["range", "bands", "map", "percentile"].map(|name| json!({"required": [name]}));
    vec![
        ("", "analysis_period_days", json!({"minimum": 1})),
        ("", "risk_categories", json!({"minItems": 1})),
        ("", "trend_tolerance", json!({"minimum": 0})),
        ("", "components", components),
        ("", "output", parquet()),
        ("", "scorecard", scorecard()),
        ("", "extends", scorecard()),
        ("FanOutSpec", "churn_risk", parquet()),
        ("FanOutSpec", "expansion", parquet()),
        ("IndicatorSpec", "weight", json!({"minimum": 0})),
        ("CapSpec", "at_most", score()),
        ("BandSpec", "score", score()),
        ("ScaleSpec", "default", score()),
        ("ScaleSpec", "bands", json!({"minItems": 1})),
        ("ScaleSpec", "range", json!({"minItems": 2, "maxItems": 2})),
        ("ScaleSpec", "map", json!({"additionalProperties": {"type": "number", "minimum": 0, "maximum": 100}})),
        (
            "ScaleSpec",
            "",
            json!({
                "oneOf": one_of,
                "dependentRequired": {"default": ["map"]}
            }),
        ),
    ]
}

/// A pattern that a word fits in upper and lower case.
fn case_blind(word: &str) -> String {
    let letter = |c: char| format!("[{c}{}]", c.to_ascii_uppercase());
    word.chars().map(letter).collect()
}

/// Lets a template stand wherever a number, a flag or one of some words is wanted.
fn let_templates_through(schema: &mut Value) {
    match schema {
        Value::Object(entries) if is_closed(entries) => {
            let mut around = Map::new();
            for kept in ["description", "default"] {
                around.extend(entries.remove(kept).map(|value| (kept.to_owned(), value)));
            }
            let template = json!({"$ref": "#/$defs/Template"});
            around.insert("anyOf".to_owned(), json!([std::mem::take(entries), template]));
            *entries = around;
        }
        Value::Object(entries) => {
            entries.iter_mut().filter(|(key, _)| *key != "not").for_each(|(_, inner)| let_templates_through(inner));
        }
        Value::Array(items) => items.iter_mut().for_each(let_templates_through),
        _ => {}
    }
}

/// Whether a schema takes numbers, flags or some words, and no other text.
fn is_closed(entries: &Map<String, Value>) -> bool {
    if let Some(Value::Array(choices)) = entries.get("oneOf") {
        return choices.iter().all(|choice| choice.get("const").is_some());
    }
    let types: Vec<&str> = match entries.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let some_words = ["enum", "const", "pattern"].iter().any(|key| entries.contains_key(*key));
    let scalar = types.iter().any(|name| matches!(*name, "number" | "integer" | "boolean"));
    (scalar && !types.contains(&"string")) || (types.contains(&"string") && some_words)
}
