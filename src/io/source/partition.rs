//! Columns that stand in the names of folders, as in `dt=2025-06-10/part-0.parquet`.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::NaiveDate;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use url::form_urlencoded;

/// What Hive writes for null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A file's values by column, in the order in which the folders come; `None` is null.
pub type Values = Vec<(String, Option<String>)>;

/// The values that the folders of a file have, of its path's parts below the table.
pub fn of_path(parts: &[&str]) -> Values {
    let folders = parts.split_last().map_or(&[][..], |(_, folders)| folders);
    let pairs = folders.iter().filter_map(|part| part.split_once('='));
    pairs
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (decoded(name), (value != NULL).then(|| decoded(value))))
        .collect()
}

/// Text with its `%3A` and the like read; a plus is a plus.
pub fn decoded(text: &str) -> String {
    let query = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(query.as_bytes()).next().map_or_else(|| text.to_owned(), |(name, _)| name.into_owned())
}

/// The columns of several files, each with one value a file.
#[derive(Debug, Clone, Default)]
pub struct Partitions {
    /// The columns.
    pub fields: Vec<FieldRef>,
    /// Values by file and column.
    pub values: Vec<Vec<ScalarValue>>,
}

impl Partitions {
    /// Columns by name; `keep_text` tells which are never numbers, and `leave` which the files have themselves.
    ///
    /// # Errors
    /// Where a value is not of its column's type, which is a fault of the program.
    pub fn new(files: &[Values], keep_text: impl Fn(&str) -> bool, leave: impl Fn(&str) -> bool) -> Result<Self> {
        let mut columns: Vec<&str> = Vec::new();
        for (name, _) in files.iter().flatten() {
            if !leave(name) && !columns.contains(&name.as_str()) {
                columns.push(name);
            }
        }
        let by_file: Vec<BTreeMap<&str, Option<&str>>> = files
            .iter()
            .map(|values| values.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect())
            .collect();
        let value = |file: &BTreeMap<&str, Option<&str>>, column: &str| {
            file.get(column).copied().flatten().map(ToOwned::to_owned)
        };
        let types: Vec<DataType> = columns
            .iter()
            .map(|column| match keep_text(column) {
                true => DataType::Utf8,
                false => data_type(by_file.iter().filter_map(|file| file.get(column).copied().flatten())),
            })
            .collect();
        let values = by_file.iter().map(|file| {
            let of_columns = columns.iter().zip(&types);
            of_columns.map(|(column, to)| ScalarValue::Utf8(value(file, column)).cast_to(to)).collect()
        });
        let values = values.collect::<Result<_>>()?;
        let fields = columns.iter().zip(types).map(|(name, to)| Field::new(*name, to, true).into()).collect();
        Ok(Self { fields, values })
    }
}

/// Whole numbers where all are, days where all are, else text: `06` is text.
fn data_type<'a>(values: impl Iterator<Item = &'a str> + Clone) -> DataType {
    let all = |is: fn(&str) -> bool| values.clone().next().is_some() && values.clone().all(is);
    if all(|value| i64::from_str(value).is_ok_and(|number| number.to_string() == value)) {
        return DataType::Int64;
    }
    if all(|value| value.len() == 10 && NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok()) {
        return DataType::Date32;
    }
    DataType::Utf8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_columns_with_values_of_their_type() {
        let files = [
            of_path(&["dt=2025-06-10", "n=7", "m=06", "at=10%3A00+x%20%26%3D", "x", "a.parquet"]),
            of_path(&["dt=__HIVE_DEFAULT_PARTITION__", "n=-1", "m=12", "a=b.parquet"]),
        ];
        assert_eq!(files[0][3], ("at".to_owned(), Some("10:00+x &=".to_owned())));
        assert_eq!(files[1].len(), 3, "the file's own name is none");
        let found = Partitions::new(&files, |_| false, |name| name == "left").unwrap();
        let types: Vec<_> = found.fields.iter().map(|field| (field.name().as_str(), field.data_type())).collect();
        let text = &DataType::Utf8;
        assert_eq!(types, [("dt", &DataType::Date32), ("n", &DataType::Int64), ("m", text), ("at", text)]);
        assert!(found.values[1][0].is_null() && found.values[1][3].is_null());
        assert_eq!(found.values[1][1], ScalarValue::Int64(Some(-1)));
        let text = Partitions::new(&files, |name| name == "n", |name| name != "n").unwrap();
        assert_eq!((text.fields.len(), text.fields[0].data_type()), (1, &DataType::Utf8));
    }
}
