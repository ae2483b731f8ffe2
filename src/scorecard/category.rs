//! Risk categories: names for ranges of the health score.

/// A named range of the health score.
#[derive(Debug, Clone, PartialEq)]
pub struct RiskCategory {
    /// What `risk_category` says.
    pub name: String,
    /// Health scores below this fall into the category; `None` takes all that are left.
    pub below: Option<f64>,
}

/// How `risk_category` is found.
#[derive(Debug, Clone, PartialEq)]
pub enum RiskCategories {
    /// `high_risk` exactly when at churn risk, `healthy` exactly when an expansion opportunity, else `moderate`.
    FromThresholds,
    /// The first category whose `below` exceeds the health score.
    Named(Vec<RiskCategory>),
}

impl RiskCategories {
    /// Category at churn risk, unless categories are named.
    pub const HIGH_RISK: &'static str = "high_risk";
    /// Category between the two thresholds, unless categories are named.
    pub const MODERATE: &'static str = "moderate";
    /// Category of expansion opportunities, unless categories are named.
    pub const HEALTHY: &'static str = "healthy";

    /// Of several named categories the score at which the first one ends, and the one at which the last one begins.
    pub fn edges(&self) -> Option<(f64, f64)> {
        let Self::Named(categories) = self else { return None };
        let [first, ..] = categories.as_slice() else { return None };
        let [.., before_last, _] = categories.as_slice() else { return None };
        first.below.zip(before_last.below)
    }

    /// All names that `risk_category` can take, worst first.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::FromThresholds => vec![Self::HIGH_RISK, Self::MODERATE, Self::HEALTHY],
            Self::Named(categories) => categories.iter().map(|c| c.name.as_str()).collect(),
        }
    }
}
