//! The run report as an operator reads it.

use indicatif::{BinaryBytes, HumanCount};

use super::print::{Lines, Side, Table, counted, list, percent};
use crate::wire::proto::{
    Check, CheckSeverity, FieldOrigin, FieldReport, Input, InputReport, MaterializeResult, RunReport, Stage,
};

/// The report as text.
pub fn text(result: &MaterializeResult) -> Lines {
    let Some(report) = &result.report else { return Lines::one("the server sent no report") };
    let mut text = Lines::default();
    let as_of = report.as_of.as_ref().map(ToString::to_string).unwrap_or_default();
    let customers = counted(report.customers, "customer");
    text.line(format_args!("{}: {customers} scored as of {as_of}", report.asset_name));
    text.append(&inputs(report));
    text.append(&scores(report));
    text.append(&components(report));
    text.append(&list("warnings", &report.warnings));
    text.append(&list("hints", &report.hints));
    text.append(&stages(report));
    text.append(&checks(report));
    text.blank();
    // A server of an earlier version tells only the scores.
    let first = report.output.iter().filter(|_| result.outputs.is_empty());
    for output in first.chain(&result.outputs) {
        let rows = counted(output.rows, "row");
        let columns = counted(output.columns.len() as u64, "column");
        text.line(format_args!("wrote {} ({rows}, {columns}, {})", output.path, BinaryBytes(output.bytes)));
    }
    let partition = match report.partition_key.as_str() {
        "" => String::new(),
        key => format!(", partition {key}"),
    };
    let scorecard = format!("scorecard {} {:.12}", report.scorecard_name, report.scorecard_hash);
    text.line(format_args!("run {}{partition}, {scorecard}", report.run_id));
    text
}

/// What was checked, where that was asked for.
fn checks(report: &RunReport) -> Lines {
    let told = |check: &Check| {
        let verdict = match (check.passed, check.severity()) {
            (true, _) => "passed",
            (false, CheckSeverity::Error) => "FAILED",
            (false, CheckSeverity::Warn | CheckSeverity::Unspecified) => "warning",
        };
        format!("{verdict}  {}: {}", check.name, check.description)
    };
    list("checks", &report.checks.iter().map(told).collect::<Vec<_>>())
}

fn inputs(report: &RunReport) -> Lines {
    let mut columns = vec![
        ("input", Side::Left),
        ("rows read", Side::Right),
        ("kept", Side::Right),
        ("customers", Side::Right),
        ("merged", Side::Right),
        ("unmatched", Side::Right),
        ("file", Side::Left),
    ];
    // With one input nobody could be in another one.
    let alone = report.inputs.len() < 2;
    columns.retain(|(name, _)| !alone || *name != "unmatched");
    let mut table = Table::new(&columns);
    for input in &report.inputs {
        let files = if input.files > 1 { format!(" ({})", counted(input.files, "file")) } else { String::new() };
        let name = input_name(input.input()).to_owned();
        let counts = [input.rows_read, input.rows_kept, input.customers, input.duplicates_merged];
        let [read, kept, customers, merged] = counts.map(|count| HumanCount(count).to_string());
        let (unmatched, file) = (HumanCount(input.unmatched).to_string(), format!("{}{files}", input.path));
        if alone {
            table.row([name, read, kept, customers, merged, file]);
        } else {
            table.row([name, read, kept, customers, merged, unmatched, file]);
        }
    }
    let mut text = Lines::default();
    text.blank();
    text.line("inputs");
    text.append(&table.lines());
    if report.inputs.iter().any(|input| input.duplicates_merged > 0) {
        text.line("  merged: further rows of customers that have several, brought together as one");
    }
    if !alone && report.inputs.iter().any(|input| input.unmatched > 0) {
        text.line("  unmatched: customers of an input that no other input has");
    }
    for input in &report.inputs {
        input_details(input, &mut text);
    }
    text
}

fn input_details(input: &InputReport, text: &mut Lines) {
    let name = input_name(input.input());
    for dropped in &input.dropped {
        text.line(format_args!("  {name}: {} dropped, {}", counted(dropped.rows, "row"), dropped.reason));
    }
    fields(name, &input.key, &input.fields, text);
}

