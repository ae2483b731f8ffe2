//! Columns by name: as it is written, else blind to case, blanks, `-` and `_`.

use datafusion::arrow::datatypes::Schema;

/// A name as it is compared: without blanks, `-` and `_`, in lower case.
pub fn folded(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// What a schema has for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The column of exactly one of the names.
    Exact(String),
    /// The only column that is like one of the names.
    Alike(String),
    /// Several columns that are like one of the names, so that none is taken.
    Ambiguous(Vec<String>),
    /// Nothing.
    Nothing,
}

/// The column for the first of the names that there is one for; what is written exactly so goes before what is alike.
pub fn find<'a>(schema: &Schema, names: impl IntoIterator<Item = &'a str> + Clone) -> Found {
    let columns = || schema.fields().iter().map(|field| field.name().as_str());
    if let Some(exact) = names.clone().into_iter().find(|name| columns().any(|column| column == *name)) {
        return Found::Exact(exact.to_owned());
    }
    for name in names {
        let alike: Vec<String> = columns().filter(|column| folded(column) == folded(name)).map(str::to_owned).collect();
        match alike.as_slice() {
            [] => {}
            [one] => return Found::Alike(one.clone()),
            _ => return Found::Ambiguous(alike),
        }
    }
    Found::Nothing
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    fn of(columns: &[&str], names: &[&str]) -> Found {
        let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        find(&Schema::new(fields), names.iter().copied())
    }

    #[test]
    fn the_exact_name_wins_even_where_it_is_an_alias() {
        assert_eq!(of(&["MRR", "mrr"], &["mrr"]), Found::Exact("mrr".into()));
        assert_eq!(of(&["Session Count", "sessions"], &["session_count", "sessions"]), Found::Exact("sessions".into()));
    }

    #[test]
    fn a_name_is_found_blind_to_case_and_separators_where_that_is_one_column() {
        assert_eq!(of(&["Auto Renew"], &["auto_renew"]), Found::Alike("Auto Renew".into()));
        assert_eq!(of(&["sessionCount"], &["session_count"]), Found::Alike("sessionCount".into()));
        assert_eq!(of(&["MRR", "Mrr"], &["mrr"]), Found::Ambiguous(vec!["MRR".into(), "Mrr".into()]));
        assert_eq!(of(&["amounts"], &["amount"]), Found::Nothing);
    }
}
