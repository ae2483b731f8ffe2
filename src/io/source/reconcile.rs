//! The columns of several files as those of one table: by name, in types that hold the values of all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use indexmap::IndexMap;

/// What keeps files from being one table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A file has two columns of one name.
    #[error("the column `{column}` is there twice")]
    Twice {
        /// The column.
        column: String,
        /// Which file.
        file: usize,
    },
    /// Two files have types that no third one holds.
    #[error("the column `{column}` is {this} here and {other} in the other")]
    Types {
        /// The column.
        column: String,
        /// Which file.
        file: usize,
        /// Its type there.
        this: DataType,
        /// Which file has the other.
        against: usize,
        /// The type there.
        other: DataType,
    },
}

/// Columns by name, in the order in which the files bring them; a file without one has nulls there.
///
/// # Errors
/// Which column of which file cannot be reconciled.
pub fn merge(files: &[SchemaRef]) -> Result<Schema, Conflict> {
    let mut columns: IndexMap<String, (DataType, usize)> = IndexMap::new();
    let (mut holders, mut nullable) = (HashMap::new(), HashSet::new());
    for (file, schema) in files.iter().enumerate() {
        let mut seen = HashSet::new();
        for field in schema.fields() {
            let column = field.name();
            if !seen.insert(column) {
                return Err(Conflict::Twice { column: column.clone(), file });
            }
            *holders.entry(column).or_insert(0) += 1;
            if field.is_nullable() {
                nullable.insert(column);
            }
            let Some((there, from)) = columns.get_mut(column) else {
                columns.insert(column.clone(), (field.data_type().clone(), file));
                continue;
            };
            if there == field.data_type() {
                continue;
            }
            let Some(both) = wider(there, field.data_type()) else {
                return Err(Conflict::Types {
                    column: column.clone(),
                    file,
                    this: field.data_type().clone(),
                    against: *from,
                    other: there.clone(),
                });
            };
            // The file that made it what it is.
            if both != *there {
                *from = file;
            }
            *there = both;
        }
    }
    // A file that lacks a column has nulls in it.
    let is_nullable = |name: &String| nullable.contains(name) || holders.get(name) != Some(&files.len());
    let fields = columns.iter().map(|(name, (to, _))| Field::new(name, to.clone(), is_nullable(name)));
    let metadata = files.first().map(|schema| schema.metadata().clone()).unwrap_or_default();
    Ok(Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata))
}

/// A type that holds the values of both; the same whichever comes first.
fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{Binary, Date32, Date64, Decimal128, Dictionary, Float64, LargeBinary, List, Null, Timestamp, Utf8};
    Some(match (one, other) {
        (one, other) if one == other => one.clone(),
        (Null, some) | (some, Null) => some.clone(),
        (Dictionary(_, inner), other) | (other, Dictionary(_, inner)) => wider(inner, other)?,
        (one, other) if one.is_integer() && other.is_integer() => whole(one, other),
        (Decimal128(..), with) | (with, Decimal128(..)) if with.is_integer() || matches!(with, Decimal128(..)) => {
            decimal(one, other).unwrap_or(Float64)
        }
        // Small whole numbers are exact in a Float64, and larger ones are hardly ever beside broken numbers.
        (one, other) if one.is_numeric() && other.is_numeric() => Float64,
        // Text that is a number counts as one, and ids are text.
        (text, other) | (other, text) if is_text(text) && (is_text(other) || readable(other)) => Utf8,
        (Date32 | Date64, Date32 | Date64) => Date64,
        (Date32 | Date64, Timestamp(unit, zone)) | (Timestamp(unit, zone), Date32 | Date64) => {
            Timestamp(*unit, zone.clone())
        }
        (Timestamp(unit, zone), Timestamp(other_unit, other_zone)) => {
            // Times without a zone are in UTC.
            let zone = if zone == other_zone { zone.clone() } else { Some(Arc::from("UTC")) };
            Timestamp(*unit.max(other_unit).min(&TimeUnit::Microsecond), zone)
        }
        (List(one), List(other)) => {
            List(Arc::new(Field::new_list_field(wider(one.data_type(), other.data_type())?, true)))
        }
        (one, other) if is_binary(one) && is_binary(other) => match (one, other) {
            (LargeBinary, _) | (_, LargeBinary) => LargeBinary,
            _ => Binary,
        },
        _ => return None,
    })
}

