//! What makes a customer a churn risk or an expansion opportunity.

use std::fmt;

/// Where a flag begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// Beyond this health score.
    Score(f64),
    /// At the end of the scores, for at most this share of the customers, in percent; to the nearest customer, one at least.
    Percent(f64),
    /// At the end of the scores, for at most this many customers.
    Customers(u64),
}

/// What decides a flag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Flag {
    /// A threshold: scores below it are churn risks, scores above it are opportunities.
    Threshold(Threshold),
    /// The first named category is at churn risk, the last one is an opportunity.
    Category,
}

impl Flag {
    /// The score beyond which the flag is set, where the scorecard alone tells.
    pub fn score(self) -> Option<f64> {
        match self {
            Self::Threshold(Threshold::Score(score)) => Some(score),
            Self::Threshold(Threshold::Percent(_) | Threshold::Customers(_)) | Self::Category => None,
        }
    }

    /// The number or share of customers that the flag is for.
    pub fn capacity(self) -> Option<Threshold> {
        match self {
            Self::Threshold(capacity @ (Threshold::Percent(_) | Threshold::Customers(_))) => Some(capacity),
            Self::Threshold(Threshold::Score(_)) | Self::Category => None,
        }
    }
}

impl Threshold {
    /// How many customers the flag is for at most, of so many; `None` where a score decides.
    pub fn customers(self, all: u64) -> Option<u64> {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "customers are far fewer than 2^53, and a share is 0-100 %"
        )]
        let share = |percent: f64| ((all as f64 * percent / 100.0).round() as u64).max(1);
        match self {
            Self::Score(_) => None,
            Self::Percent(percent) => Some(share(percent)),
            Self::Customers(customers) => Some(customers),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Score(score) => write!(f, "{score}"),
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Customers(customers) => write!(f, "{customers}"),
        }
    }
}
