//! A threshold as it may be written: a score, or how many customers the flag is for.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::scorecard::Threshold;

/// A score, `{worst: 10 %}`, `{worst: 200}`, `{best: 10 %}` or `{best: 200}`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdSpec {
    /// Which end of the scores, where customers are counted.
    pub end: Option<End>,
    /// Where the flag begins.
    pub threshold: Threshold,
}

/// An end of the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The lowest.
    Worst,
    /// The highest.
    Best,
}

impl End {
    /// As written in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Best => "best",
        }
    }
}

/// A number of customers, or a share of them with `%` behind it.
struct Capacity(Threshold);

impl<'de> Deserialize<'de> for Capacity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CapacityVisitor;
        impl Visitor<'_> for CapacityVisitor {
            type Value = Capacity;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(
                    "a number of customers from 1, or a share of them above 0 % and up to 100 %, such as `10 %`",
                )
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<Capacity, E> {
                match v {
                    0 => Err(E::invalid_value(serde::de::Unexpected::Unsigned(v), &self)),
                    customers => Ok(Capacity(Threshold::Customers(customers))),
                }
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Capacity, E> {
                let percent = v.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                match percent.filter(|percent| *percent > 0.0 && *percent <= 100.0) {
                    Some(percent) => Ok(Capacity(Threshold::Percent(percent))),
                    None => Err(E::invalid_value(serde::de::Unexpected::Str(v), &self)),
                }
            }
        }
        deserializer.deserialize_any(CapacityVisitor)
    }
}

impl<'de> Deserialize<'de> for ThresholdSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ThresholdVisitor;
        impl<'de> Visitor<'de> for ThresholdVisitor {
            type Value = ThresholdSpec;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a score, or customers such as `{worst: 10 %}` or `{best: 200}`")
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<ThresholdSpec, E> {
                self.visit_f64(v as f64)
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<ThresholdSpec, E> {
                self.visit_f64(v as f64)
            }
            fn visit_f64<E: Error>(self, v: f64) -> Result<ThresholdSpec, E> {
                Ok(ThresholdSpec { end: None, threshold: Threshold::Score(v) })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ThresholdSpec, A::Error> {
                const KEYS: &[&str] = &["worst", "best"];
                let mut found = None;
                while let Some(key) = map.next_key::<String>()? {
                    let end = match key.as_str() {
                        "worst" => End::Worst,
                        "best" => End::Best,
                        other => return Err(A::Error::unknown_field(other, KEYS)),
                    };
                    let Capacity(threshold) = map.next_value()?;
                    if found.replace(ThresholdSpec { end: Some(end), threshold }).is_some() {
                        return Err(A::Error::custom("expected one of `worst` and `best`, found both"));
                    }
                }
                found.ok_or_else(|| A::Error::custom("expected `worst` or `best` here, found nothing"))
            }
        }
        deserializer.deserialize_any(ThresholdVisitor)
    }
}

impl Serialize for ThresholdSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(end) = self.end else {
            return match self.threshold {
                Threshold::Score(score) => serializer.serialize_f64(score),
                counted => serializer.collect_str(&counted),
            };
        };
        let mut map = serializer.serialize_map(Some(1))?;
        match self.threshold {
            Threshold::Customers(customers) => map.serialize_entry(end.as_str(), &customers)?,
            share => map.serialize_entry(end.as_str(), &share.to_string())?,
        }
        map.end()
    }
}

impl JsonSchema for ThresholdSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threshold".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let capacity = serde_json::json!({"anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": r"^\s*[0-9.]+\s*%\s*$|\{\{.*\}\}"},
        ]});
        let end = |name: &str| {
            serde_json::json!({
                "type": "object",
                "properties": {name: capacity},
                "required": [name],
                "additionalProperties": false,
            })
        };
        json_schema!({"anyOf": [{"type": "number"}, end("worst"), end("best")]})
    }
}
