//! From spec to component: every rule that can be told without looking at the inputs, all problems at once.

use std::collections::BTreeMap;
use std::path::Path;

use super::card::{self, Checker};
use super::outputs::{self, ASSET_NAME};
use super::overlay::{self, Layers};
use super::parse::{Parsed, parse};
use super::position::join;
use super::problem::{Problem, suggest};
use super::spec::{ComponentSpec, FormatSpec, InputSpec, ScorecardSpec, WithoutRowsSpec};
use super::value::{PinnedStatistics, PopulationSpec, Text};
use super::{Asset, Component, Format, Input, InputOverride, Overrides, Population, Recipe, TimeFormat, Timestamp};
use crate::scorecard::{Aggregate, InputName, Scorecard, Statistic};

/// Days of change in score that count as stable where `trend_tolerance` is left out.
const TREND_TOLERANCE: f64 = 2.0;

/// Reads and checks a component and the scorecard files it names, noting every problem.
///
/// What could be read without those problems comes back too, so that it can be held against the inputs.
pub fn validate(
    recipe: &Recipe,
    read_file: &dyn Fn(&Path) -> std::io::Result<String>,
    problems: &mut Vec<Problem>,
) -> Option<Component> {
    let mut parsed: Parsed<ComponentSpec> = match parse(&recipe.file, &recipe.text, &recipe.variables) {
        Ok(parsed) => parsed,
        Err(error) => {
            problems.extend(error.problems);
            return None;
        }
    };
    problems.extend(parsed.problems.iter().cloned());
    let Overrides { history, analysis_period_days, .. } = &recipe.overrides;
    parsed.spec.history = history.clone().or(parsed.spec.history);
    parsed.spec.analysis_period_days = analysis_period_days.or(parsed.spec.analysis_period_days);
    let base = recipe.base_dir.as_path();
    let read_file = |path: &str| read_file(&base.join(path));
    let (card, layers) = match overlay::lay(&parsed, &read_file, &recipe.variables, problems) {
        Ok(laid) => laid,
        Err(error) => {
            problems.extend(error.problems);
            rest_without_scorecard(&parsed, recipe, problems);
            return None;
        }
    };
    check_weight_keys(&parsed, &card, problems);
    let built = card::build(&card, &mut Checker::new(&layers, problems));
    let inputs = inputs(&parsed, &recipe.overrides, &layers, problems);
    let tolerance = trend(&parsed, &layers, problems);
    let (scorecard, mut warnings) = built?;
    check_inputs(&parsed, (&card, &scorecard), &inputs, problems);
    let customers_from = customers_from(&parsed, &inputs, &layers, problems);
    let population = population(&parsed, &scorecard, problems);
    for component in &scorecard.components {
        if component.indicators.iter().all(|i| !inputs.contains_key(&i.input)) {
            warnings.push(format!(
                "component `{}` reads inputs that are not connected: it is missing for all customers",
                component.name
            ));
        }
    }
    let output = recipe.overrides.output.clone().or(parsed.spec.output.clone());
    let fan_out = outputs::fan_out(&parsed, output.as_deref(), &recipe.overrides, problems);
    let hashes = serde_json::to_vec(&card).and_then(|card| {
        let (scorecard, filters) = (blake3::hash(&card), filters(&recipe.overrides));
        let settings = serde_json::to_vec(&(scorecard.to_hex().as_str(), settings(&parsed.spec), filters))?;
        Ok((scorecard, blake3::hash(&settings)))
    });
    let (scorecard_hash, config_hash) = match hashes {
        Ok(hashes) => hashes,
        Err(error) => {
            problems.push(parsed.source.problem("scorecard", format!("the scorecard cannot be hashed: {error}"), None));
            return None;
        }
    };
    let spec = parsed.spec;
    let texts = |list: &[Text]| list.iter().map(|text| text.0.clone()).collect::<Vec<_>>();
    Some(Component {
        asset: Asset {
            name: spec.asset_name.clone().unwrap_or_else(|| ASSET_NAME.to_owned()),
            description: spec.description.clone(),
            group_name: spec.group_name.clone(),
            owners: texts(&spec.owners),
            tags: spec.asset_tags.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect(),
            kinds: texts(&spec.kinds),
            upstream: upstream(&spec),
        },
        scorecard_name: card.name.clone().unwrap_or_default(),
        scorecard_hash: scorecard_hash.to_hex().to_string(),
        config_hash: config_hash.to_hex().to_string(),
        scorecard,
        inputs,
        customers_from,
        output,
        fan_out,
        history: spec.history.filter(|_| spec.calculate_trend == Some(true)),
        population,
        include_factor_breakdown: spec.include_factor_breakdown.unwrap_or(true),
        include_drivers: spec.include_drivers.unwrap_or(false),
        trend_tolerance: (spec.calculate_trend == Some(true)).then_some(tolerance),
        warnings,
        base_dir: Path::new(base).to_owned(),
        source: parsed.source,
        layers,
    })
}

