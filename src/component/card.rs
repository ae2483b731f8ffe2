//! From a laid-together scorecard spec to a valid scorecard, with all problems at once.

use super::card_flags;
use super::card_scale::build_scale;
use super::expression;
use super::overlay::Layers;
use super::position::join;
use super::problem::{Problem, nearest};
use super::spec::{AggregateSpec, CombineSpec, IndicatorSpec, InputNameSpec};
use super::spec::{ScoreComponentSpec, ScorecardSpec};
use super::value::MissingSpec;
use crate::scorecard::{
    Aggregate, Cap, Combine, Indicator, InputName, MissingComponent, Scale, ScoreComponent, Scorecard,
};

/// Weights whose sum is this near to 1 need no word said.
const WEIGHT_TOLERANCE: f64 = 1e-9;

/// Collects problems with the values of a scorecard.
pub struct Checker<'a> {
    layers: &'a Layers,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Checker<'a> {
    /// A checker that places problems by `layers` and adds them to `problems`.
    pub fn new(layers: &'a Layers, problems: &'a mut Vec<Problem>) -> Self {
        Self { layers, problems }
    }

    /// Notes a problem, unless it may only follow from another one already told.
    pub fn fault(&mut self, path: &str, message: impl Into<String>, hint: Option<&str>) {
        if !self.layers.poisoned(path) {
            self.problems.push(self.layers.problem(path, message, hint.map(str::to_owned)));
        }
    }

    /// A problem that several values make together, told at the first.
    pub fn conflict(&mut self, paths: [&str; 2], message: String) {
        if !self.layers.poisoned(paths[1]) {
            let at = if self.layers.written(paths[0]) { paths[0] } else { paths[1] };
            self.fault(at, message, None);
        }
    }

    /// A number that must be finite.
    pub fn finite(&mut self, path: &str, value: f64) -> f64 {
        if !value.is_finite() {
            self.fault(path, format!("expected a finite number, found {value}"), None);
        }
        value
    }

    /// A score of 0-100.
    pub fn score(&mut self, path: &str, value: f64) -> f64 {
        if !(0.0..=100.0).contains(&value) {
            self.fault(path, format!("expected a score from 0 to 100, found {value}"), None);
        }
        value
    }

    /// Whether a value stands in the file that another value stands in, or in one that is laid over it.
    pub fn beside_or_over(&self, path: &str, other: &str) -> bool {
        self.layers.beside_or_over(path, other)
    }

    /// The value, where the scorecard has it.
    pub fn required<T>(&mut self, path: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
            if !self.layers.poisoned(path) {
                self.fault(parent, format!("`{path}` is missing: the scorecard has no `{key}` here"), None);
            }
        }
        value
    }
}

/// The scorecard and what should be said about it; only to be used where no problem was noted.
pub fn build(spec: &ScorecardSpec, check: &mut Checker<'_>) -> Option<(Scorecard, Vec<String>)> {
    let combine = match spec.combine {
        Some(CombineSpec::WeightedSum) => Combine::WeightedSum,
        Some(CombineSpec::WeightedMean) | None => Combine::WeightedMean,
    };
    let usual_missing = missing("missing_component", spec.missing_component, check);
    let components: Vec<ScoreComponent> = spec
        .components
        .iter()
        .filter_map(|(name, component)| Some((name, component.as_ref()?)))
        .filter_map(|(name, component)| build_component(name, component, (spec, combine, usual_missing), check))
        .collect();
    let period = check.required("analysis_period_days", spec.analysis_period_days);
    if period == Some(0) {
        check.fault("analysis_period_days", "expected at least 1 day, found 0", None);
    }
    let mut number = |path: &str, value: Option<f64>| {
        let value = check.required(path, value)?;
        Some(check.finite(path, value))
    };
    let min = number("min_health_score", spec.min_health_score);
    let max = number("max_health_score", spec.max_health_score);
    let risk_categories = card_flags::categories(spec, check);
    let flags = card_flags::flags(spec, &risk_categories, check);
    let (min, max, (churn_risk, expansion_opportunity), period) = (min?, max?, flags?, period?);
    if min >= max {
        let message = format!("min_health_score ({min}) must be below max_health_score ({max})");
        check.conflict(["min_health_score", "max_health_score"], message);
    }
    check_weights(&components, combine, check);
    let card = Scorecard {
        components,
        combine,
        analysis_period_days: period,
        min_health_score: min,
        max_health_score: max,
        churn_risk,
        expansion_opportunity,
        risk_categories,
    };
    let warnings = warnings(&card);
    Some((card, warnings))
}

