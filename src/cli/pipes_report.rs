//! A run's result in Dagster's terms: materializations with metadata, and checks.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::pipes::Context;
use crate::wire::proto::{Check, CheckSeverity, MaterializeResult, OutputReport, RunReport, Table};

/// Parameters of a materialization message for each table that Dagster asked for.
pub fn materializations(result: &MaterializeResult, context: &Context) -> Vec<Value> {
    let Some(report) = &result.report else { return Vec::new() };
    let keyed = result.outputs.iter().filter_map(|output| Some((output, key(output, context)?)));
    let told = keyed.map(|(output, key)| {
        let mut metadata = table(output, context.partition_key.is_some());
        if output.table() == Table::Scores {
            metadata.extend(run(report));
        }
        json!({"asset_key": key, "data_version": report.data_version, "metadata": metadata})
    });
    told.collect()
}

/// Parameters of a check message for each check of the run.
pub fn checks(result: &MaterializeResult, context: &Context) -> Vec<Value> {
    let (Some(report), Some(scores)) =
        (&result.report, result.outputs.iter().find(|output| output.table() == Table::Scores))
    else {
        return Vec::new();
    };
    let Some(key) = key(scores, context) else { return Vec::new() };
    report.checks.iter().map(|one| check(key, one)).collect()
}

fn check(key: &str, check: &Check) -> Value {
    let mut metadata = Map::from_iter([entry("description", "text", check.description.clone())]);
    // Sorted, so that two runs tell the same in the same order.
    metadata
        .extend(check.facts.iter().collect::<BTreeMap<_, _>>().into_iter().map(|(name, v)| entry(name, "float", *v)));
    let severity = match check.severity() {
        CheckSeverity::Error => "ERROR",
        CheckSeverity::Warn | CheckSeverity::Unspecified => "WARN",
    };
    json!({
        "asset_key": key, "check_name": check.name, "passed": check.passed, "severity": severity, "metadata": metadata,
    })
}

/// Which of Dagster's keys a table has: one that ends in the asset's name, or for the scores the only one there is.
fn key<'a>(output: &OutputReport, context: &'a Context) -> Option<&'a str> {
    let keys = context.asset_keys.as_deref().unwrap_or_default();
    let named = keys.iter().find(|key| parts(key).last() == Some(&output.asset_name));
    let only = keys.first().filter(|_| keys.len() == 1 && output.table() == Table::Scores);
    named.or(only).map(String::as_str)
}

/// The parts of a key; `\/` and `\\` stand for the characters themselves.
fn parts(key: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let mut characters = key.chars();
    while let Some(character) = characters.next() {
        match character {
            '/' => parts.push(std::mem::take(&mut part)),
            '\\' => part.push(characters.next().unwrap_or('\\')),
            other => part.push(other),
        }
    }
    parts.push(part);
    parts
}

fn entry(name: &str, kind: &str, value: impl Into<Value>) -> (String, Value) {
    let value: Value = value.into();
    (name.to_owned(), json!({"raw_value": value, "type": kind}))
}

fn table(output: &OutputReport, partitioned: bool) -> Map<String, Value> {
    let rows = if partitioned { "dagster/partition_row_count" } else { "dagster/row_count" };
    let columns: Vec<Value> = output
        .columns
        .iter()
        .map(|column| {
            let constraints = json!({
                "nullable": column.nullable, "unique": column.name == "customer_id", "other": [],
            });
            json!({
                "name": column.name, "type": column.data_type, "description": column.description, "tags": {},
                "constraints": constraints,
            })
        })
        .collect();
    let schema = json!({"columns": columns, "constraints": {"other": []}});
    // Only columns of assets that the component names have a place in the graph.
    let deps: Map<String, Value> = output
        .lineage
        .iter()
        .map(|one| {
            let known = one.sources.iter().filter(|source| !source.asset_key.is_empty());
            let sources = known.map(|s| json!({"asset_key": parts(&s.asset_key), "column_name": s.column}));
            (one.column.clone(), sources.collect())
        })
        .filter(|(_, sources): &(_, Value)| sources.as_array().is_some_and(|sources| !sources.is_empty()))
        .collect();
    Map::from_iter([
        entry(rows, "int", output.rows),
        entry("dagster/uri", "text", output.uri.clone()),
        entry("dagster/column_schema", "table_schema", schema),
        entry("dagster/column_lineage", "table_column_lineage", json!({"deps_by_column": deps})),
        entry("size_bytes", "int", output.bytes),
    ])
}

fn run(report: &RunReport) -> Map<String, Value> {
    let mut metadata = Map::from_iter([
        entry("customers", "int", report.customers),
        entry("churn_risk_count", "int", report.churn_risks),
        entry("expansion_opportunity_count", "int", report.expansion_opportunities),
        entry("scorecard", "text", report.scorecard_name.clone()),
        entry("scorecard_hash", "text", report.scorecard_hash.clone()),
        entry("config_hash", "text", report.config_hash.clone()),
        entry("service_version", "text", report.component_version.clone()),
        entry("service_run_id", "text", report.run_id.clone()),
    ]);
    if let Some(scores) = &report.scores {
        metadata.extend([
            entry("average_health_score", "float", scores.mean),
            entry("median_health_score", "float", scores.median),
        ]);
    }
    let counted = report
        .categories
        .iter()
        .map(|category| entry(&format!("category/{}", category.name), "int", category.customers));
    metadata.extend(counted);
    for input in &report.inputs {
        let name = input.input().as_str_name().trim_start_matches("INPUT_").to_lowercase();
        let dropped: u64 = input.dropped.iter().map(|dropped| dropped.rows).sum();
        let facts = [
            ("rows_read", input.rows_read),
            ("rows_kept", input.rows_kept),
            ("customers", input.customers),
            ("duplicates_merged", input.duplicates_merged),
            ("unmatched", input.unmatched),
            ("dropped", dropped),
        ];
        metadata.extend(facts.map(|(fact, count)| entry(&format!("{name}/{fact}"), "int", count)));
    }
    if !report.warnings.is_empty() {
        metadata.extend([entry("warnings", "json", report.warnings.clone())]);
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_apart_as_dagster_puts_them_together() {
        assert_eq!(parts("crm/scores"), ["crm", "scores"]);
        assert_eq!(parts(r"a\/b/c\\d"), ["a/b", r"c\d"]);
        assert_eq!(parts(""), [""]);
    }

    #[test]
    fn a_table_has_the_key_that_ends_in_its_name() {
        let keys = |keys: &[&str]| -> Context { serde_json::from_value(json!({"asset_keys": keys})).unwrap() };
        let output = |table: Table, name: &str| OutputReport {
            table: table.into(),
            asset_name: name.to_owned(),
            ..Default::default()
        };
        let (scores, churn) = (output(Table::Scores, "scores"), output(Table::ChurnRisk, "scores_churn_risk"));
        let both = keys(&["crm/scores", "crm/scores_churn_risk"]);
        assert_eq!((key(&scores, &both), key(&churn, &both)), (Some("crm/scores"), Some("crm/scores_churn_risk")));
        let other = keys(&["health"]);
        assert_eq!((key(&scores, &other), key(&churn, &other)), (Some("health"), None));
        assert_eq!(key(&scores, &Context::default()), None);
    }
}