/// The settings that bear on the table, beside the scorecard's: how inputs are read, and which columns there are.
fn settings(spec: &ComponentSpec) -> ComponentSpec {
    let mut inputs = spec.inputs.clone();
    let entries = [&mut inputs.customer, &mut inputs.subscription, &mut inputs.usage, &mut inputs.support];
    for entry in entries.into_iter().flatten() {
        entry.0.path = None;
    }
    ComponentSpec {
        inputs,
        customers_from: spec.customers_from,
        population: spec.population.clone().filter(|population| matches!(population, PopulationSpec::Values(_))),
        include_factor_breakdown: spec.include_factor_breakdown,
        calculate_trend: spec.calculate_trend,
        trend_tolerance: spec.trend_tolerance,
        include_drivers: spec.include_drivers,
        ..ComponentSpec::default()
    }
}

fn filters(overrides: &Overrides) -> BTreeMap<&str, &str> {
    let inputs = overrides.inputs.iter();
    inputs.filter_map(|(name, input)| Some((name.as_str(), input.filter.as_deref()?))).collect()
}

/// What can be told of a component whose scorecard cannot be read: everything but what its components are about.
fn rest_without_scorecard(parsed: &Parsed<ComponentSpec>, recipe: &Recipe, problems: &mut Vec<Problem>) {
    let mut plain = parsed.clone();
    plain.spec.scorecard = None;
    let mut found = Vec::new();
    let no_files = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    if let Ok((card, layers)) = overlay::lay(&plain, &no_files, &recipe.variables, &mut found) {
        card::build(&card, &mut Checker::new(&layers, &mut found));
        found.retain(|problem| !problem.path.starts_with("components"));
        inputs(&plain, &recipe.overrides, &layers, &mut found);
        trend(&plain, &layers, &mut found);
    }
    problems.append(&mut found);
}

/// Checks the keys of the trend; gives the tolerance.
fn trend(parsed: &Parsed<ComponentSpec>, layers: &Layers, problems: &mut Vec<Problem>) -> f64 {
    let tolerance = parsed.spec.trend_tolerance.unwrap_or(TREND_TOLERANCE);
    if !tolerance.is_finite() || tolerance < 0.0 {
        let message = format!("expected a number from 0, found {tolerance}");
        problems.push(parsed.source.problem("trend_tolerance", message, None));
    }
    if parsed.spec.calculate_trend == Some(true) && parsed.spec.history.is_none() && !layers.poisoned("history") {
        let hint = "give `history:` the path of an earlier customer_health_scores file";
        let message = "`calculate_trend` needs `history`";
        problems.push(parsed.source.problem("calculate_trend", message, Some(hint.to_owned())));
    }
    tolerance
}

/// A weight given both ways must be the same, and there must be a component for it.
fn check_weight_keys(parsed: &Parsed<ComponentSpec>, card: &ScorecardSpec, problems: &mut Vec<Problem>) {
    for (name, weight) in overlay::weights(&parsed.spec) {
        let key = format!("{name}_weight");
        let Some(weight) = weight else { continue };
        let own = parsed.spec.components.get(name).and_then(|c| c.as_ref()).and_then(|c| c.weight);
        if let Some(own) = own.filter(|own| *own != weight) {
            let message = format!("`{key}` is {weight}, but `components.{name}.weight` is {own}");
            problems.push(parsed.source.problem(&key, message, Some("keep one of the two".to_owned())));
        }
        let known = card.components.get(name).and_then(|c| c.as_ref()).is_some_and(|c| !c.indicators.is_empty());
        if !known && !parsed.spec.components.contains_key(name) {
            let names = card.components.iter().filter(|(_, c)| c.as_ref().is_some_and(|c| !c.indicators.is_empty()));
            let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
            let hint = format!("its components are: {}", names.join(", "));
            let message = format!("`{key}`: the scorecard has no component `{name}`");
            problems.push(parsed.source.key_problem(&key, message, Some(hint)));
        }
    }
}