fn check_weights(components: &[ScoreComponent], combine: Combine, check: &mut Checker<'_>) {
    if components.is_empty() {
        check.fault("components", "the scorecard has no components", None);
    } else if combine == Combine::WeightedMean && components.iter().all(|c| c.weight == 0.0) {
        let path = components.iter().map(|c| format!("components.{}.weight", c.name)).next().unwrap_or_default();
        let written = components
            .iter()
            .map(|c| format!("{}_weight", c.name))
            .find(|key| check.layers.written(key))
            .unwrap_or(path);
        check.fault(
            &written,
            "the components' weights are all zero",
            Some("give at least one component a weight above 0"),
        );
    }
}

fn warnings(card: &Scorecard) -> Vec<String> {
    let mut warnings = Vec::new();
    let total = card.total_weight();
    if card.combine == Combine::WeightedMean && (total - 1.0).abs() > WEIGHT_TOLERANCE {
        warnings.push(format!("the components' weights sum to {total:.4}, not 1; they were scaled to sum to 1"));
    }
    warnings.extend(card_flags::warnings(card));
    warnings
}

fn build_component(
    name: &str,
    spec: &ScoreComponentSpec,
    (card, combine, usual_missing): (&ScorecardSpec, Combine, MissingComponent),
    check: &mut Checker<'_>,
) -> Option<ScoreComponent> {
    let path = format!("components.{name}");
    if !is_identifier(name) || name == "health" || name == "previous_health" {
        let message = format!("`{name}` cannot name a component");
        check.fault(&path, message, Some("lower-case letters, digits and `_`, beginning with a letter; not `health`"));
    }
    if spec.indicators.values().flatten().next().is_none() {
        let others = card.components.iter().filter(|(_, c)| c.as_ref().is_some_and(|c| !c.indicators.is_empty()));
        let hint = match nearest(name, others.map(|(other, _)| other.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a new component needs `input`, `weight` and `indicators`".to_owned(),
        };
        check.fault(&path, format!("the component `{name}` has no indicators"), Some(&hint));
        return None;
    }
    if spec.input.is_none() && spec.weight.is_none() {
        let others = card.components.iter().filter(|(_, c)| c.as_ref().is_some_and(|c| c.weight.is_some()));
        let hint = nearest(name, others.map(|(other, _)| other.as_str())).map(|near| format!("did you mean `{near}`?"));
        let message = format!("the component `{name}` is a new one, and has neither `input` nor `weight`");
        check.fault(&path, message, hint.as_deref());
        return None;
    }
    let input = check.required(&join(&path, "input"), spec.input);
    let weight = check.required(&join(&path, "weight"), spec.weight);
    let weight_path =
        if check.layers.written(&format!("{name}_weight")) { format!("{name}_weight") } else { join(&path, "weight") };
    if let Some(weight) = weight {
        check.finite(&weight_path, weight);
        if weight < 0.0 && combine == Combine::WeightedMean {
            let message = format!("a weight must not be negative, found {weight}");
            check.fault(&weight_path, message, Some("`combine: weighted_sum` takes negative weights"));
        }
    }
    let input = input_name(input?);
    let indicators: Vec<Indicator> = spec
        .indicators
        .iter()
        .filter_map(|(key, indicator)| Some((key, indicator.as_ref()?)))
        .filter_map(|(key, indicator)| build_indicator(key, indicator, spec, &path, input, check))
        .filter(|indicator| indicator.weight > 0.0)
        .collect();
    let mut caps = Vec::new();
    for (at, cap) in spec.caps.iter().flatten().enumerate() {
        let at = format!("{path}.caps.{at}");
        let at_most = check.score(&join(&at, "at_most"), cap.at_most);
        match expression::check(&cap.when) {
            Ok(when) => caps.push(Cap { when, at_most }),
            Err(fault) => check.fault(&join(&at, "when"), fault.message, fault.hint.as_deref()),
        }
    }
    let missing = match (spec.missing, absent(&indicators)) {
        (None, Some(score)) => MissingComponent::Score(score),
        (None, None) => usual_missing,
        (own, _) => missing(&join(&path, "missing"), own, check),
    };
    Some(ScoreComponent { name: name.to_owned(), input, weight: weight?, indicators, caps, missing })
}

fn missing(path: &str, spec: Option<MissingSpec>, check: &mut Checker<'_>) -> MissingComponent {
    match spec {
        None | Some(MissingSpec::Neutral) => MissingComponent::Score(MissingComponent::NEUTRAL),
        Some(MissingSpec::Exclude) => MissingComponent::Exclude,
        Some(MissingSpec::Score(score)) => MissingComponent::Score(check.score(path, score)),
    }
}

/// The score of a component for customers of whom nothing is known, where its indicators say what they count as then.
fn absent(indicators: &[Indicator]) -> Option<f64> {
    let told = || indicators.iter().filter_map(|indicator| Some((indicator.weight, indicator.missing?)));
    let weights: f64 = told().map(|(weight, _)| weight).sum();
    (weights > 0.0).then(|| told().map(|(weight, score)| weight * score).sum::<f64>() / weights)
}

fn build_indicator(
    name: &str,
    spec: &IndicatorSpec,
    component: &ScoreComponentSpec,
    component_path: &str,
    input: InputName,
    check: &mut Checker<'_>,
) -> Option<Indicator> {
    let path = format!("{component_path}.indicators.{name}");
    let Some(scale) = &spec.scale else {
        let others = component.indicators.iter().filter_map(|(other, i)| Some((other.as_str(), i.as_ref()?)));
        let others = others.filter(|(_, other)| other.scale.is_some());
        let called = others.clone().find(|(_, other)| other.aliases.iter().flatten().any(|alias| alias == name));
        if let Some((called, _)) = called {
            let message = format!("`{name}` is a column name of the indicator `{called}`, and no indicator itself");
            check.fault(&path, message, Some(&format!("write `{called}:` here; the column is found all the same")));
            return None;
        }
        let hint = match nearest(name, others.map(|(other, _)| other)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a new indicator needs `weight` and `scale`".to_owned(),
        };
        check.fault(&path, format!("the indicator `{name}` has no scale"), Some(&hint));
        return None;
    };
    let weight_path = join(&path, "weight");
    let weight = check.required(&weight_path, spec.weight);
    if let Some(weight) = weight {
        check.finite(&weight_path, weight);
        if weight < 0.0 {
            let hint = "to turn a scale round, swap its ends";
            check.fault(
                &weight_path,
                format!("an indicator's weight must not be negative, found {weight}"),
                Some(hint),
            );
        }
    }
    let scale = build_scale(scale, &join(&path, "scale"), check);
    let aggregate = aggregate(spec.aggregate.unwrap_or(AggregateSpec::Avg));
    if let (Some(Scale::Map { .. }), Aggregate::Sum | Aggregate::Count | Aggregate::CountDistinct) = (&scale, aggregate)
    {
        let message = format!("a `map` scale cannot be aggregated with `{}`", aggregate.as_str());
        check.fault(&join(&path, "aggregate"), message, Some("rows are scored first: use avg, min, max or last"));
    }
    let missing = match spec.missing.map(|spec| missing(&join(&path, "missing"), Some(spec), check)) {
        Some(MissingComponent::Score(score)) => Some(score),
        Some(MissingComponent::Exclude) | None => None,
    };
    Some(Indicator {
        name: name.to_owned(),
        field: spec.field.clone().unwrap_or_else(|| name.to_owned()),
        aliases: spec.aliases.clone().unwrap_or_default(),
        input: spec.input.map_or(input, input_name),
        weight: weight?,
        scale: scale?,
        aggregate,
        missing,
    })
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The input of a name in YAML.
pub fn input_name(spec: InputNameSpec) -> InputName {
    match spec {
        InputNameSpec::Customer => InputName::Customer,
        InputNameSpec::Subscription => InputName::Subscription,
        InputNameSpec::Usage => InputName::Usage,
        InputNameSpec::Support => InputName::Support,
    }
}

fn aggregate(spec: AggregateSpec) -> Aggregate {
    match spec {
        AggregateSpec::Min => Aggregate::Min,
        AggregateSpec::Max => Aggregate::Max,
        AggregateSpec::Sum => Aggregate::Sum,
        AggregateSpec::Avg => Aggregate::Avg,
        AggregateSpec::Count => Aggregate::Count,
        AggregateSpec::CountDistinct => Aggregate::CountDistinct,
        AggregateSpec::Last => Aggregate::Last,
    }
}
