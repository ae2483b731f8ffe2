//! Checks of a run: the published table read once more, and what the run saw of its inputs.

use std::collections::BTreeMap;

use datafusion::logical_expr::LogicalPlanBuilder;

use super::profile::number;
use super::report::{ComponentReport, FieldReport, InputReport, RunReport};
use super::{EngineError, query};
use crate::component::{Component, Format};
use crate::io::context::RunContext;
use crate::io::source::Source;
use crate::io::store::Stores;
use crate::io::uri::{Uri, is_uri};
use crate::plan::check::{self, Finding};
use crate::plan::{Cutoffs, Table};
use crate::scorecard::{Combine, ScoreComponent};

/// A component that is missing for more than this share of the customers says little about them.
const MUCH_NEUTRAL: f64 = 0.5;

/// How far the sum of the weights may be from 1: decimal fractions do not add up exactly.
const WEIGHTS_TOLERANCE: f64 = 1e-6;

/// Largest preview, in bytes of JSON: it travels in one message beside the report, whose reader takes 4 MiB by default.
const MAX_PREVIEW: usize = 1 << 20;

/// How bad it is when a check does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Worth a look.
    Warn,
    /// The table should not be used.
    Error,
}

/// Something that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Name; names stay what they are.
    pub name: &'static str,
    /// Whether all is well.
    pub passed: bool,
    /// How bad it is when not.
    pub severity: Severity,
    /// What was found, for people.
    pub description: String,
    /// The numbers behind it, by name.
    pub facts: BTreeMap<String, f64>,
}

/// Opens a table that a run has written.
///
/// # Errors
/// Where it cannot be read.
pub async fn open(path: &str, context: &RunContext) -> Result<Table, EngineError> {
    let role = "published table";
    if is_uri(path) {
        // It may be the run's history too, which it now differs from.
        Stores::renew(role, &Uri::parse(role, path)?, context)?;
    }
    let source = Source { role, path, format: Some(Format::Parquet), key: None };
    Ok(source.open(context).await?.table)
}

/// Reads the published table and counts what is wrong with it.
///
/// # Errors
/// Where it cannot be read.
pub async fn of_table(
    component: &Component,
    cutoffs: Cutoffs,
    table: &Table,
    context: &RunContext,
) -> Result<Vec<Check>, EngineError> {
    let card = component.scorecard();
    let columns: Vec<String> = match component.include_factor_breakdown() {
        true => card.components.iter().map(ScoreComponent::column).collect(),
        false => Vec::new(),
    };
    let internal = |error| EngineError::internal("checking the published table", error);
    let plan = check::plan(card, cutoffs, &columns, table.source.clone()).map_err(internal)?;
    let row = query::single_row(context, &plan).await.map_err(internal)?;
    let found = |wanted: Finding| {
        let at = Finding::ALL.iter().position(|finding| *finding == wanted);
        at.and_then(|at| row.get(at)).map_or(0, number)
    };
    let (rows, named, customers) = (found(Finding::Rows), found(Finding::Named), found(Finding::Customers));
    let (without, twice) = (rows.saturating_sub(named), named.saturating_sub(customers));
    let (outside, mismatched) = (found(Finding::OutOfRange), found(Finding::Mismatched));
    let (lowest, highest) = (card.min_health_score, card.max_health_score);
    let check = |name, passed, description, facts: &[(&str, u64)]| Check {
        name,
        passed,
        severity: Severity::Error,
        description,
        #[allow(clippy::cast_precision_loss, reason = "rows are far fewer than 2^53")]
        facts: facts.iter().map(|(name, count)| ((*name).to_owned(), *count as f64)).collect(),
    };
    Ok(vec![
        check(
            "customer_id_unique_not_null",
            without == 0 && twice == 0,
            format!("{without} rows without customer_id, {twice} rows too many for a customer"),
            &[("rows", rows), ("without_customer_id", without), ("duplicates", twice)],
        ),
        check(
            "scores_in_range",
            outside == 0,
            format!("{outside} rows with a health score outside of {lowest}-{highest}, or a component's of 0-100"),
            &[("rows", rows), ("out_of_range", outside)],
        ),
        check(
            "flags_match_category",
            mismatched == 0,
            format!("{mismatched} rows whose flags or category do not follow from the score"),
            &[("rows", rows), ("mismatched", mismatched)],
        ),
        check("row_count_positive", rows > 0, format!("{rows} rows"), &[("rows", rows)]),
    ])
}

/// What the run saw of the scorecard and the inputs.
pub fn of_run(component: &Component, report: &RunReport) -> Vec<Check> {
    let mut checks = vec![
        weights(component),
        columns(&report.inputs),
        neutral(&report.components, report.customers),
        texts(&report.inputs),
    ];
    checks.extend(report.flags_beside_categories.map(|customers| agreed(customers, report.customers)));
    checks
}

/// Thresholds that are given beside named categories should set the flags of the first and the last of them.
fn agreed(disagreeing: u64, customers: u64) -> Check {
    #[allow(clippy::cast_precision_loss, reason = "customers are far fewer than 2^53")]
    let facts =
        [("customers", customers), ("disagreeing", disagreeing)].map(|(name, count)| (name.to_owned(), count as f64));
    Check {
        name: "categories_match_flags",
        passed: disagreeing == 0,
        severity: Severity::Warn,
        description: format!(
            "{disagreeing} of {customers} customers are flagged though not in the first or last category, or the other way round"
        ),
        facts: facts.into(),
    }
}

