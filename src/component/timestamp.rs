//! `timestamp:` of an input as it may be written: a column, or a column and how it writes times.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};

/// A date or timestamp column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimestampSpec {
    /// Name of the column.
    pub column: String,
    /// How its text writes times, in the letters of strftime; as ISO 8601 does if left out.
    pub format: Option<String>,
}

/// The mapping's keys.
#[derive(serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Keys {
    /// Name of the column.
    column: String,
    /// How its text writes times, in the letters of strftime, such as `%m/%d/%Y` or `%d.%m.%Y %H:%M`.
    format: Option<String>,
}

impl<'de> Deserialize<'de> for TimestampSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimestampVisitor;
        impl<'de> Visitor<'de> for TimestampVisitor {
            type Value = TimestampSpec;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a column, or a mapping with `column` and `format`")
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<TimestampSpec, E> {
                Ok(TimestampSpec { column: v.to_owned(), format: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TimestampSpec, A::Error> {
                let Keys { column, format } = Keys::deserialize(MapAccessDeserializer::new(map))?;
                Ok(TimestampSpec { column, format })
            }
        }
        deserializer.deserialize_any(TimestampVisitor)
    }
}

impl Serialize for TimestampSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.format {
            // As it was before there were formats, so that hashes of components stay what they are.
            None => serializer.serialize_str(&self.column),
            format => Keys { column: self.column.clone(), format: format.clone() }.serialize(serializer),
        }
    }
}

impl JsonSchema for TimestampSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<Keys>();
        json_schema!({"anyOf": [{"type": "string"}, keys]})
    }
}