fn upstream(spec: &ComponentSpec) -> BTreeMap<InputName, String> {
    [
        (InputName::Customer, &spec.customer_data_asset_key),
        (InputName::Subscription, &spec.subscription_data_asset_key),
        (InputName::Usage, &spec.product_usage_asset_key),
        (InputName::Support, &spec.support_ticket_asset_key),
    ]
    .into_iter()
    .filter_map(|(name, key)| Some((name, key.clone()?)))
    .collect()
}

fn inputs(
    parsed: &Parsed<ComponentSpec>,
    overrides: &Overrides,
    layers: &Layers,
    problems: &mut Vec<Problem>,
) -> BTreeMap<InputName, Input> {
    let spec = &parsed.spec.inputs;
    let mut found = BTreeMap::new();
    for (name, entry) in [
        (InputName::Customer, &spec.customer),
        (InputName::Subscription, &spec.subscription),
        (InputName::Usage, &spec.usage),
        (InputName::Support, &spec.support),
    ] {
        let (own, given) = (entry.as_ref().map(|entry| &entry.0), overrides.inputs.get(&name));
        if own.is_none() && given.is_none() {
            continue;
        }
        let empty = InputSpec::default();
        if let Some(input) = input(name, own.unwrap_or(&empty), given, parsed, layers, problems) {
            found.insert(name, input);
        }
    }
    let named =
        spec.customer.is_some() || spec.subscription.is_some() || spec.usage.is_some() || spec.support.is_some();
    if found.is_empty() && !named && !layers.poisoned("inputs") {
        let hint = "give `inputs:` at least one of customer, subscription, usage and support, each with a `path`, or use \
                    `--input customer=FILE`";
        problems.push(parsed.source.problem("inputs", "no input is connected", Some(hint.to_owned())));
    }
    found
}

fn input(
    name: InputName,
    spec: &InputSpec,
    given: Option<&InputOverride>,
    parsed: &Parsed<ComponentSpec>,
    layers: &Layers,
    problems: &mut Vec<Problem>,
) -> Option<Input> {
    let at = format!("inputs.{name}");
    let given_path = given.and_then(|given| given.path.as_ref());
    let path = given_path.or(spec.path.as_ref()).filter(|path| !path.trim().is_empty());
    if path.is_none() && !layers.poisoned(&join(&at, "path")) {
        let hint = format!("give it `path: FILE`, or use `--input {name}=FILE`");
        problems.push(parsed.source.key_problem(&at, format!("the input `{name}` has no path"), Some(hint)));
    }
    let mut sql = |path: &str, text: &str| match super::expression::check(text) {
        Ok(expression) => Some(expression),
        Err(fault) => {
            problems.push(parsed.source.problem(path, fault.message, fault.hint));
            None
        }
    };
    let filter = spec.filter.as_ref().and_then(|text| sql(&join(&at, "where"), text));
    let given_filter = given.and_then(|given| given.filter.as_ref()).and_then(|text| sql(&join(&at, "where"), text));
    let fields = spec
        .fields
        .iter()
        .filter_map(|(field, text)| Some((field.clone(), sql(&format!("{at}.fields.{field}"), &text.0)?)))
        .collect();
    let path = path?.clone();
    // A format of the YAML's is of the YAML's path.
    let format = given.and_then(|given| given.format);
    let format = format.or_else(|| match spec.format {
        Some(FormatSpec::Parquet) => Some(Format::Parquet),
        Some(FormatSpec::Arrow) => Some(Format::Arrow),
        Some(FormatSpec::Csv) => Some(Format::Csv),
        Some(FormatSpec::Json) => Some(Format::Json),
        None => Format::told_by(&path),
    });
    let filters = [filter, given_filter].into_iter().flatten().collect();
    let timestamp = spec.timestamp.as_ref().map(|written| {
        let format = written.format.as_ref().map(|text| {
            TimeFormat::new(text).unwrap_or_else(|fault| {
                problems.push(parsed.source.problem(&join(&at, "timestamp.format"), fault.message, fault.hint));
                TimeFormat::unknown()
            })
        });
        Timestamp { column: written.column.clone(), format }
    });
    let without_rows_is_zero = spec.without_rows == Some(WithoutRowsSpec::Zero);
    Some(Input { path, format, key: spec.key.clone(), timestamp, without_rows_is_zero, filters, fields })
}

