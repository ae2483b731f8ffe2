//! Which column is the customer's key, where none is named.

use datafusion::arrow::datatypes::Schema;

use super::lookup::{self, Found, folded};

/// Names of the key, in order of preference: the customer's own, then what names a customer in a table of something else,
/// then the id of a row, which is the customer's only where the rows are customers.
pub const ALIASES: [&str; 6] = ["customer_id", "account_id", "company_id", "organization_id", "user_id", "id"];

/// Columns that could be the key, the likeliest first. Names are compared blind to case, blanks, `-` and `_`; a column that
/// is written exactly as the name goes before others, and of several that are not none is taken.
pub fn candidates(schema: &Schema) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for alias in ALIASES {
        let columns = schema.fields().iter().map(|field| field.name().as_str());
        let (exact, alike): (Vec<&str>, Vec<&str>) =
            columns.filter(|name| folded(name) == folded(alias)).partition(|name| *name == alias);
        // Of several that are alike, and none exact, it would be the order of columns that decides.
        if !exact.is_empty() || alike.len() == 1 {
            found.extend(exact.into_iter().chain(alike));
        }
    }
    found
}

/// Whether a column has a name that the key usually has.
pub fn is_usual(name: &str) -> bool {
    ALIASES.iter().any(|alias| folded(alias) == folded(name))
}

/// Whether a column has the name of the id of a row, of whatever the rows are.
pub fn is_of_rows(name: &str) -> bool {
    folded(name) == "id"
}

/// The key's column: the one that was named, else the likeliest.
pub fn column(schema: &Schema, named: Option<&str>) -> Option<String> {
    match named.map(|name| lookup::find(schema, [name])) {
        Some(Found::Exact(column) | Found::Alike(column)) => Some(column),
        _ => candidates(schema).first().map(|name| (*name).to_owned()),
    }
}

/// What to say of a choice that could have been another one.
pub fn told(input: &str, candidates: &[&str]) -> Option<String> {
    let (chosen, others) = candidates.split_first()?;
    if *chosen == ALIASES[0] || (others.is_empty() && ALIASES.contains(chosen)) {
        return None;
    }
    let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
    let not = if others.is_empty() { String::new() } else { format!(", and not {}", others.join(" or ")) };
    Some(format!("input `{input}`: `{chosen}` is taken for the customer's key{not}; name it with `inputs.{input}.key`"))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    fn of(columns: &[&str]) -> Vec<String> {
        let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        candidates(&Schema::new(fields)).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn what_names_a_customer_goes_before_the_id_of_a_row() {
        assert_eq!(of(&["id", "account_id", "amount"]), ["account_id", "id"]);
        assert_eq!(of(&["Company ID", "id"]), ["Company ID", "id"]);
        assert_eq!(of(&["user-id", "OrganizationId"]), ["OrganizationId", "user-id"]);
        assert_eq!(of(&["id", "customer_id"]), ["customer_id", "id"]);
        assert_eq!(of(&["ID", "name"]), ["ID"]);
        assert_eq!(of(&["name"]), [""; 0]);
    }

    #[test]
    fn the_exact_name_goes_before_what_only_looks_like_it() {
        assert_eq!(of(&["Account ID", "account_id"]), ["account_id", "Account ID"]);
        assert_eq!(of(&["Account ID", "account-id", "id"]), ["id"]);
    }

    #[test]
    fn a_choice_is_told_where_there_was_one() {
        assert_eq!(told("usage", &["customer_id", "id"]), None);
        assert_eq!(told("usage", &["id"]), None);
        assert!(told("usage", &["Customer ID"]).unwrap().contains("`Customer ID` is taken for the customer's key;"));
        assert!(told("usage", &["account_id", "id"]).unwrap().contains("`account_id`"));
    }
}
