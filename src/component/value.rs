//! Values in YAML that may be written in more than one way, each read with an error that says which ways.

use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use super::spec::InputSpec;
use crate::scorecard::{RangeEnd, Statistic};

/// Text, where YAML may take it for a boolean or a number: `true`, `12`, `1.5`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Text, E> {
                Ok(Text(v.to_owned()))
            }
            fn visit_bool<E: Error>(self, v: bool) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
            fn visit_f64<E: Error>(self, v: f64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "boolean", "number"]})
    }
}

/// An end of a range: a number, `period`, `min`, `max` or `pNN`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RangeEndSpec(pub RangeEnd);

impl<'de> Deserialize<'de> for RangeEndSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EndVisitor;
        impl Visitor<'_> for EndVisitor {
            type Value = RangeEndSpec;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, `period`, `min`, `max` or a percentile such as `p95`")
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<RangeEndSpec, E> {
                self.visit_f64(v as f64)
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<RangeEndSpec, E> {
                self.visit_f64(v as f64)
            }
            fn visit_f64<E: Error>(self, v: f64) -> Result<RangeEndSpec, E> {
                Ok(RangeEndSpec(RangeEnd::Number(v)))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<RangeEndSpec, E> {
                if v == "period" {
                    return Ok(RangeEndSpec(RangeEnd::Period));
                }
                let known = Statistic::parse(v).map(|s| RangeEndSpec(RangeEnd::Population(s)));
                known.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(v), &self))
            }
        }
        deserializer.deserialize_any(EndVisitor)
    }
}

impl Serialize for RangeEndSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RangeEnd::Number(number) => serializer.serialize_f64(number),
            named => serializer.collect_str(&named),
        }
    }
}

impl JsonSchema for RangeEndSpec {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RangeEnd".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^(period|min|max|p(0?[0-9]{1,2}|100))$"}]})
    }
}

/// What a missing component counts as: `neutral`, `exclude` or a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MissingSpec {
    /// 50.
    Neutral,
    /// Takes no part.
    Exclude,
    /// This score.
    Score(f64),
}

impl<'de> Deserialize<'de> for MissingSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MissingVisitor;
        impl Visitor<'_> for MissingVisitor {
            type Value = MissingSpec;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("`neutral`, `exclude` or a score from 0 to 100")
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<MissingSpec, E> {
                Ok(MissingSpec::Score(v as f64))
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<MissingSpec, E> {
                Ok(MissingSpec::Score(v as f64))
            }
            fn visit_f64<E: Error>(self, v: f64) -> Result<MissingSpec, E> {
                Ok(MissingSpec::Score(v))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<MissingSpec, E> {
                match v {
                    "neutral" => Ok(MissingSpec::Neutral),
                    "exclude" => Ok(MissingSpec::Exclude),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(v), &self)),
                }
            }
        }
        deserializer.deserialize_any(MissingVisitor)
    }
}

impl Serialize for MissingSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Neutral => serializer.serialize_str("neutral"),
            Self::Exclude => serializer.serialize_str("exclude"),
            Self::Score(score) => serializer.serialize_f64(*score),
        }
    }
}

impl JsonSchema for MissingSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MissingComponent".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"enum": ["neutral", "exclude"]}, {"type": "number", "minimum": 0, "maximum": 100}]})
    }
}

/// An input: its keys, or just its path.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct InputEntry(pub InputSpec);

impl<'de> Deserialize<'de> for InputEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;
        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = InputEntry;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a path, or a mapping with `path`")
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<InputEntry, E> {
                Ok(InputEntry(InputSpec { path: Some(v.to_owned()), ..InputSpec::default() }))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<InputEntry, A::Error> {
                InputSpec::deserialize(MapAccessDeserializer::new(map)).map(InputEntry)
            }
        }
        deserializer.deserialize_any(EntryVisitor)
    }
}

impl JsonSchema for InputEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "InputEntry".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<InputSpec>();
        json_schema!({"anyOf": [{"type": "string"}, keys]})
    }
}

/// Where to write a table: a path, or `true` for the usual place and `false` for none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PlaceSpec {
    /// The usual place, or none.
    Usual(bool),
    /// Here.
    Path(String),
}

impl<'de> Deserialize<'de> for PlaceSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlaceVisitor;
        impl Visitor<'_> for PlaceVisitor {
            type Value = PlaceSpec;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a path, true or false")
            }
            fn visit_bool<E: Error>(self, v: bool) -> Result<PlaceSpec, E> {
                Ok(PlaceSpec::Usual(v))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<PlaceSpec, E> {
                Ok(PlaceSpec::Path(v.to_owned()))
            }
        }
        deserializer.deserialize_any(PlaceVisitor)
    }
}

impl JsonSchema for PlaceSpec {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Place".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "boolean"]})
    }
}

/// Values of population statistics: component, then indicator, then statistic.
pub type PinnedStatistics = IndexMap<String, IndexMap<String, IndexMap<String, f64>>>;

/// Pinned statistics, or the path of an earlier output that recorded them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PopulationSpec {
    /// Path of an earlier output.
    Path(String),
    /// The statistics themselves.
    Values(PinnedStatistics),
}

impl<'de> Deserialize<'de> for PopulationSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PopulationVisitor;
        impl<'de> Visitor<'de> for PopulationVisitor {
            type Value = PopulationSpec;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the path of an earlier output, or a mapping of component, indicator and statistic")
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<PopulationSpec, E> {
                Ok(PopulationSpec::Path(v.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PopulationSpec, A::Error> {
                PinnedStatistics::deserialize(MapAccessDeserializer::new(map)).map(PopulationSpec::Values)
            }
        }
        deserializer.deserialize_any(PopulationVisitor)
    }
}

impl JsonSchema for PopulationSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Population".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<PinnedStatistics>();
        json_schema!({"anyOf": [{"type": "string"}, values]})
    }
}