fn weights(component: &Component) -> Check {
    let card = component.scorecard();
    let sum: f64 = card.components.iter().map(|part| part.weight).sum();
    let summed = card.combine == Combine::WeightedSum;
    let passed = summed || (sum - 1.0).abs() <= WEIGHTS_TOLERANCE;
    let description = match (passed, summed) {
        (_, true) => format!("the weights sum to {sum}, and are used as they are (combine: weighted_sum)"),
        (true, false) => "the weights sum to 1".to_owned(),
        (false, false) => format!("the weights sum to {sum}, and were scaled to sum to 1"),
    };
    let facts = BTreeMap::from([("sum".to_owned(), sum)]);
    Check { name: "weights_sum_to_one", passed, severity: Severity::Warn, description, facts }
}

/// Every input that is connected should supply something that is scored.
fn columns(inputs: &[InputReport]) -> Check {
    let is_bare = |input: &&InputReport| !input.fields.is_empty() && input.fields.iter().all(|field| field.no_data);
    let bare: Vec<&str> = inputs.iter().filter(is_bare).map(|input| input.name.as_str()).collect();
    let empty: usize = inputs.iter().flat_map(|input| &input.fields).filter(|field| field.no_data).count();
    let all: usize = inputs.iter().map(|input| input.fields.len()).sum();
    let description = match bare.as_slice() {
        [] => format!("every input supplies scored fields; {empty} of {all} fields have no data"),
        bare => format!("no scored field has data in the input {}", bare.join(", ")),
    };
    #[allow(clippy::cast_precision_loss, reason = "fields are few")]
    let facts = BTreeMap::from([("fields".to_owned(), all as f64), ("fields_without_data".to_owned(), empty as f64)]);
    let passed = bare.is_empty();
    Check { name: "inputs_have_expected_columns", passed, severity: Severity::Warn, description, facts }
}

fn neutral(parts: &[ComponentReport], customers: u64) -> Check {
    #[allow(clippy::cast_precision_loss, reason = "customers are far fewer than 2^53")]
    let share = |part: &ComponentReport| if customers == 0 { 0.0 } else { part.missing as f64 / customers as f64 };
    let counted = parts.iter().filter(|part| part.weight != 0.0);
    let facts: BTreeMap<String, f64> = counted.map(|part| (part.name.clone(), share(part))).collect();
    let much: Vec<&str> =
        facts.iter().filter(|(_, share)| **share > MUCH_NEUTRAL).map(|(name, _)| name.as_str()).collect();
    let description = match much.as_slice() {
        [] => "every component has data for at least half of the customers".to_owned(),
        much => format!("more than half of the customers have no data for {}", much.join(", ")),
    };
    Check { name: "neutral_share", passed: much.is_empty(), severity: Severity::Warn, description, facts }
}

/// Every text of a field with a map should stand in the map.
fn texts(inputs: &[InputReport]) -> Check {
    let unknown = |field: &&FieldReport| field.unmapped > 0;
    let unknown: Vec<&FieldReport> = inputs.iter().flat_map(|input| &input.fields).filter(unknown).collect();
    let description = match unknown.as_slice() {
        [] => "every text is in the map that scores it".to_owned(),
        fields => {
            let of_field = |field: &&FieldReport| format!("{} of `{}`", field.unmapped, field.field);
            format!("values that no map knows: {}", fields.iter().map(of_field).collect::<Vec<_>>().join(", "))
        }
    };
    #[allow(clippy::cast_precision_loss, reason = "rows are far fewer than 2^53")]
    let facts = unknown.iter().map(|field| (field.field.clone(), field.unmapped as f64)).collect();
    Check { name: "texts_mapped", passed: unknown.is_empty(), severity: Severity::Warn, description, facts }
}

/// The first rows of a table as a JSON array of objects; fewer where they would take more than 1 MiB.
///
/// # Errors
/// Where it cannot be read.
pub async fn preview(table: &Table, rows: usize, context: &RunContext) -> Result<String, EngineError> {
    let internal = |error| EngineError::internal("reading a preview of the published table", error);
    let plan = LogicalPlanBuilder::scan("scores", table.source.clone(), None)
        .and_then(|plan| plan.limit(0, Some(rows))?.build())
        .map_err(internal)?;
    let batches = query::rows(context, &plan).await.map_err(internal)?;
    let mut text = String::from("[");
    // Row by row, so that no more is written than is kept.
    for row in batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|at| batch.slice(at, 1))) {
        let mut json = arrow::json::LineDelimitedWriter::new(Vec::new());
        json.write(&row).and_then(|()| json.finish()).map_err(|error| internal(error.into()))?;
        let line = json.into_inner();
        let object = String::from_utf8_lossy(line.trim_ascii_end());
        if text.len() + object.len() + ",]".len() > MAX_PREVIEW {
            break;
        }
        if text.len() > "[".len() {
            text.push(',');
        }
        text.push_str(&object);
    }
    text.push(']');
    Ok(text)
}
