//! Laying one scorecard over another, field by field, while remembering which file each value came from.

use std::io;

use indexmap::IndexMap;

use super::parse::{Parsed, Source, parse};
use super::problem::{ComponentError, Problem, suggest};
use super::spec::{ComponentSpec, IndicatorSpec, ScoreComponentSpec, ScorecardSpec};
use super::template::Variables;
use crate::scorecard::presets;

/// Scorecards may extend one another this deep.
const DEEPEST: usize = 8;

/// The files that a scorecard was laid together from, the component's own last.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    files: Vec<(Source, std::collections::BTreeSet<String>)>,
}

impl Layers {
    /// Adds a file on top.
    pub fn push<T>(&mut self, parsed: &Parsed<T>) {
        self.files.push((parsed.source.clone(), parsed.poisoned.clone()));
    }

    /// A problem with a value, in the topmost file that has it.
    pub fn problem(&self, path: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        let holder = self.files.iter().rev().map(|(source, _)| source).find(|source| source.place(path).is_some());
        match holder.or_else(|| self.files.last().map(|(source, _)| source)) {
            Some(source) => source.problem(path, message, hint),
            None => Source::default().problem(path, message, hint),
        }
    }

    /// Whether the topmost file, the component's own, has a value at the path.
    pub fn written(&self, path: &str) -> bool {
        self.files.last().is_some_and(|(source, _)| source.place(path).is_some())
    }

    /// Whether a value stands in the file that another value stands in, or in one that is laid over it.
    pub fn beside_or_over(&self, path: &str, other: &str) -> bool {
        let topmost = |path: &str| self.files.iter().rposition(|(source, _)| source.place(path).is_some());
        topmost(path) >= topmost(other)
    }

    /// Whether a value at, above or below the path could not be read, so that its absence means nothing.
    pub fn poisoned(&self, path: &str) -> bool {
        let inside = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
        self.files.iter().any(|(_, poisoned)| poisoned.iter().any(|p| inside(path, p) || inside(p, path)))
    }
}

/// Reads the text of a scorecard file that a component names.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> io::Result<String>;

/// The scorecard that a component names, with everything it extends laid under it and the component over it.
///
/// # Errors
/// Where a scorecard file cannot be read; slips inside it go to `problems`.
pub fn lay(
    component: &Parsed<ComponentSpec>,
    read_file: ReadFile<'_>,
    variables: &Variables,
    problems: &mut Vec<Problem>,
) -> Result<(ScorecardSpec, Layers), ComponentError> {
    let name = component.spec.scorecard.clone().unwrap_or_else(|| presets::DEFAULT.to_owned());
    let mut chain =
        vec![open(&name, read_file, variables, &|message, hint| component.source.problem("scorecard", message, hint))?];
    while let Some(below) = chain[chain.len() - 1].spec.extends.clone() {
        let above = chain[chain.len() - 1].source.clone();
        if chain.len() == DEEPEST {
            let message = format!("scorecards extend one another more than {DEEPEST} deep");
            return Err(ComponentError::new(vec![above.problem("extends", message, None)]));
        }
        chain.push(open(&below, read_file, variables, &|message, hint| above.problem("extends", message, hint))?);
    }
    let (mut card, mut layers) = (ScorecardSpec::default(), Layers::default());
    for parsed in chain.iter_mut().rev() {
        layers.push(parsed);
        problems.append(&mut parsed.problems);
        merge(&mut card, parsed.spec.clone());
    }
    layers.push(component);
    card.name = Some(name);
    merge(&mut card, overlay_of(&component.spec));
    Ok((card, layers))
}