fn whole(one: &DataType, other: &DataType) -> DataType {
    use DataType::{Decimal128, Int64, UInt64};
    match (one.is_signed_integer(), other.is_signed_integer()) {
        (true, true) | (false, false) if one.primitive_width() >= other.primitive_width() => one.clone(),
        (true, true) | (false, false) => other.clone(),
        _ if matches!(one, UInt64) || matches!(other, UInt64) => Decimal128(20, 0),
        _ => Int64,
    }
}

/// Room for the digits of both, where there is so much.
fn decimal(one: &DataType, other: &DataType) -> Option<DataType> {
    let digits = |data_type: &DataType| match data_type {
        DataType::Decimal128(precision, scale) => Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale))),
        integer if integer.is_integer() => Some((20, 0)),
        _ => None,
    };
    let ((whole, scale), (other_whole, other_scale)) = (digits(one)?, digits(other)?);
    let scale = scale.max(other_scale);
    let precision = u8::try_from(whole.max(other_whole) + scale).ok().filter(|precision| *precision <= 38)?;
    Some(DataType::Decimal128(precision, i8::try_from(scale).ok()?))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// Whether values as text are read as what they are.
fn readable(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || matches!(data_type, DataType::Boolean | DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
        let fields = columns.iter().map(|(name, to)| Field::new(*name, to.clone(), false));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    #[test]
    fn types_that_differ_become_one_that_holds_both_in_any_order() {
        use DataType::{
            Boolean, Date32, Decimal128, Float32, Float64, Int8, Int32, Int64, Null, Timestamp, UInt32, UInt64, Utf8,
        };
        let utc = Some(Arc::from("UTC"));
        for (one, other, expected) in [
            (Null, Boolean, Some(Boolean)),
            (Int32, Int64, Some(Int64)),
            (Int64, Float64, Some(Float64)),
            (Float32, Int8, Some(Float64)),
            (Int8, UInt32, Some(Int64)),
            (Int64, UInt64, Some(Decimal128(20, 0))),
            (Decimal128(10, 2), Int64, Some(Decimal128(22, 2))),
            (Decimal128(38, 2), Decimal128(38, 10), Some(Float64)),
            (Int64, Utf8, Some(Utf8)),
            (DataType::Utf8View, DataType::LargeUtf8, Some(Utf8)),
            (DataType::Dictionary(Box::new(Int32), Box::new(Utf8)), Int64, Some(Utf8)),
            (Date32, Timestamp(TimeUnit::Second, None), Some(Timestamp(TimeUnit::Second, None))),
            (
                Timestamp(TimeUnit::Nanosecond, utc.clone()),
                Timestamp(TimeUnit::Millisecond, None),
                Some(Timestamp(TimeUnit::Microsecond, utc)),
            ),
            (Timestamp(TimeUnit::Second, None), Int64, None),
            (DataType::new_list(Int64, true), Int64, None),
            (DataType::new_list(Int64, true), Utf8, None),
            (DataType::new_list(Null, true), DataType::new_list(Utf8, true), Some(DataType::new_list(Utf8, true))),
            (Boolean, Int64, None),
        ] {
            assert_eq!(wider(&one, &other), expected, "{one} {other}");
            assert_eq!(wider(&other, &one), expected, "{other} {one}");
        }
    }

    #[test]
    fn columns_are_merged_by_name_and_conflicts_name_both_files() {
        use DataType::{Float64, Int32, Int64, Utf8};
        let list = DataType::new_list(Int64, true);
        let files = [schema(&[("a", Int32), ("b", Utf8)]), schema(&[("b", Utf8), ("A", Int64), ("a", Float64)])];
        let merged = merge(&files).unwrap();
        let columns: Vec<_> = merged.fields().iter().map(|field| (field.name().as_str(), field.data_type())).collect();
        assert_eq!(columns, [("a", &Float64), ("b", &Utf8), ("A", &Int64)]);
        let twice = merge(&[schema(&[("a", Int64), ("a", Int64)])]);
        assert_eq!(twice, Err(Conflict::Twice { column: "a".to_owned(), file: 0 }));
        let files = [schema(&[("a", DataType::Null)]), schema(&[("a", Int64)]), schema(&[("a", list.clone())])];
        let (column, file, against) = ("a".to_owned(), 2, 1);
        assert_eq!(merge(&files), Err(Conflict::Types { column, file, this: list, against, other: Int64 }));
    }
}
