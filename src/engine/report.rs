//! What a run did: counts, shares, statistics and hints, for the operator and the orchestrator.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::check::Check;
use super::table::{ColumnReport, OutputReport};
use crate::accel::gather::JoinReport;
use crate::plan::Cutoffs;
use crate::scorecard::InputName;

/// The result of one materialization.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// Id of the run.
    pub run_id: String,
    /// Name of the asset.
    pub asset_name: String,
    /// Version of the program that ran.
    pub component_version: String,
    /// Name or path of the scorecard that the component started from.
    pub scorecard_name: String,
    /// BLAKE3 of the scorecard with all changes laid over, in hex.
    pub scorecard_hash: String,
    /// End of the analysis period.
    pub as_of: DateTime<Utc>,
    /// Start of the run; what `calculated_at` says.
    pub calculated_at: DateTime<Utc>,
    /// Partition that the run was for, as the request names it.
    pub partition_key: Option<String>,
    /// Tags of the request.
    pub tags: BTreeMap<String, String>,
    /// Hash of what was read and how it was scored, in hex: equal versions hold equal scores.
    pub data_version: String,
    /// BLAKE3 of the component's settings that bear on the table, in hex.
    pub config_hash: String,
    /// The scores.
    pub output: OutputReport,
    /// The tables beside them.
    pub fan_out: Vec<OutputReport>,
    /// What was checked, where that was asked for.
    pub checks: Vec<Check>,
    /// The table's first rows as a JSON array of objects, where that was asked for.
    pub preview: Option<String>,
    /// Customers, which is rows of the table.
    pub customers: u64,
    /// Mean, median and extremes of health_score; `None` for an empty table.
    pub scores: Option<ScoreSummary>,
    /// Customers per risk category, worst category first.
    pub categories: Vec<(String, u64)>,
    /// Customers at churn risk.
    pub churn_risks: u64,
    /// Customers that are expansion opportunities.
    pub expansion_opportunities: u64,
    /// The health scores at which the flags begin.
    pub cutoffs: Cutoffs,
    /// Where thresholds and named categories are both given: customers whose flags are not those of the first or last
    /// category.
    pub flags_beside_categories: Option<u64>,
    /// The connected inputs, in the order customer, subscription, usage, support.
    pub inputs: Vec<InputReport>,
    /// The components, in scorecard order.
    pub components: Vec<ComponentReport>,
    /// What joined the inputs.
    pub join: JoinReport,
    /// Population statistics that scales used.
    pub population: Vec<StatisticReport>,
    /// What is not as it should be, though no error.
    pub warnings: Vec<String>,
    /// What is worth a look.
    pub hints: Vec<String>,
    /// Stages in the order in which they ran.
    pub stages: Vec<StageReport>,
}

/// Distribution of health_score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreSummary {
    /// Mean.
    pub mean: f64,
    /// Median, to 0.01 points.
    pub median: f64,
    /// Lowest.
    pub min: f64,
    /// Highest.
    pub max: f64,
}

/// What was read from an input.
#[derive(Debug, Clone, PartialEq)]
pub struct InputReport {
    /// Which input.
    pub name: InputName,
    /// Path as resolved.
    pub path: String,
    /// Number of files read.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Rows in the files.
    pub rows_read: u64,
    /// Rows that count.
    pub rows_kept: u64,
    /// Rows that do not count, by reason; reasons without rows are left out.
    pub dropped: Vec<Dropped>,
    /// Different customers among the rows that count.
    pub customers: u64,
    /// Rows that count beyond the first of each customer.
    pub duplicates_merged: u64,
    /// Customers that no other input has.
    pub unmatched: u64,
    /// Column that holds the customer's id.
    pub key: String,
    /// Where the input's indicators get their values, in scorecard order.
    pub fields: Vec<FieldReport>,
}

/// Rows that do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Why, such as `null or blank key`.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

/// Where an indicator gets its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldReport {
    /// Component of the indicator.
    pub component: String,
    /// The indicator.
    pub indicator: String,
    /// Its field.
    pub field: String,
    /// Where the field's values come from.
    pub origin: FieldOrigin,
    /// Values that could not be read as a number, and so count as missing.
    pub unparsable: u64,
    /// Texts that no entry of the indicator's map knows: of rows, or of customers where the field is an aggregate.
    pub unmapped: u64,
    /// The most frequent of them, each with how many there are.
    pub unmapped_texts: Vec<(String, u64)>,
    /// True where the input has no value for anyone.
    pub no_data: bool,
}

/// Where a field's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldOrigin {
    /// The column of that name.
    Column,
    /// A column whose name is an alias.
    Alias(String),
    /// SQL from `fields:`.
    Expression(String),
    /// Nowhere: the input has no such column.
    Absent,
}

