//! What a score is: components, indicators, scales, caps and risk categories. Pure data, valid by construction.

mod category;
mod flag;
mod indicator;
pub mod presets;
mod scale;

pub use category::{RiskCategories, RiskCategory};
pub use flag::{Flag, Threshold};
pub use indicator::{Aggregate, Indicator};
pub use scale::{Band, Direction, RangeEnd, Scale, Statistic};

use std::fmt;
use std::str::FromStr;

/// One of the four tables that may be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputName {
    /// One row per customer, or activity of customers.
    Customer,
    /// Subscriptions and payments.
    Subscription,
    /// Product usage.
    Usage,
    /// Support tickets.
    Support,
}

impl InputName {
    /// All inputs, in the order in which they are joined and reported.
    pub const ALL: [Self; 4] = [Self::Customer, Self::Subscription, Self::Usage, Self::Support];

    /// The name as written in `component.yaml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Subscription => "subscription",
            Self::Usage => "usage",
            Self::Support => "support",
        }
    }
}

impl fmt::Display for InputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for InputName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| format!("unknown input `{text}`, expected customer, subscription, usage or support"))
    }
}

/// SQL text over the columns or fields of one input; syntax already checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expression(pub String);

/// Lowers a component that would otherwise hide a red flag.
#[derive(Debug, Clone, PartialEq)]
pub struct Cap {
    /// Condition over the component's fields.
    pub when: Expression,
    /// The highest score, 0-100, that a customer who meets the condition can have in the component.
    pub at_most: f64,
}

/// A weighted mean of indicators, 0-100.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreComponent {
    /// Lower-case name; the output column is `<name>_score`.
    pub name: String,
    /// Input that supplies the fields of indicators which name none themselves.
    pub input: InputName,
    /// Weight in the health score; any finite number, relative to the other components' weights.
    pub weight: f64,
    /// Indicators in scorecard order; those of weight 0 are left out.
    pub indicators: Vec<Indicator>,
    /// Caps, applied in order.
    pub caps: Vec<Cap>,
    /// What it counts as for customers of whom none of its indicators has data.
    pub missing: MissingComponent,
}

impl ScoreComponent {
    /// Name of the output column, such as `engagement_score`.
    pub fn column(&self) -> String {
        format!("{}_score", self.name)
    }

    /// True when every indicator reads the same input, so that the component can be scored before the join.
    pub fn single_input(&self) -> Option<InputName> {
        let mut inputs = self.indicators.iter().map(|i| i.input);
        let first = inputs.next()?;
        inputs.all(|i| i == first).then_some(first)
    }
}

/// What a customer's component counts as when none of its indicators has data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MissingComponent {
    /// This score, 0-100; the neutral default is 50.
    Score(f64),
    /// The component takes no part; the other components' weights are scaled up.
    Exclude,
}

impl MissingComponent {
    /// Score of a component about which nothing is known.
    pub const NEUTRAL: f64 = 50.0;

    /// The score that stands in the table where the component is missing.
    pub fn shown(self) -> f64 {
        match self {
            Self::Score(score) => score,
            Self::Exclude => Self::NEUTRAL,
        }
    }
}

/// How components become the health score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// sum(W*c) / sum(W).
    WeightedMean,
    /// sum(W*c), with weights as they are, negative ones included.
    WeightedSum,
}

/// Everything that turns fields into a health score.
#[derive(Debug, Clone, PartialEq)]
pub struct Scorecard {
    /// Components in output order.
    pub components: Vec<ScoreComponent>,
    /// How components are combined.
    pub combine: Combine,
    /// Length of the analysis window in days, also the value of the range end `period`.
    pub analysis_period_days: u32,
    /// Lowest health score given out.
    pub min_health_score: f64,
    /// Highest health score given out.
    pub max_health_score: f64,
    /// What decides `is_churn_risk`.
    pub churn_risk: Flag,
    /// What decides `is_expansion_opportunity`.
    pub expansion_opportunity: Flag,
    /// Names for ranges of the health score.
    pub risk_categories: RiskCategories,
}

impl Scorecard {
    /// Sum of the components' weights.
    pub fn total_weight(&self) -> f64 {
        self.components.iter().map(|c| c.weight).sum()
    }

    /// A component's factor in the health score: its share of the total weight (0-1), or its plain weight for
    /// [`Combine::WeightedSum`].
    pub fn share(&self, component: &ScoreComponent) -> f64 {
        match self.combine {
            Combine::WeightedMean => component.weight / self.total_weight(),
            Combine::WeightedSum => component.weight,
        }
    }

    /// Whether a component takes no part where it is missing.
    pub fn excludes(&self) -> bool {
        self.components.iter().any(|c| c.missing == MissingComponent::Exclude)
    }

    /// All indicators with the component they belong to, in scorecard order.
    pub fn indicators(&self) -> impl Iterator<Item = (&ScoreComponent, &Indicator)> {
        self.components.iter().flat_map(|c| c.indicators.iter().map(move |i| (c, i)))
    }
}