fn open(
    name: &str,
    read_file: ReadFile<'_>,
    variables: &Variables,
    problem: &dyn Fn(String, Option<String>) -> Problem,
) -> Result<Parsed<ScorecardSpec>, ComponentError> {
    if let Some(preset) = presets::find(name) {
        return parse(&format!("{name}.yaml (built in)"), preset.text, variables);
    }
    let names = presets::ALL.map(|preset| preset.name);
    if !name.contains(['/', '.']) {
        let message = format!("there is no built-in scorecard `{name}`");
        return Err(ComponentError::new(vec![problem(message, suggest(name, names))]));
    }
    let text = read_file(name).map_err(|error| {
        let hint = format!("built-in scorecards: {}", names.join(", "));
        ComponentError::new(vec![problem(format!("cannot read the scorecard file `{name}`: {error}"), Some(hint))])
    })?;
    parse(name, &text, variables)
}

/// The part of a component.yaml that changes the scorecard.
fn overlay_of(spec: &ComponentSpec) -> ScorecardSpec {
    let mut components = spec.components.clone();
    for (name, weight) in weights(spec) {
        let Some(weight) = weight else { continue };
        if let Some(component) = components.entry(name.to_owned()).or_insert_with(|| Some(Default::default())) {
            component.weight.get_or_insert(weight);
        }
    }
    ScorecardSpec {
        name: None,
        description: None,
        extends: None,
        components,
        analysis_period_days: spec.analysis_period_days,
        min_health_score: spec.min_health_score,
        max_health_score: spec.max_health_score,
        churn_risk_threshold: spec.churn_risk_threshold,
        expansion_opportunity_threshold: spec.expansion_opportunity_threshold,
        risk_categories: spec.risk_categories.clone(),
        missing_component: spec.missing_component,
        combine: spec.combine,
    }
}

/// The weights that have a key of their own, with the component each is for.
pub fn weights(spec: &ComponentSpec) -> [(&'static str, Option<f64>); 4] {
    [
        ("engagement", spec.engagement_weight),
        ("product_usage", spec.product_usage_weight),
        ("payment_health", spec.payment_health_weight),
        ("support_health", spec.support_health_weight),
    ]
}

fn merge(base: &mut ScorecardSpec, over: ScorecardSpec) {
    replace(&mut base.analysis_period_days, over.analysis_period_days);
    replace(&mut base.min_health_score, over.min_health_score);
    replace(&mut base.max_health_score, over.max_health_score);
    replace(&mut base.churn_risk_threshold, over.churn_risk_threshold);
    replace(&mut base.expansion_opportunity_threshold, over.expansion_opportunity_threshold);
    replace(&mut base.risk_categories, over.risk_categories);
    replace(&mut base.missing_component, over.missing_component);
    replace(&mut base.combine, over.combine);
    merge_named(&mut base.components, over.components, |component: &mut ScoreComponentSpec, changes| {
        replace(&mut component.input, changes.input);
        replace(&mut component.weight, changes.weight);
        replace(&mut component.caps, changes.caps);
        replace(&mut component.missing, changes.missing);
        merge_named(&mut component.indicators, changes.indicators, |indicator: &mut IndicatorSpec, changes| {
            replace(&mut indicator.field, changes.field);
            replace(&mut indicator.aliases, changes.aliases);
            replace(&mut indicator.input, changes.input);
            replace(&mut indicator.weight, changes.weight);
            replace(&mut indicator.scale, changes.scale);
            replace(&mut indicator.aggregate, changes.aggregate);
            replace(&mut indicator.missing, changes.missing);
        });
    });
}

fn replace<T>(base: &mut Option<T>, over: Option<T>) {
    if over.is_some() {
        *base = over;
    }
}

/// Lays named entries over others: null removes, the rest changes or adds.
fn merge_named<T: Default>(
    base: &mut IndexMap<String, Option<T>>,
    over: IndexMap<String, Option<T>>,
    change: impl Fn(&mut T, T),
) {
    for (name, changes) in over {
        match changes {
            None => drop(base.shift_remove(&name)),
            Some(changes) => change(base.entry(name).or_default().get_or_insert_default(), changes),
        }
    }
}
