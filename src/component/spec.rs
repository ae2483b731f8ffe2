//! What an engineer may write: `component.yaml` and scorecard files as raw, unchecked data.
//!
//! The doc comments here are the descriptions in the JSON Schema, so they speak to whoever edits the YAML.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::threshold::ThresholdSpec;
use super::timestamp::TimestampSpec;
use super::value::{InputEntry, MissingSpec, PlaceSpec, PopulationSpec, RangeEndSpec, Text};

/// A component.yaml: the attributes, flat or under `attributes:` beside `type:`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "component.yaml")]
pub struct ComponentSpec {
    /// Name of the asset; `customer_health_scores` if left out.
    pub asset_name: Option<String>,
    /// What the asset is, for people.
    pub description: Option<String>,
    /// Group that the orchestrator shows the asset in.
    pub group_name: Option<String>,
    /// Owners: e-mail addresses or `team:NAME`.
    pub owners: Vec<Text>,
    /// Tags of the asset, carried to the orchestrator.
    pub asset_tags: IndexMap<String, Text>,
    /// Kinds of the asset, carried to the orchestrator.
    pub kinds: Vec<Text>,

    /// Asset that the customer input comes from; carried as lineage.
    #[serde(alias = "customer_data_asset")]
    pub customer_data_asset_key: Option<String>,
    /// Asset that the subscription input comes from; carried as lineage.
    #[serde(alias = "subscription_data_asset")]
    pub subscription_data_asset_key: Option<String>,
    /// Asset that the usage input comes from; carried as lineage.
    #[serde(alias = "product_usage_asset")]
    pub product_usage_asset_key: Option<String>,
    /// Asset that the support input comes from; carried as lineage.
    #[serde(alias = "support_ticket_asset")]
    pub support_ticket_asset_key: Option<String>,

    /// The tables to score from: one to four of customer, subscription, usage and support.
    pub inputs: InputsSpec,
    /// The input whose customers alone are scored; those of all inputs if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customers_from: Option<InputNameSpec>,
    /// Parquet file to write; relative to this file.
    pub output: Option<String>,
    /// Tables to write beside the scores, in the same run.
    pub fan_out: FanOutSpec,
    /// An earlier customer_health_scores file, for the trend; relative to this file.
    pub history: Option<String>,

    /// Name of a built-in scorecard, or path of a scorecard file; `default` if left out.
    pub scorecard: Option<String>,
    /// Changes to the scorecard's components, by name; null removes one.
    pub components: IndexMap<String, Option<ScoreComponentSpec>>,
    /// Weight of the component `engagement`.
    pub engagement_weight: Option<f64>,
    /// Weight of the component `product_usage`.
    pub product_usage_weight: Option<f64>,
    /// Weight of the component `payment_health`.
    pub payment_health_weight: Option<f64>,
    /// Weight of the component `support_health`.
    pub support_health_weight: Option<f64>,

    /// Days before the run's as-of time that count, and the value of the range end `period`.
    pub analysis_period_days: Option<u32>,
    /// Lowest health score given out.
    pub min_health_score: Option<f64>,
    /// Highest health score given out.
    pub max_health_score: Option<f64>,
    /// Customers below this score are at churn risk; `{worst: 10 %}` or `{worst: 200}` are the customers that can be looked
    /// after.
    pub churn_risk_threshold: Option<ThresholdSpec>,
    /// Customers above this score are expansion opportunities; `{best: 10 %}` or `{best: 200}` are the customers that can be
    /// looked after.
    pub expansion_opportunity_threshold: Option<ThresholdSpec>,
    /// Names for ranges of the health score, lowest first; the last has no `below`. The first one is at churn risk and the last
    /// one an expansion opportunity, unless thresholds are given beside them.
    pub risk_categories: Option<Vec<RiskCategorySpec>>,
    /// What a component without data counts as: neutral (50), exclude, or a score.
    pub missing_component: Option<MissingSpec>,
    /// How components are combined: weighted_mean or weighted_sum.
    pub combine: Option<CombineSpec>,
    /// Pinned population statistics: component, indicator, statistic, value; or the path of an earlier output.
    pub population: Option<PopulationSpec>,

    /// Whether the table has the components' scores; true if left out.
    pub include_factor_breakdown: Option<bool>,
    /// Whether to add the trend columns; needs `history`.
    pub calculate_trend: Option<bool>,
    /// Changes of the score within plus or minus this count as stable; 2.0 if left out.
    pub trend_tolerance: Option<f64>,
    /// Whether to add weakest_factor, data_coverage and drivers.
    pub include_drivers: Option<bool>,
}

/// Tables beside the scores, for the assets that follow.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FanOutSpec {
    /// The customers at churn risk, lowest score first: a path relative to this file, or true for
    /// `<asset_name>_churn_risk.parquet` beside the output.
    pub churn_risk: Option<PlaceSpec>,
    /// The customers that are expansion opportunities, highest score first: a path relative to this file, or true for
    /// `<asset_name>_expansion.parquet` beside the output.
    pub expansion: Option<PlaceSpec>,
}

/// The four tables.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InputsSpec {
    /// Customers and their activity.
    pub customer: Option<InputEntry>,
    /// Subscriptions and payments.
    pub subscription: Option<InputEntry>,
    /// Product usage.
    pub usage: Option<InputEntry>,
    /// Support tickets.
    pub support: Option<InputEntry>,
}

