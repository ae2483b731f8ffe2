//! What values of JSON are: found over all of them, with room for fields that are one thing here and another there.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields};
use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::MAX_COLUMNS;

/// From here on, numbers have digits that neither 64-bit type keeps.
const LARGE: f64 = 9_223_372_036_854_775_808.0;

/// What the values of a field are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Kind {
    /// Null, if anything.
    #[default]
    Null,
    /// True or false.
    Bool,
    /// Whole numbers.
    Int,
    /// Numbers.
    Float,
    /// Texts, and scalars of several sorts, which are read as the text that stands there.
    Text,
    /// Arrays.
    List(Box<Kind>),
    /// Objects.
    Object(IndexMap<String, Kind>),
    /// Arrays or objects beside something else.
    Mixed,
}

impl Kind {
    /// The type of a column with such values; `None` where they fit none but the text of JSON.
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Null => DataType::Null,
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::List(inner) => DataType::List(Arc::new(Field::new_list_field(inner.data_type()?, true))),
            Self::Object(fields) => {
                let field = |(name, kind): (&String, &Self)| Some(Field::new(name, kind.data_type()?, true));
                DataType::Struct(fields.iter().map(field).collect::<Option<Fields>>()?)
            }
            Self::Mixed => return None,
        })
    }
}

/// Notes values one by one.
#[derive(Debug, Default)]
pub struct Notes {
    /// Columns and fields inside of one another.
    pub fields: usize,
    /// Whether a field has scalars of several sorts, or nested values beside others.
    pub mixed: bool,
}

impl Notes {
    /// Notes a value.
    ///
    /// # Errors
    /// Where it is no JSON, or there are too many fields.
    pub fn note(&mut self, kind: &mut Kind, value: &[u8]) -> serde_json::Result<()> {
        let mut reader = serde_json::Deserializer::from_slice(value);
        Note { notes: self, kind }.deserialize(&mut reader)?;
        reader.end()
    }

    fn scalar(&mut self, kind: &mut Kind, found: Kind) {
        *kind = match (std::mem::take(kind), found) {
            (Kind::Null, found) => found,
            (known, found) if known == found => known,
            (Kind::Int | Kind::Float, Kind::Int | Kind::Float) => Kind::Float,
            (known, _) => {
                self.mixed = true;
                match known {
                    Kind::List(_) | Kind::Object(_) | Kind::Mixed => Kind::Mixed,
                    _ => Kind::Text,
                }
            }
        };
    }
}

struct Note<'a> {
    notes: &'a mut Notes,
    kind: &'a mut Kind,
}

impl<'de> DeserializeSeed<'de> for Note<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Note<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.notes.scalar(self.kind, Kind::Bool);
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.notes.scalar(self.kind, Kind::Int);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(_) => self.visit_i64(0),
            Err(_) => self.visit_f64(LARGE),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if value.abs() < LARGE {
            self.notes.scalar(self.kind, Kind::Float);
        } else {
            // As text it keeps its digits, and is a number where one is wanted.
            self.notes.mixed = true;
            self.notes.scalar(self.kind, Kind::Text);
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.notes.scalar(self.kind, Kind::Text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        if *self.kind == Kind::Null {
            *self.kind = Kind::List(Box::default());
        }
        if let Kind::List(inner) = self.kind {
            while values.next_element_seed(Note { notes: self.notes, kind: inner })?.is_some() {}
            return Ok(());
        }
        (*self.kind, self.notes.mixed) = (Kind::Mixed, true);
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        if *self.kind == Kind::Null {
            *self.kind = Kind::Object(IndexMap::new());
        }
        if let Kind::Object(fields) = self.kind {
            while let Some(at) = values.next_key_seed(Name { notes: self.notes, fields })? {
                let (_, kind) = fields.get_index_mut(at).ok_or_else(|| A::Error::custom("a field is gone"))?;
                values.next_value_seed(Note { notes: self.notes, kind })?;
            }
            return Ok(());
        }
        (*self.kind, self.notes.mixed) = (Kind::Mixed, true);
        while values.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Finds a field's place by its name, and makes room for a new one.
struct Name<'a> {
    notes: &'a mut Notes,
    fields: &'a mut IndexMap<String, Kind>,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<usize, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        if let Some(at) = self.fields.get_index_of(name) {
            return Ok(at);
        }
        self.notes.fields += 1;
        if self.notes.fields > MAX_COLUMNS {
            return Err(E::custom("too many fields"));
        }
        Ok(self.fields.insert_full(name.to_owned(), Kind::Null).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> (Option<DataType>, bool) {
        let (mut notes, mut kind) = (Notes::default(), Kind::Null);
        values.iter().for_each(|value| notes.note(&mut kind, value.as_bytes()).unwrap());
        (kind.data_type(), notes.mixed)
    }

    #[test]
    fn a_field_may_be_one_thing_here_and_another_there() {
        let list = |inner| DataType::List(Arc::new(Field::new_list_field(inner, true)));
        for (values, expected, mixed) in [
            (vec!["null"], Some(DataType::Null), false),
            (vec!["null", "1", "null"], Some(DataType::Int64), false),
            (vec!["1", "1.5"], Some(DataType::Float64), false),
            (vec!["true", "null"], Some(DataType::Boolean), false),
            (vec!["1", "\"1\""], Some(DataType::Utf8), true),
            (vec!["true", "0"], Some(DataType::Utf8), true),
            (vec!["9223372036854775807"], Some(DataType::Int64), false),
            (vec!["9223372036854775808"], Some(DataType::Utf8), true),
            (vec!["123456789012345678901234567890"], Some(DataType::Utf8), true),
            (vec!["[1, 2.5, null]", "[]"], Some(list(DataType::Float64)), false),
            (vec!["[1]", "1"], None, true),
            (vec!["\"x\"", "{\"a\": 1}"], None, true),
            (vec!["[1, {\"a\": [2]}]"], None, true),
            (vec!["{\"a\": 1}", "[1]", "1"], None, true),
        ] {
            assert_eq!(kind(&values), (expected.clone(), mixed), "{values:?}");
            let reversed: Vec<&str> = values.iter().rev().copied().collect();
            assert_eq!(kind(&reversed), (expected, mixed), "{reversed:?}");
        }
        let (found, mixed) = kind(&["{\"a\": 1}", "{\"b\": {\"c\": true}, \"a\": \"x\"}"]);
        let inner = DataType::Struct([Field::new("c", DataType::Boolean, true)].into_iter().collect());
        let fields = [Field::new("a", DataType::Utf8, true), Field::new("b", inner, true)];
        assert_eq!((found, mixed), (Some(DataType::Struct(fields.into_iter().collect())), true));
    }
}