/// How a component fared.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentReport {
    /// Name.
    pub name: String,
    /// Weight as configured.
    pub weight: f64,
    /// Factor in the health score: share of the total weight, 0-1, or the plain weight of a weighted sum.
    pub share: f64,
    /// Customers with data for it.
    pub with_data: u64,
    /// Customers for whom it counted as missing.
    pub missing: u64,
    /// Mean score of the customers with data; `None` without any.
    pub mean: Option<f64>,
}

/// A population statistic that a scale used.
#[derive(Debug, Clone, PartialEq)]
pub struct StatisticReport {
    /// Component of the indicator.
    pub component: String,
    /// The indicator.
    pub indicator: String,
    /// `min`, `max` or `pNN`.
    pub statistic: String,
    /// Value in the field's unit; `None` where nobody has the field.
    pub value: Option<f64>,
    /// True where `population:` gave it.
    pub pinned: bool,
}

/// Time that a stage took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageReport {
    /// Which stage.
    pub stage: Stage,
    /// How long.
    pub elapsed: Duration,
}

/// Stages of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Inputs are opened and checked.
    Open,
    /// Rows are counted by what happens to them.
    Profile,
    /// Population statistics are found.
    Population,
    /// Customers are scored and written.
    Score,
    /// The finished file takes its place.
    Publish,
    /// The published table is read once more, where that was asked for.
    Check,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 6] = [Self::Open, Self::Profile, Self::Population, Self::Score, Self::Publish, Self::Check];

    /// Name of the stage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Profile => "profile",
            Self::Population => "population",
            Self::Score => "score",
            Self::Publish => "publish",
            Self::Check => "check",
        }
    }
}

/// What is told while a run works.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A stage began.
    Started(Stage),
    /// So many rows are scored and written.
    Rows(u64),
    /// Something is not as it should be, though no error; the report has it again.
    Warning(String),
    /// A line for the log of whoever asked.
    Log(String),
}

/// One customer's health score, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The customer.
    pub customer_id: String,
    /// End of the analysis period that the score is of.
    pub as_of: DateTime<Utc>,
    /// Score as in the table.
    pub health_score: f64,
    /// Score before it was clipped to the range given out.
    pub unclipped: f64,
    /// Range given out.
    pub given_out: (f64, f64),
    /// Category as in the table.
    pub risk_category: String,
    /// Flag as in the table.
    pub is_churn_risk: bool,
    /// Flag as in the table.
    pub is_expansion_opportunity: bool,
    /// Share of the total weight that real data backed, 0-1.
    pub data_coverage: f64,
    /// Components in scorecard order.
    pub components: Vec<ComponentExplanation>,
}

/// One component of one customer.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentExplanation {
    /// Name.
    pub name: String,
    /// Score; `None` where no indicator has data.
    pub score: Option<f64>,
    /// What the component counted as: its score, or what a missing one counts as; `None` where it took no part.
    pub counted_as: Option<f64>,
    /// Score before caps.
    pub uncapped: Option<f64>,
    /// Factor in this customer's health score.
    pub share: f64,
    /// Points of the unclipped health score that come from it.
    pub contribution: f64,
    /// Caps that lowered it: condition and highest score.
    pub caps_hit: Vec<(String, f64)>,
    /// Indicators in scorecard order.
    pub indicators: Vec<IndicatorExplanation>,
}

/// One indicator of one customer.
#[derive(Debug, Clone, PartialEq)]
pub struct IndicatorExplanation {
    /// Name.
    pub name: String,
    /// Input that supplies the field.
    pub input: InputName,
    /// Where the value comes from, or why there is none, in words.
    pub origin: String,
    /// Value as text; `None` where missing.
    pub value: Option<String>,
    /// The scale in words, population statistics resolved.
    pub scale: String,
    /// Score; `None` where missing.
    pub score: Option<f64>,
    /// Share of the health score's weight that the indicator had for this customer.
    pub weight: f64,
    /// Points of the unclipped health score that come from it.
    pub contribution: f64,
}

/// What a component would do, found without reading any rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Columns of the table.
    pub columns: Vec<ColumnReport>,
    /// The tables that a run would write, the scores first, without rows and sizes.
    pub outputs: Vec<OutputReport>,
    /// The inputs: name, resolved path, key, and where each indicator gets its values.
    pub inputs: Vec<InputDescription>,
    /// What is not as it should be, though no error.
    pub warnings: Vec<String>,
}

/// An input as its schema shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputDescription {
    /// Which input.
    pub name: InputName,
    /// Path as resolved.
    pub path: String,
    /// Column that holds the customer's id.
    pub key: String,
    /// Where the input's indicators get their values, in scorecard order.
    pub fields: Vec<FieldReport>,
}
