//! Where a key belongs that was written somewhere else, as the schema has it.

use schemars::JsonSchema;
use serde_json::Value;

use super::schema::of_type;
use crate::scorecard::InputName;

/// What stands for a name that the user gives.
const NAME: &str = "NAME";

/// What stands for the name of an input.
const INPUT: &str = "INPUT";

/// Levels below this are none of ours.
const DEEPEST: usize = 8;

/// The levels of a file, each with its keys.
pub type Levels = Vec<(Vec<String>, Vec<String>)>;

/// All levels of what a type reads.
pub fn of<T: JsonSchema>() -> Levels {
    let (root, definitions) = of_type::<T>();
    let mut levels = Vec::new();
    walk(&root, &Value::Object(definitions), &mut Vec::new(), &mut levels);
    levels
}

fn walk(schema: &Value, definitions: &Value, path: &mut Vec<String>, levels: &mut Levels) {
    if path.len() > DEEPEST {
        return;
    }
    let referred = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
    if let Some(referred) = referred.and_then(|name| definitions.get(name)) {
        walk(referred, definitions, path, levels);
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        for one in schema.get(several).and_then(Value::as_array).into_iter().flatten() {
            walk(one, definitions, path, levels);
        }
    }
    let mut below = |name: &str, schema: &Value| {
        path.push(name.to_owned());
        walk(schema, definitions, path, levels);
        path.pop();
    };
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        properties.iter().for_each(|(name, schema)| below(name, schema));
    }
    if let Some(names) = schema.get("additionalProperties") {
        below(NAME, names);
    }
    if let Some(items) = schema.get("items") {
        below("[]", items);
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let keys = properties.keys().cloned().collect();
        // All inputs are alike.
        let is_input = |name: &String| InputName::ALL.iter().any(|input| input.as_str() == name);
        if path.len() > 1 && path[0] == "inputs" && is_input(&path[1]) {
            path[1] = INPUT.to_owned();
        }
        if !levels.iter().any(|(known, _)| known == path) {
            levels.push((path.clone(), keys));
        }
    }
}

/// Where a key that stands at a path belongs, as a hint; `None` where no level has such a key.
pub fn right_place(levels: &Levels, path: &[String]) -> Option<String> {
    let (key, above) = path.split_last()?;
    let has_key = levels.iter().filter(|(level, keys)| keys.contains(key) && !same(level, above));
    let mut found: Vec<&Vec<String>> = has_key.map(|(level, _)| level).collect();
    found.sort_by_key(|level| level.len());
    let places: Vec<String> = found.into_iter().map(|level| shown(level, above)).collect();
    let (last, others) = places.split_last()?;
    let list = if others.is_empty() { last.clone() } else { format!("{} or {last}", others.join(", ")) };
    Some(format!("`{key}` belongs {list}"))
}

/// Where something that has a name of the user's own belongs, as a hint.
pub fn of_own_name(path: &[String], value: &serde_yaml::Value) -> Option<String> {
    let (name, above) = path.split_last()?;
    let above: Vec<&str> = above.iter().map(String::as_str).collect();
    let is_component = |entries: &serde_yaml::Mapping| {
        entries.keys().any(|key| matches!(key.as_str(), Some("input" | "weight" | "indicators" | "caps")))
    };
    let (what, under) = match (above.as_slice(), value) {
        ([], serde_yaml::Value::Mapping(entries)) if is_component(entries) => ("a component", "components".to_owned()),
        (["components", component], serde_yaml::Value::Mapping(_)) => {
            ("an indicator", format!("components.{component}.indicators"))
        }
        (["inputs", input], serde_yaml::Value::String(_)) => ("a field's SQL", format!("inputs.{input}.fields")),
        _ => return None,
    };
    Some(format!("if `{name}` is {what}, it belongs under `{under}`"))
}

/// Whether a path is of a level.
fn same(level: &[String], path: &[String]) -> bool {
    level.len() == path.len() && level.iter().zip(path).all(|(name, own)| fits(name, own))
}

fn fits(name: &str, own: &str) -> bool {
    match name {
        NAME | INPUT => true,
        "[]" => own.parse::<usize>().is_ok(),
        _ => name == own,
    }
}

/// A level in words, with the names that the path has already.
fn shown(level: &[String], path: &[String]) -> String {
    if level.is_empty() {
        return "at the top level".to_owned();
    }
    let known = level.iter().zip(path).take_while(|(name, own)| fits(name, own)).count();
    let own = path[..known].iter().zip(level).map(|(own, name)| if name == "[]" { name } else { own });
    let names: Vec<&str> = own.chain(&level[known..]).map(String::as_str).collect();
    format!("under `{}`", names.join(".").replace(".[]", "[]"))
}

#[cfg(test)]
mod tests {
    use super::super::spec::{ComponentSpec, ScorecardSpec};
    use super::*;

    fn told(path: &str) -> Option<String> {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        right_place(&of::<ComponentSpec>(), &path)
    }

    #[test]
    fn a_key_of_another_level_is_told_with_its_place() {
        let of = |path| told(path).unwrap_or_default();
        assert_eq!(of("weight"), "`weight` belongs under `components.NAME` or under `components.NAME.indicators.NAME`");
        assert_eq!(of("path"), "`path` belongs under `inputs.INPUT`");
        assert_eq!(of("inputs.timestamp"), "`timestamp` belongs under `inputs.INPUT`");
        assert_eq!(of("usage"), "`usage` belongs under `inputs`");
        assert_eq!(of("inputs.usage.output"), "`output` belongs at the top level");
        assert_eq!(
            of("components.payment_health.scale"),
            "`scale` belongs under `components.payment_health.indicators.NAME`"
        );
        assert_eq!(
            of("components.payment_health.indicators.mrr.when"),
            "`when` belongs under `components.payment_health.caps[]`"
        );
        assert_eq!(told("churn_treshold"), None);
    }

    #[test]
    fn scorecards_have_levels_of_their_own() {
        let levels = of::<ScorecardSpec>();
        let path = |text: &str| [text.to_owned()];
        assert_eq!(right_place(&levels, &path("output")), None);
        assert!(
            right_place(&levels, &path("indicators")).is_some_and(|told| told.ends_with("under `components.NAME`"))
        );
    }
}
