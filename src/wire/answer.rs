//! From domain to wire: answers about a component, a scorecard or a customer; pure.

use super::problems::convert_problem;
use crate::component::spec::ScorecardSpec;
use crate::component::{Component, Problem};
use crate::engine::{self, Description, Explanation};
use crate::plan::{Cutoffs, flag_rules};
use crate::scorecard::{Cap, Indicator, ScoreComponent, Scorecard, presets};
use crate::wire::proto;
use crate::wire::values::{
    convert_asset, convert_column, convert_input, convert_origin, convert_output, convert_timestamp,
};

/// The answer about a component that has problems.
pub fn convert_invalid(problems: &[Problem]) -> proto::ValidateComponentResponse {
    proto::ValidateComponentResponse { problems: problems.iter().map(convert_problem).collect(), ..Default::default() }
}

/// The answer about a component whose inputs were checked too.
pub fn convert_valid(component: &Component, description: Description) -> proto::ValidateComponentResponse {
    proto::ValidateComponentResponse {
        valid: true,
        warnings: description.warnings,
        inputs_checked: true,
        config_hash: component.config_hash().to_owned(),
        columns: description.columns.into_iter().map(convert_column).collect(),
        ..Default::default()
    }
}

/// The answer about a component that is right by itself, but whose inputs could not be looked at.
pub fn convert_unchecked(component: &Component, note: String) -> proto::ValidateComponentResponse {
    proto::ValidateComponentResponse {
        valid: true,
        warnings: component.warnings().to_vec(),
        inputs_note: note,
        config_hash: component.config_hash().to_owned(),
        columns: engine::columns_of_scores(component).into_iter().map(convert_column).collect(),
        ..Default::default()
    }
}

/// What a component would do.
pub fn convert_description(component: &Component, description: Description) -> proto::DescribeComponentResponse {
    let card = component.scorecard();
    let (cutoffs, finite) = (Cutoffs::of(card), |score: f64| if score.is_finite() { score } else { 0.0 });
    proto::DescribeComponentResponse {
        asset: Some(convert_asset(component.asset())),
        scorecard_name: component.scorecard_name().to_owned(),
        scorecard_hash: component.scorecard_hash().to_owned(),
        output: component.output().unwrap_or_default().to_owned(),
        columns: description.columns.into_iter().map(convert_column).collect(),
        inputs: description.inputs.into_iter().map(convert_input_description).collect(),
        components: card.components.iter().map(|part| convert_component_description(component, card, part)).collect(),
        analysis_period_days: card.analysis_period_days,
        min_health_score: card.min_health_score,
        max_health_score: card.max_health_score,
        churn_risk_threshold: finite(cutoffs.churn_risk),
        expansion_opportunity_threshold: finite(cutoffs.expansion_opportunity),
        churn_risk_rule: flag_rules::churn_risk(card),
        expansion_opportunity_rule: flag_rules::expansion_opportunity(card),
        warnings: description.warnings,
        outputs: description.outputs.into_iter().map(convert_output).collect(),
        config_hash: component.config_hash().to_owned(),
    }
}

fn convert_input_description(description: engine::InputDescription) -> proto::InputDescription {
    proto::InputDescription {
        input: convert_input(description.name).into(),
        path: description.path,
        key: description.key,
        fields: description.fields.into_iter().map(convert_field_description).collect(),
    }
}

fn convert_field_description(report: engine::FieldReport) -> proto::FieldDescription {
    let (origin, source) = convert_origin(&report.field, report.origin);
    proto::FieldDescription {
        component: report.component,
        indicator: report.indicator,
        field: report.field,
        origin: origin.into(),
        source,
    }
}

fn convert_component_description(
    whole: &Component,
    card: &Scorecard,
    part: &ScoreComponent,
) -> proto::ComponentDescription {
    proto::ComponentDescription {
        name: part.name.clone(),
        column: if whole.include_factor_breakdown() { part.column() } else { String::new() },
        weight: part.weight,
        share: card.share(part),
        indicators: part.indicators.iter().map(convert_indicator_description).collect(),
        caps: part.caps.iter().map(convert_cap_description).collect(),
    }
}

fn convert_indicator_description(indicator: &Indicator) -> proto::IndicatorDescription {
    proto::IndicatorDescription {
        name: indicator.name.clone(),
        input: convert_input(indicator.input).into(),
        field: indicator.field.clone(),
        aliases: indicator.aliases.clone(),
        weight: indicator.weight,
        scale: indicator.scale.to_string(),
        aggregate: indicator.aggregate.as_str().to_owned(),
    }
}

fn convert_cap_description(cap: &Cap) -> proto::CapDescription {
    proto::CapDescription { when: cap.when.0.clone(), at_most: cap.at_most }
}

/// One customer's score, taken apart.
pub fn convert_explanation(explanation: Explanation) -> proto::ExplainCustomerResponse {
    proto::ExplainCustomerResponse {
        customer_id: explanation.customer_id,
        health_score: explanation.health_score,
        unclipped: explanation.unclipped,
        min_health_score: explanation.given_out.0,
        max_health_score: explanation.given_out.1,
        risk_category: explanation.risk_category,
        is_churn_risk: explanation.is_churn_risk,
        is_expansion_opportunity: explanation.is_expansion_opportunity,
        data_coverage: explanation.data_coverage,
        as_of: Some(convert_timestamp(explanation.as_of)),
        components: explanation.components.into_iter().map(convert_component_explanation).collect(),
    }
}

fn convert_component_explanation(component: engine::ComponentExplanation) -> proto::ComponentExplanation {
    let caps = component.caps_hit.into_iter();
    proto::ComponentExplanation {
        name: component.name,
        score: component.score,
        counted_as: component.counted_as,
        uncapped: component.uncapped,
        share: component.share,
        contribution: component.contribution,
        caps_hit: caps.map(|(when, at_most)| proto::CapDescription { when, at_most }).collect(),
        indicators: component.indicators.into_iter().map(convert_indicator_explanation).collect(),
    }
}

fn convert_indicator_explanation(indicator: engine::IndicatorExplanation) -> proto::IndicatorExplanation {
    proto::IndicatorExplanation {
        name: indicator.name,
        input: convert_input(indicator.input).into(),
        origin: indicator.origin,
        value: indicator.value,
        scale: indicator.scale,
        score: indicator.score,
        weight: indicator.weight,
        contribution: indicator.contribution,
    }
}

/// The built-in scorecards.
pub fn convert_scorecards() -> proto::ListScorecardsResponse {
    let listing = |preset: presets::Preset| {
        // A scorecard that could not be read would be listed without a description; a test sees that all have one.
        let spec: Option<ScorecardSpec> = serde_yaml::from_str(preset.text).ok();
        proto::ScorecardListing {
            name: preset.name.to_owned(),
            description: spec.and_then(|spec| spec.description).unwrap_or_default(),
            text: preset.text.to_owned(),
        }
    };
    proto::ListScorecardsResponse { scorecards: presets::ALL.into_iter().map(listing).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scorecard_says_what_it_is_for() {
        for card in convert_scorecards().scorecards {
            assert!(card.description.len() > 20, "{}: {}", card.name, card.description);
            assert!(card.text.contains(&card.description));
        }
    }
}