/// Which columns are used, under which alias, and which indicators have nothing to go by.
fn fields(input: &str, key: &str, fields: &[FieldReport], text: &mut Lines) {
    let mut used = vec![format!("{key} (key)")];
    let mut absent = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        // Several indicators may read one field.
        if fields[..at].iter().any(|earlier| earlier.field == field.field) {
            continue;
        }
        match field.origin() {
            FieldOrigin::Column | FieldOrigin::Unspecified => used.push(field.field.clone()),
            FieldOrigin::Alias => used.push(format!("{} (as {})", field.source, field.field)),
            FieldOrigin::Expression => used.push(format!("{} (from fields:)", field.field)),
            FieldOrigin::Absent => absent.push(field.field.as_str()),
        }
    }
    text.line(format_args!("  {input} columns: {}", used.join(", ")));
    if !absent.is_empty() {
        text.line(format_args!("  {input} lacks: {}", absent.join(", ")));
    }
    for field in fields.iter().filter(|field| field.no_data && field.origin() != FieldOrigin::Absent) {
        text.line(format_args!("  {input}.{}: no value for anyone", field.field));
    }
    for field in fields.iter().filter(|field| field.unparsable > 0) {
        let values = counted(field.unparsable, "value");
        text.line(format_args!("  {input}.{}: {values} not a number, taken as missing", field.field));
    }
}

fn scores(report: &RunReport) -> Lines {
    let mut text = Lines::default();
    let Some(scores) = &report.scores else { return text };
    text.blank();
    text.line(format_args!(
        "health score: mean {:.2}, median {:.2}, from {:.2} to {:.2}",
        scores.mean, scores.median, scores.min, scores.max
    ));
    let mut table = Table::new(&[("category", Side::Left), ("customers", Side::Right), ("share", Side::Right)]);
    let categories = report.categories.iter().map(|category| (category.name.as_str(), category.customers));
    let flags = [("(churn risk)", report.churn_risks), ("(expansion opportunity)", report.expansion_opportunities)];
    for (name, customers) in categories.chain(flags) {
        table.row([name.to_owned(), HumanCount(customers).to_string(), percent(customers, report.customers)]);
    }
    text.append(&table.lines());
    text
}

fn components(report: &RunReport) -> Lines {
    let mut table = Table::new(&[
        ("component", Side::Left),
        ("weight", Side::Right),
        ("share", Side::Right),
        ("mean", Side::Right),
        ("without data", Side::Right),
    ]);
    for component in &report.components {
        table.row([
            component.name.clone(),
            format!("{}", component.weight),
            format!("{:.3}", component.share),
            component.mean.map_or_else(|| "-".to_owned(), |mean| format!("{mean:.2}")),
            format!("{} ({})", HumanCount(component.missing), percent(component.missing, report.customers)),
        ]);
    }
    let mut text = Lines::default();
    text.blank();
    text.line("components");
    text.append(&table.lines());
    text
}

fn stages(report: &RunReport) -> Lines {
    let mut text = Lines::default();
    if report.stages.is_empty() {
        return text;
    }
    let seconds: Vec<f64> = report
        .stages
        .iter()
        .map(|stage| stage.elapsed.as_ref().map_or(0.0, |d| d.seconds as f64 + f64::from(d.nanos) / 1e9))
        .collect();
    let named = report.stages.iter().zip(&seconds);
    let parts: Vec<String> = named.map(|(stage, s)| format!("{} {s:.2}", stage_name(stage.stage()))).collect();
    text.blank();
    text.line(format_args!("seconds: {:.2} ({})", seconds.iter().sum::<f64>(), parts.join(", ")));
    text
}

