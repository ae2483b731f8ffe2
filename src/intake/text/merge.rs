//! The columns of several text files as those of one table.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use indexmap::IndexMap;

/// Columns by name, in the order in which files bring them; types that differ become one that takes both, text at last.
pub fn merge<'a>(files: impl IntoIterator<Item = &'a Schema>) -> Schema {
    let mut merged = IndexMap::new();
    for file in files {
        add(&mut merged, file.fields());
    }
    Schema::new(fields(merged))
}

fn add(merged: &mut IndexMap<String, DataType>, fields: &Fields) {
    for field in fields {
        let there = merged.entry(field.name().clone()).or_insert(DataType::Null);
        *there = both(there, field.data_type());
    }
}

fn fields(merged: IndexMap<String, DataType>) -> Vec<Field> {
    merged.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect()
}

fn both(one: &DataType, other: &DataType) -> DataType {
    match (one, other) {
        (one, other) if one == other => one.clone(),
        (DataType::Null, some) | (some, DataType::Null) => some.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        (DataType::Date32, DataType::Timestamp(unit, zone)) | (DataType::Timestamp(unit, zone), DataType::Date32) => {
            DataType::Timestamp(*unit, zone.clone())
        }
        (DataType::Timestamp(one, None), DataType::Timestamp(other, None)) => {
            DataType::Timestamp(*one.max(other), None)
        }
        (DataType::Struct(one), DataType::Struct(other)) => {
            let mut merged = IndexMap::new();
            add(&mut merged, one);
            add(&mut merged, other);
            DataType::Struct(fields(merged).into())
        }
        (DataType::List(one), DataType::List(other)) => {
            let inner = both(one.data_type(), other.data_type());
            DataType::List(Arc::new(Field::new_list_field(inner, true)))
        }
        _ => DataType::Utf8,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn types_that_differ_become_one_that_takes_both_in_any_order() {
        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (one, other, expected) in [
            (DataType::Null, DataType::Boolean, DataType::Boolean),
            (DataType::Int64, DataType::Float64, DataType::Float64),
            (DataType::Int64, DataType::Utf8, DataType::Utf8),
            (DataType::Boolean, DataType::Int64, DataType::Utf8),
            (DataType::Date32, seconds.clone(), seconds.clone()),
            (seconds, micros.clone(), micros),
            (DataType::Date32, DataType::Int64, DataType::Utf8),
        ] {
            assert_eq!(both(&one, &other), expected);
            assert_eq!(both(&other, &one), expected);
        }
        let one = Schema::new(vec![Field::new("a", DataType::Null, true), Field::new("b", DataType::Int64, true)]);
        let other = Schema::new(vec![Field::new("c", DataType::Utf8, true), Field::new("a", DataType::Int64, true)]);
        let names: Vec<String> = merge([&one, &other]).fields().iter().map(|field| field.to_string()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(merge([&one, &other]).field(0).data_type(), &DataType::Int64);
    }
}
