//! JSON Schema of component.yaml, made from the Rust types, for editors.

use serde_json::{Value, json};

use super::document::ORCHESTRATORS;
use super::spec::ComponentSpec;

/// The schema of component.yaml: the attributes, flat or in an envelope.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(ComponentSpec).to_value();
    let Some(root) = schema.as_object_mut() else { return schema };
    // The names without `_key` are aliases, which the generator does not see.
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
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
    let definitions = root.remove("$defs").unwrap_or_else(|| json!({}));
    root.remove("$schema");
    let mut definitions = definitions;
    let attributes = Value::Object(std::mem::take(root));
    let mut enveloped = attributes.clone();
    if let Some(properties) = enveloped.pointer_mut("/properties").and_then(Value::as_object_mut) {
        let left =
            ORCHESTRATORS.map(|key| (key.to_owned(), json!({"description": "Read by Dagster's component only."})));
        properties.extend(left);
    }
    if let Some(map) = definitions.as_object_mut() {
        map.insert("Attributes".to_owned(), attributes);
        map.insert("EnvelopedAttributes".to_owned(), enveloped);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
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