/// Name of an input.
pub fn input_name(input: Input) -> &'static str {
    match input {
        Input::Unspecified => "unknown",
        Input::Customer => "customer",
        Input::Subscription => "subscription",
        Input::Usage => "usage",
        Input::Support => "support",
    }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Unspecified => "other",
        Stage::Open => "open",
        Stage::Profile => "profile",
        Stage::Population => "population",
        Stage::Score => "score",
        Stage::Publish => "publish",
        Stage::Check => "check",
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp};

    use super::*;
    use crate::wire::proto::{
        CategoryReport, ColumnReport, ComponentReport, DroppedRows, OutputReport, ScoreSummary, StageReport,
    };

    fn field(field: &str, origin: FieldOrigin, source: &str) -> FieldReport {
        FieldReport { field: field.into(), origin: origin.into(), source: source.into(), ..Default::default() }
    }

    fn usage() -> InputReport {
        InputReport {
            input: Input::Usage.into(),
            path: "/data/usage-*.parquet".into(),
            files: 2,
            rows_read: 12_000,
            rows_kept: 11_998,
            dropped: vec![DroppedRows { reason: "null or blank key".into(), rows: 2 }],
            customers: 1_000,
            duplicates_merged: 10_998,
            unmatched: 3,
            key: "account_id".into(),
            fields: vec![
                FieldReport { unparsable: 5, ..field("session_count", FieldOrigin::Alias, "sessions") },
                FieldReport { no_data: true, ..field("usage_change", FieldOrigin::Column, "usage_change") },
                field("core_feature_usage", FieldOrigin::Absent, ""),
            ],
            ..Default::default()
        }
    }

    fn report() -> RunReport {
        let category = |name: &str, customers| CategoryReport { name: name.into(), customers };
        RunReport {
            run_id: "r-1".into(),
            asset_name: "customer_health_scores".into(),
            scorecard_name: "default".into(),
            scorecard_hash: "0123456789abcdef0123".into(),
            as_of: Some(Timestamp { seconds: 1_751_241_600, nanos: 0 }),
            output: Some(OutputReport {
                path: "/out/scores.parquet".into(),
                rows: 1_000,
                bytes: 36_045,
                columns: vec![ColumnReport::default(); 10],
                ..Default::default()
            }),
            customers: 1_000,
            scores: Some(ScoreSummary { mean: 61.254, median: 62.5, min: 12.0, max: 98.1 }),
            categories: vec![category("high_risk", 120), category("moderate", 670), category("healthy", 210)],
            churn_risks: 120,
            expansion_opportunities: 210,
            inputs: vec![usage()],
            components: vec![ComponentReport {
                name: "product_usage".into(),
                weight: 0.25,
                share: 0.25,
                with_data: 988,
                missing: 12,
                mean: Some(61.2),
            }],
            warnings: vec!["the weights sum to 0.9".into()],
            hints: vec!["most scores are near 50".into()],
            checks: vec![Check {
                name: "scores_in_range".into(),
                severity: CheckSeverity::Error.into(),
                description: "2 rows with a health score outside of 0-100".into(),
                ..Default::default()
            }],
            partition_key: "2025-06".into(),
            stages: vec![StageReport {
                stage: Stage::Score.into(),
                elapsed: Some(Duration { seconds: 1, nanos: 250_000_000 }),
            }],
            ..Default::default()
        }
    }

    #[test]
    fn the_summary_tells_what_an_operator_wants_to_know() {
        insta::assert_snapshot!(text(&MaterializeResult { report: Some(report()), ..Default::default() }).as_str(), @r"
        customer_health_scores: 1,000 customers scored as of 2025-06-30T00:00:00Z

        inputs
          input  rows read    kept  customers  merged  file
          usage     12,000  11,998      1,000  10,998  /data/usage-*.parquet (2 files)
          merged: further rows of customers that have several, brought together as one
          usage: 2 rows dropped, null or blank key
          usage columns: account_id (key), sessions (as session_count), usage_change
          usage lacks: core_feature_usage
          usage.usage_change: no value for anyone
          usage.session_count: 5 values not a number, taken as missing

        health score: mean 61.25, median 62.50, from 12.00 to 98.10
          category                 customers   share
          high_risk                      120  12.0 %
          moderate                       670  67.0 %
          healthy                        210  21.0 %
          (churn risk)                   120  12.0 %
          (expansion opportunity)        210  21.0 %

        components
          component      weight  share   mean  without data
          product_usage    0.25  0.250  61.20    12 (1.2 %)

        warnings
          - the weights sum to 0.9

        hints
          - most scores are near 50

        seconds: 1.25 (score 1.25)

        checks
          - FAILED  scores_in_range: 2 rows with a health score outside of 0-100

        wrote /out/scores.parquet (1,000 rows, 10 columns, 35.20 KiB)
        run r-1, partition 2025-06, scorecard default 0123456789ab
        ");
    }

    #[test]
    fn an_empty_table_has_no_scores_and_no_division_by_zero() {
        let empty = text(&MaterializeResult { report: Some(RunReport::default()), ..Default::default() });
        let empty = empty.as_str();
        assert!(empty.contains("0 customers") && !empty.contains("NaN") && !empty.contains("health score:"), "{empty}");
    }
}
