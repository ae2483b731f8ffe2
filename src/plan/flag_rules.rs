//! What makes a customer a churn risk or an expansion opportunity, in words.

use crate::scorecard::{Flag, Scorecard, Threshold};

/// What makes a customer a churn risk, such as `below 40`, `the worst 10 %` or `category Critical`.
pub fn churn_risk(card: &Scorecard) -> String {
    rule(card, card.churn_risk, ["below", "the worst"], false)
}

/// What makes a customer an expansion opportunity, such as `above 75`, `the best 200` or `category Healthy`.
pub fn expansion_opportunity(card: &Scorecard) -> String {
    rule(card, card.expansion_opportunity, ["above", "the best"], true)
}

fn rule(card: &Scorecard, flag: Flag, [score, customers]: [&str; 2], last: bool) -> String {
    match flag {
        Flag::Threshold(threshold @ Threshold::Score(_)) => format!("{score} {threshold}"),
        Flag::Threshold(capacity) => format!("{customers} {capacity}"),
        Flag::Category => {
            let names = card.risk_categories.names();
            let name = if last { names.last() } else { names.first() };
            format!("category {}", name.copied().unwrap_or_default())
        }
    }
}
