//! Risk categories and what decides the two flags.

use super::card::Checker;
use super::position::join;
use super::spec::ScorecardSpec;
use super::threshold::{End, ThresholdSpec};
use crate::scorecard::{Flag, RiskCategories, RiskCategory, Scorecard, Threshold};

const CHURN: &str = "churn_risk_threshold";
const EXPANSION: &str = "expansion_opportunity_threshold";
const CATEGORIES: &str = "risk_categories";

/// The named categories of a scorecard, or those that follow from the thresholds.
pub fn categories(spec: &ScorecardSpec, check: &mut Checker<'_>) -> RiskCategories {
    let Some(list) = &spec.risk_categories else { return RiskCategories::FromThresholds };
    if list.is_empty() {
        check.fault(CATEGORIES, "expected at least one category, found none", None);
    }
    for (at, category) in list.iter().enumerate() {
        let path = format!("risk_categories.{at}");
        let last = at + 1 == list.len();
        if category.name.trim().is_empty() {
            check.fault(&join(&path, "name"), "a category needs a name", None);
        }
        if list[..at].iter().any(|other| other.name == category.name) {
            check.fault(&join(&path, "name"), format!("two categories are called `{}`", category.name), None);
        }
        match category.below {
            None if !last => {
                check.fault(
                    &path,
                    "only the last category may leave out `below`",
                    Some("categories go from lowest to highest"),
                );
            }
            Some(_) if last => check.fault(
                &join(&path, "below"),
                "the last category takes all higher scores and has no `below`",
                Some("leave out `below`, or add a category behind it"),
            ),
            Some(below) => {
                check.finite(&join(&path, "below"), below);
                if let Some(Some(before)) = at.checked_sub(1).map(|before| list[before].below)
                    && below <= before
                {
                    let message = format!("expected a number above {before}, found {below}");
                    check.fault(&join(&path, "below"), message, Some("categories go from lowest to highest"));
                }
            }
            None => {}
        }
    }
    let named = list.iter().map(|c| RiskCategory { name: c.name.clone(), below: c.below });
    RiskCategories::Named(named.collect())
}

/// What decides `is_churn_risk` and `is_expansion_opportunity`; `None` where the scorecard does not say.
pub fn flags(spec: &ScorecardSpec, categories: &RiskCategories, check: &mut Checker<'_>) -> Option<(Flag, Flag)> {
    let churn = flag(CHURN, spec.churn_risk_threshold, End::Worst, categories, check);
    let expansion = flag(EXPANSION, spec.expansion_opportunity_threshold, End::Best, categories, check);
    let (churn, expansion) = (churn?, expansion?);
    let both = "a customer would be both at risk and an opportunity";
    if let (Some(low), Some(high)) = (churn.score(), expansion.score())
        && low > high
    {
        check.conflict([CHURN, EXPANSION], format!("{CHURN} ({low}) must not be above {EXPANSION} ({high}): {both}"));
    }
    if let (Some(Threshold::Percent(low)), Some(Threshold::Percent(high))) = (churn.capacity(), expansion.capacity())
        && low + high > 100.0
    {
        check.conflict([CHURN, EXPANSION], format!("{CHURN} ({low} %) and {EXPANSION} ({high} %) overlap: {both}"));
    }
    Some((churn, expansion))
}

fn flag(
    key: &str,
    spec: Option<ThresholdSpec>,
    end: End,
    categories: &RiskCategories,
    check: &mut Checker<'_>,
) -> Option<Flag> {
    // Thresholds of a scorecard that the categories are laid over are not meant for them.
    if categories.edges().is_some() && (spec.is_none() || !check.beside_or_over(key, CATEGORIES)) {
        return Some(Flag::Category);
    }
    let spec = check.required(key, spec)?;
    if let Some(written) = spec.end.filter(|written| *written != end) {
        let (written, right) = (written.as_str(), end.as_str());
        let message = format!("`{key}` is told by the {right} customers, not by the {written}");
        let hint = format!("write `{right}: {}`", spec.threshold);
        check.fault(&join(key, written), message, Some(&hint));
    }
    if let Threshold::Score(score) = spec.threshold {
        check.finite(key, score);
    }
    Some(Flag::Threshold(spec.threshold))
}

/// What should be said about thresholds that are no mistake.
pub fn warnings(card: &Scorecard) -> Vec<String> {
    let mut warnings = Vec::new();
    for (key, flag) in [(CHURN, card.churn_risk), (EXPANSION, card.expansion_opportunity)] {
        let outside = |score: &f64| !(card.min_health_score..=card.max_health_score).contains(score);
        if let Some(score) = flag.score().filter(outside) {
            warnings.push(format!(
                "{key} ({score}) lies outside the health scores given out ({} to {})",
                card.min_health_score, card.max_health_score
            ));
        }
    }
    let Some((first_ends, last_begins)) = card.risk_categories.edges() else { return warnings };
    let names = card.risk_categories.names();
    for (name, (key, flag), category, (side, edge)) in [
        ("is_churn_risk", (CHURN, card.churn_risk), names.first(), ("ends", first_ends)),
        ("is_expansion_opportunity", (EXPANSION, card.expansion_opportunity), names.last(), ("begins", last_begins)),
    ] {
        if let (Some(score), Some(category)) = (flag.score(), category)
            && score != edge
        {
            warnings.push(format!(
                "{name} follows {key} ({score}), while the category `{category}` {side} at {edge}: leave out {key} and the \
                 category decides"
            ));
        }
    }
    warnings
}
