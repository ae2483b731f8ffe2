//! The numbers of a run by table and name, in one list, so that a new number needs no new message.

use std::collections::BTreeMap;

use super::values::table_name;
use crate::engine::RunReport;
use crate::wire::proto::Measure;

/// Lists the numbers of all tables, the scores first; `report.proto` says what each name means.
pub fn list_measures(report: &RunReport) -> Vec<Measure> {
    let mut measures = measure_size(report);
    measures.extend(measure_scores(report));
    measures.extend(measure_checks(report));
    measures
}

/// Rows and bytes of each table.
fn measure_size(report: &RunReport) -> Vec<Measure> {
    let tables = std::iter::once(&report.output).chain(&report.fan_out);
    let sizes = tables.flat_map(|table| {
        let name = table_name(table.fan_out);
        [measure(name, "rows", &[], table.rows as f64), measure(name, "bytes", &[], table.bytes as f64)]
    });
    sizes.collect()
}

/// Customers, the distribution of their scores, categories and flags.
fn measure_scores(report: &RunReport) -> Vec<Measure> {
    let of_scores = |name: &str, labels: &[(&str, &str)], value: f64| measure(table_name(None), name, labels, value);
    let mut measures = vec![of_scores("customers", &[], report.customers as f64)];
    if let Some(scores) = report.scores {
        let statistics = [("mean", scores.mean), ("median", scores.median), ("min", scores.min), ("max", scores.max)];
        measures.extend(statistics.map(|(name, value)| of_scores("health_score", &[("statistic", name)], value)));
    }
    let categories = report.categories.iter();
    measures
        .extend(categories.map(|(name, customers)| of_scores("customers", &[("category", name)], *customers as f64)));
    measures.extend([
        of_scores("churn_risks", &[], report.churn_risks as f64),
        of_scores("expansion_opportunities", &[], report.expansion_opportunities as f64),
        of_scores("churn_risk_cutoff", &[], report.cutoffs.churn_risk),
        of_scores("expansion_opportunity_cutoff", &[], report.cutoffs.expansion_opportunity),
    ]);
    let beside = report.flags_beside_categories;
    measures.extend(beside.map(|customers| of_scores("flags_beside_categories", &[], customers as f64)));
    measures
}

/// What was checked, and the numbers behind it.
fn measure_checks(report: &RunReport) -> Vec<Measure> {
    let mut measures = Vec::new();
    for check in &report.checks {
        let passed = if check.passed { 1.0 } else { 0.0 };
        measures.push(measure(table_name(None), "check", &[("check", check.name)], passed));
        for (fact, value) in &check.facts {
            let labels = [("check", check.name), ("fact", fact.as_str())];
            measures.push(measure(table_name(None), "check_fact", &labels, *value));
        }
    }
    measures
}

fn measure(table: &str, name: &str, labels: &[(&str, &str)], value: f64) -> Measure {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(kind, of)| ((*kind).to_owned(), (*of).to_owned())).collect();
    Measure { table: table.to_owned(), name: name.to_owned(), labels, value }
}
