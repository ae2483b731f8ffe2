//! One indicator: a field, how a customer's rows become one value, and the scale that scores it.

use super::{InputName, Scale};

/// How several rows of one customer become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Sum of the values.
    Sum,
    /// Mean of the values.
    Avg,
    /// Number of rows that have a value.
    Count,
    /// Number of different values.
    CountDistinct,
    /// The value of the latest row by the input's timestamp; of equally late rows the largest value.
    Last,
}

impl Aggregate {
    /// The name as written in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::CountDistinct => "count_distinct",
            Self::Last => "last",
        }
    }
}

/// A field turned into a 0-100 score, with a weight inside its component.
#[derive(Debug, Clone, PartialEq)]
pub struct Indicator {
    /// Unique within its component.
    pub name: String,
    /// Field that is read; the indicator's name unless `field:` says otherwise.
    pub field: String,
    /// Column names taken for the field when no column has its name, in order of preference.
    pub aliases: Vec<String>,
    /// Input that supplies the field.
    pub input: InputName,
    /// Weight, above 0, relative to the component's other indicators.
    pub weight: f64,
    /// How a value becomes a score.
    pub scale: Scale,
    /// How rows become a value.
    pub aggregate: Aggregate,
    /// Score, 0-100, that it has where a customer has data for the component, but not for this; `None` leaves it out.
    pub missing: Option<f64>,
}