/// One table.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InputSpec {
    /// File, folder, glob or URI; relative to this file.
    pub path: Option<String>,
    /// Format of the files; told by the file name's ending if left out.
    pub format: Option<FormatSpec>,
    /// Column that holds the customer's id.
    pub key: Option<String>,
    /// Date or timestamp column; only rows within the analysis period before the as-of time count. Text that is not written as
    /// ISO 8601 has it needs its format: `{column: close_date, format: '%m/%d/%Y'}`.
    pub timestamp: Option<TimestampSpec>,
    /// What a customer without rows in the period means: zero, where the input has every event, so that counts and sums are 0 and
    /// days since something are the whole period; missing if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_rows: Option<WithoutRowsSpec>,
    /// SQL predicate over the input's columns; only rows for which it is true count.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// Fields as SQL over the input's columns, scalar or aggregate.
    pub fields: IndexMap<String, Text>,
}

/// What a customer without rows means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WithoutRowsSpec {
    /// Nothing is known.
    Missing,
    /// Nothing happened.
    Zero,
}

/// Format of an input's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FormatSpec {
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    Arrow,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Json,
}

/// A component of the scorecard, or changes to one.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreComponentSpec {
    /// Input that supplies the fields: customer, subscription, usage or support.
    pub input: Option<InputNameSpec>,
    /// Weight in the health score.
    pub weight: Option<f64>,
    /// Indicators by name; null removes one.
    pub indicators: IndexMap<String, Option<IndicatorSpec>>,
    /// Caps; a list given here replaces the scorecard's.
    pub caps: Option<Vec<CapSpec>>,
    /// What the component counts as for customers without data for it, in place of `missing_component`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingSpec>,
}

/// Name of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum InputNameSpec {
    Customer,
    Subscription,
    Usage,
    Support,
}

/// An indicator, or changes to one.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IndicatorSpec {
    /// Field to read; the indicator's name if left out.
    pub field: Option<String>,
    /// Other column names for the field, in order of preference.
    pub aliases: Option<Vec<String>>,
    /// Input that supplies the field; the component's if left out.
    pub input: Option<InputNameSpec>,
    /// Weight inside the component; 0 leaves the indicator out.
    pub weight: Option<f64>,
    /// How a value becomes a score.
    pub scale: Option<ScaleSpec>,
    /// How several rows of a customer become one value.
    pub aggregate: Option<AggregateSpec>,
    /// Score of the indicator for customers without a value: a number, neutral (50), or exclude, which leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingSpec>,
}

/// A scale: exactly one of range, bands, map and percentile.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScaleSpec {
    /// `[worst, best]`: linear from 0 to 100, clipped. Numbers, `period`, `min`, `max` or `pNN`.
    pub range: Option<Vec<RangeEndSpec>>,
    /// Steps, lowest first; the last may leave out `below`.
    pub bands: Option<Vec<BandSpec>>,
    /// Text to score.
    pub map: Option<IndexMap<Text, f64>>,
    /// Score of text that `map` does not name; without it such text is missing.
    pub default: Option<f64>,
    /// Rank among all customers.
    pub percentile: Option<DirectionSpec>,
}

/// A step of `bands`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BandSpec {
    /// Values below this fall into the band.
    pub below: Option<f64>,
    /// Score, 0-100.
    pub score: f64,
}

/// Which end of the ranking is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum DirectionSpec {
    HigherIsBetter,
    LowerIsBetter,
}

/// How rows become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum AggregateSpec {
    Min,
    Max,
    Sum,
    Avg,
    Count,
    CountDistinct,
    Last,
}

/// How components are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum CombineSpec {
    WeightedMean,
    WeightedSum,
}

/// A limit on a component's score.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapSpec {
    /// SQL predicate over the component's fields.
    pub when: String,
    /// Highest score, 0-100, where the predicate holds.
    pub at_most: f64,
}

/// A named range of the health score.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RiskCategorySpec {
    /// Name, as it stands in risk_category.
    pub name: String,
    /// Scores below this fall into the category.
    pub below: Option<f64>,
}

/// A scorecard file.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "scorecard")]
pub struct ScorecardSpec {
    /// Name of the scorecard.
    pub name: Option<String>,
    /// Whom it is for.
    pub description: Option<String>,
    /// Scorecard that this one changes: a built-in one's name or a path.
    pub extends: Option<String>,
    /// Components by name, in output order; null removes one of the scorecard that is extended.
    pub components: IndexMap<String, Option<ScoreComponentSpec>>,
    /// See component.yaml.
    pub analysis_period_days: Option<u32>,
    /// See component.yaml.
    pub min_health_score: Option<f64>,
    /// See component.yaml.
    pub max_health_score: Option<f64>,
    /// See component.yaml.
    pub churn_risk_threshold: Option<ThresholdSpec>,
    /// See component.yaml.
    pub expansion_opportunity_threshold: Option<ThresholdSpec>,
    /// See component.yaml.
    pub risk_categories: Option<Vec<RiskCategorySpec>>,
    /// See component.yaml.
    pub missing_component: Option<MissingSpec>,
    /// See component.yaml.
    pub combine: Option<CombineSpec>,
}
