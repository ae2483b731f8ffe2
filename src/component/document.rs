//! A file's own document among those that an orchestrator keeps in one file, and its own keys among the orchestrator's.

use std::borrow::Cow;

/// What the type of a document ends in that is a component of this sort.
const TYPE: &str = "CustomerHealthScoreComponent";

/// Keys under `attributes:` that the Dagster component reads, and nobody here.
pub const ORCHESTRATORS: [&str; 26] = [
    "allow_empty",
    "asset_checks",
    "column_lineage",
    "data_dir",
    "deps",
    "dynamic_partition_name",
    "execution_mode",
    "freshness_cron",
    "freshness_max_lag_minutes",
    "include_preview_metadata",
    "io_manager_key",
    "partition_date_column",
    "partition_dimensions",
    "partition_start",
    "partition_static_column",
    "partition_static_dim",
    "partition_type",
    "partition_values",
    "partition_window",
    "preview_rows",
    "resource_key",
    "retry_policy_backoff",
    "retry_policy_delay_seconds",
    "retry_policy_max_retries",
    "scoring_method",
    "service",
];

/// The text with blank lines in place of other components' documents, so that places stay what they are. Where no single
/// document is of this sort, the text stays as it is.
pub fn own(text: &str) -> Cow<'_, str> {
    let mut documents = vec![Vec::new()];
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" {
            documents.push(Vec::new());
        }
        if let Some(document) = documents.last_mut() {
            document.push(line);
        }
    }
    let of_this_sort = |document: &&Vec<&str>| {
        let kind = document.iter().find_map(|line| line.strip_prefix("type:"));
        let named = kind.map(|kind| kind.split(" #").next().unwrap_or(kind).trim().trim_matches(['"', '\'']));
        named.is_some_and(|kind| kind.ends_with(TYPE))
    };
    if documents.len() < 2 || documents.iter().filter(of_this_sort).count() != 1 {
        return Cow::Borrowed(text);
    }
    let kept = |document: &Vec<&str>| match of_this_sort(&document) {
        true => document.concat(),
        false => "\n".repeat(document.iter().filter(|line| line.ends_with('\n')).count()),
    };
    Cow::Owned(documents.iter().map(kept).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_document_of_this_sort_keeps_its_lines() {
        let text = "type: other.Thing\nattributes: {a: 1}\n---\ntype: \"x.CustomerHealthScoreComponent\" # ours\nb: 2\n---\nc: 3";
        assert_eq!(own(text), "\n\n---\ntype: \"x.CustomerHealthScoreComponent\" # ours\nb: 2\n\n");
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "",
            "a: 1\n",
            "---\na: 1\n",
            "a: 1\n---\nb: 2\n",
            "type: x.CustomerHealthScoreComponent\n---\ntype: x.CustomerHealthScoreComponent\n",
        ] {
            assert!(matches!(own(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