/// The input whose customers are scored has to be connected.
fn customers_from(
    parsed: &Parsed<ComponentSpec>,
    inputs: &BTreeMap<InputName, Input>,
    layers: &Layers,
    problems: &mut Vec<Problem>,
) -> Option<InputName> {
    let from = card::input_name(parsed.spec.customers_from?);
    if !inputs.contains_key(&from) && !layers.poisoned(&format!("inputs.{from}")) {
        let message = format!("the input `{from}` is not connected, so that nobody would be scored");
        let hint = format!("give `inputs:` a `{from}`, or leave out `customers_from`");
        problems.push(parsed.source.problem("customers_from", message, Some(hint)));
    }
    Some(from)
}

/// Rules that tie inputs and scorecard together.
fn check_inputs(
    parsed: &Parsed<ComponentSpec>,
    (laid, card): (&ScorecardSpec, &Scorecard),
    inputs: &BTreeMap<InputName, Input>,
    problems: &mut Vec<Problem>,
) {
    for (name, input) in inputs {
        let known: Vec<&str> =
            card.indicators().filter(|(_, i)| i.input == *name).map(|(_, i)| i.field.as_str()).collect();
        // An indicator that is wrong itself is told already.
        let indicators = || laid.components.values().flatten().flat_map(|component| &component.indicators);
        let reads = |field: &str| {
            indicators().any(|(name, i)| i.as_ref().is_some_and(|i| i.field.as_ref().unwrap_or(name) == field))
                && card.indicators().all(|(_, i)| i.field != field)
        };
        for field in input.fields.keys().filter(|field| !known.contains(&field.as_str()) && !reads(field)) {
            let path = format!("inputs.{name}.fields.{field}");
            let mut of_input = card.indicators().filter(|(_, i)| i.input == *name);
            let called = of_input.find(|(_, i)| i.aliases.contains(field)).map(|(_, i)| i.field.as_str());
            let (message, hint) = match called {
                Some(called) => (
                    format!("`{field}` is a column name of the field `{called}`, and no field itself"),
                    Some(format!("write `{called}:` here")),
                ),
                None => (
                    format!("no indicator reads a field `{field}` from the input `{name}`"),
                    suggest(field, known.iter().copied()),
                ),
            };
            problems.push(parsed.source.key_problem(&path, message, hint));
        }
        for (component, indicator) in card.indicators().filter(|(_, i)| i.input == *name) {
            let mapped = input.fields.contains_key(&indicator.field);
            if indicator.aggregate == Aggregate::Last && input.timestamp.is_none() && !mapped {
                let path = format!("inputs.{name}");
                let message = format!(
                    "the indicator `{}.{}` takes the last row of `{name}`, which has no `timestamp`",
                    component.name, indicator.name
                );
                let hint = "give the input `timestamp: COLUMN`, or the indicator another `aggregate`".to_owned();
                problems.push(parsed.source.key_problem(&path, message, Some(hint)));
            }
        }
    }
}

fn population(parsed: &Parsed<ComponentSpec>, card: &Scorecard, problems: &mut Vec<Problem>) -> Population {
    match &parsed.spec.population {
        None => Population::FromRun,
        Some(PopulationSpec::Path(path)) => Population::FromOutput(path.clone()),
        Some(PopulationSpec::Values(values)) => {
            check_pinned(values, card, &mut |path, message, hint| {
                problems.push(parsed.source.key_problem(&join("population", path), message, hint));
            });
            Population::Pinned(values.clone())
        }
    }
}

/// Checks that pinned statistics name components, indicators and statistics that exist.
pub fn check_pinned(values: &PinnedStatistics, card: &Scorecard, fault: &mut dyn FnMut(&str, String, Option<String>)) {
    for (component, indicators) in values {
        let Some(known) = card.components.iter().find(|c| c.name == *component) else {
            let names = card.components.iter().map(|c| c.name.as_str());
            fault(component, format!("the scorecard has no component `{component}`"), suggest(component, names));
            continue;
        };
        for (indicator, statistics) in indicators {
            let path = join(component, indicator);
            let names = known.indicators.iter().map(|i| i.name.as_str());
            if !names.clone().any(|name| name == indicator) {
                let message = format!("the component `{component}` has no indicator `{indicator}`");
                fault(&path, message, suggest(indicator, names));
                continue;
            }
            for (statistic, value) in statistics {
                let path = join(&path, statistic);
                if Statistic::parse(statistic).is_none() {
                    let hint = "known statistics: min, max and percentiles such as p95".to_owned();
                    fault(&path, format!("unknown statistic `{statistic}`"), Some(hint));
                } else if !value.is_finite() {
                    fault(&path, format!("expected a finite number, found {value}"), None);
                }
            }
        }
    }
}
