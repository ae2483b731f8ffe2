//! Makes the run report from what was prepared and folded, with warnings and hints.

use super::RunRequest;
use super::fold::{Fold, without_events};
use super::population;
use super::prepare::Prepared;
use super::profile::Profile;
use super::report::{ComponentReport, FieldOrigin, FieldReport, InputReport, RunReport, ScoreSummary, StatisticReport};
use super::table::OutputReport;
use crate::accel::gather::JoinReport;
use crate::component::Component;
use crate::plan::bind::{BoundField, BoundInput, Origin};
use crate::plan::names;
use crate::plan::profile::Count;
use crate::scorecard::{InputName, MissingComponent, Scorecard, Statistic};

/// Scores this near to the neutral 50 say little.
const NEAR_NEUTRAL: f64 = 5.0;

/// A share of customers that needs no word said, as its inverse.
const FEW: u64 = 10;

/// A fourth, as its inverse.
const FOURTH: u64 = 4;

/// The report of a run.
pub fn of(
    component: &Component,
    request: &RunRequest,
    prepared: &Prepared,
    fold: &Fold,
    output: OutputReport,
) -> RunReport {
    let inputs = inputs(prepared, fold);
    let mut warnings = prepared.opening.warnings.clone();
    warnings.extend(inputs.iter().flat_map(unparsable));
    warnings.extend(inputs.iter().flat_map(unmapped));
    warnings.extend(
        prepared.profiles.iter().filter_map(|(name, profile)| unreadable_timestamps(component, *name, profile)),
    );
    warnings.extend(flags(component.scorecard(), fold));
    warnings.extend(strangers(prepared, fold));
    warnings.extend(without_rows(component, fold));
    RunReport {
        run_id: request.run_id.clone(),
        asset_name: component.asset().name.clone(),
        component_version: env!("CARGO_PKG_VERSION").to_owned(),
        scorecard_name: component.scorecard_name().to_owned(),
        scorecard_hash: component.scorecard_hash().to_owned(),
        as_of: prepared.as_of,
        calculated_at: prepared.calculated_at,
        partition_key: request.partition_key.clone(),
        tags: request.tags.clone(),
        data_version: String::new(),
        config_hash: component.config_hash().to_owned(),
        output,
        fan_out: Vec::new(),
        checks: Vec::new(),
        preview: None,
        customers: fold.customers,
        scores: fold.scores(),
        categories: fold.categories.clone(),
        churn_risks: fold.churn_risks,
        expansion_opportunities: fold.expansion_opportunities,
        cutoffs: prepared.cutoffs,
        flags_beside_categories: fold.disagreeing,
        hints: hints(fold, &inputs),
        inputs,
        components: components(component, fold),
        join: JoinReport::default(),
        population: statistics(prepared),
        warnings,
        stages: Vec::new(),
    }
}

fn inputs(prepared: &Prepared, fold: &Fold) -> Vec<InputReport> {
    let inputs = prepared.opening.bound.inputs.iter().zip(&fold.by_input);
    inputs
        .map(|((name, input), tally)| {
            let (files, bytes) = prepared.opening.files.get(name).copied().unwrap_or_default();
            let profile = prepared.profiles.get(name);
            let kept = profile.map_or(tally.customers, Profile::kept);
            InputReport {
                name: *name,
                path: input.table.path.clone(),
                files,
                bytes,
                rows_read: profile.map_or(kept, Profile::rows),
                rows_kept: kept,
                dropped: profile.map(|profile| profile.dropped()).unwrap_or_default(),
                customers: tally.customers,
                duplicates_merged: kept.saturating_sub(tally.customers),
                unmatched: tally.alone,
                key: input.key_column.clone(),
                fields: fields(input, profile),
            }
        })
        .collect()
}

/// Where an input's indicators get their values.
pub fn fields(input: &BoundInput, profile: Option<&Profile>) -> Vec<FieldReport> {
    let count = |wanted| profile.and_then(|profile| profile.count(wanted));
    let field = |(at, field): (usize, &BoundField)| FieldReport {
        component: field.component.name.clone(),
        indicator: field.indicator.name.clone(),
        field: field.indicator.field.clone(),
        origin: match &field.origin {
            Origin::Column(name) if *name == field.indicator.field => FieldOrigin::Column,
            Origin::Column(name) => FieldOrigin::Alias(name.clone()),
            Origin::Expression(sql) => FieldOrigin::Expression(sql.clone()),
            Origin::Absent => FieldOrigin::Absent,
        },
        unparsable: count(Count::Unparsable(at)).unwrap_or(0),
        unmapped: count(Count::Unmapped(at)).unwrap_or(0),
        unmapped_texts: profile.map(|profile| profile.unmapped(at).to_vec()).unwrap_or_default(),
        no_data: field.reading.is_none() || count(Count::Values(at)) == Some(0),
    };
    input.fields.iter().enumerate().map(field).collect()
}

fn unparsable(input: &InputReport) -> Vec<String> {
    let bad = input.fields.iter().filter(|field| field.unparsable > 0);
    bad.map(|field| {
        let name = &field.field;
        match field.unparsable {
            1 => {
                format!("input `{}`: 1 value of `{name}` cannot be read as a number and counts as missing", input.name)
            }
            more => format!(
                "input `{}`: {more} values of `{name}` cannot be read as numbers and count as missing",
                input.name
            ),
        }
    })
    .collect()
}

/// Texts that should be times, apart from those that are not there.
fn unreadable_timestamps(component: &Component, name: InputName, profile: &Profile) -> Option<String> {
    let rows = profile.count(Count::UnreadableTimestamp).filter(|rows| *rows > 0)?;
    let timestamp = component.inputs().get(&name)?.timestamp.as_ref()?;
    let (values, do_not) = if rows == 1 { ("value", "does not") } else { ("values", "do not") };
    let hint = match timestamp.format {
        Some(_) => "its `format` does not fit them".to_owned(),
        None => format!("tell how it is written: `timestamp: {{column: {}, format: '%m/%d/%Y'}}`", timestamp.column),
    };
    Some(format!(
        "input `{name}`: {rows} {values} of the timestamp `{}` cannot be read as a time, and {do_not} count: {}; {hint}",
        timestamp.column,
        shown(profile.unreadable_timestamps())
    ))
}

/// Texts with the number of their rows.
fn shown(texts: &[(String, u64)]) -> String {
    texts.iter().map(|(text, rows)| format!("\"{text}\" ({rows})")).collect::<Vec<_>>().join(", ")
}

fn unmapped(input: &InputReport) -> Vec<String> {
    let unknown = input.fields.iter().filter(|field| field.unmapped > 0);
    unknown
        .map(|field| {
            let told: u64 = field.unmapped_texts.iter().map(|(_, rows)| rows).sum();
            let values = if field.unmapped == 1 { "1 value".to_owned() } else { format!("{} values", field.unmapped) };
            let more = if told < field.unmapped { " and others" } else { "" };
            format!(
                "input `{}`: the map of `{}` does not know {values} of `{}`: {}{more}",
                input.name,
                field.indicator,
                field.field,
                shown(&field.unmapped_texts)
            )
        })
        .collect()
}

/// Customers whom the customer input does not know, where they are more than some.
fn strangers(prepared: &Prepared, fold: &Fold) -> Option<String> {
    let bound = &prepared.opening.bound;
    let at = bound.inputs.keys().position(|name| *name == InputName::Customer)?;
    let unknown = fold.customers.saturating_sub(fold.by_input.get(at)?.customers);
    if bound.customers_from.is_some() || unknown.saturating_mul(FEW) <= fold.customers {
        return None;
    }
    Some(format!(
        "{unknown} of {} customers are not in the input `customer`: see whether the keys of the other inputs are the same ids; \
         `customers_from: customer` scores only the customers of that input",
        fold.customers
    ))
}

/// Events whose absence counts as better than few of them.
fn without_rows(component: &Component, fold: &Fold) -> Vec<String> {
    let mut warnings = Vec::new();
    for (part, tally) in component.scorecard().components.iter().zip(&fold.by_component) {
        let (Some(name), Some(counts_as)) = (part.single_input(), without_events(component, part)) else { continue };
        let missing = fold.customers.saturating_sub(tally.with_data);
        let many = tally.below_missing > 0 && tally.below_missing.saturating_mul(FOURTH) >= tally.with_data;
        if missing > 0 && many {
            warnings.push(format!(
                "{missing} customers have no data of the input `{name}` in the period and count as {counts_as} for `{}`, which \
                 is more than {} of the {} customers have that do: if the input has every event, give it `without_rows: zero`",
                part.name, tally.below_missing, tally.with_data
            ));
        }
    }
    warnings
}

/// Flags that are set for others than the scorecard's author may think.
fn flags(card: &Scorecard, fold: &Fold) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(customers) = fold.disagreeing.filter(|customers| *customers > 0) {
        warnings.push(format!(
            "{customers} of {} customers are flagged by a threshold though not in the first or last category, or are in it and \
             not flagged: leave out the thresholds and the categories decide",
            fold.customers
        ));
    }
    for (name, flag, flagged) in [
        (names::IS_CHURN_RISK, card.churn_risk, fold.churn_risks),
        (names::IS_EXPANSION_OPPORTUNITY, card.expansion_opportunity, fold.expansion_opportunities),
    ] {
        let Some(wanted) = flag.capacity().and_then(|capacity| capacity.customers(fold.customers)) else { continue };
        if flagged < wanted.min(fold.customers) {
            warnings.push(format!(
                "{name} is set for {flagged} customers and not for {wanted}: the next ones all have the same score, or are \
                 flagged the other way"
            ));
        }
    }
    warnings
}

fn components(component: &Component, fold: &Fold) -> Vec<ComponentReport> {
    let card = component.scorecard();
    let report = |(part, tally): (&crate::scorecard::ScoreComponent, &super::fold::ComponentTally)| ComponentReport {
        name: part.name.clone(),
        weight: part.weight,
        share: card.share(part),
        with_data: tally.with_data,
        missing: fold.customers.saturating_sub(tally.with_data),
        #[allow(clippy::cast_precision_loss, reason = "customers are far fewer than 2^53")]
        mean: (tally.with_data > 0).then(|| tally.sum / tally.with_data as f64),
    };
    card.components.iter().zip(&fold.by_component).map(report).collect()
}

fn statistics(prepared: &Prepared) -> Vec<StatisticReport> {
    let inputs = prepared.opening.bound.inputs.values();
    let pinned = |component: &str, indicator: &str, statistic: Statistic| {
        let mut fields = inputs.clone().flat_map(|input| &input.fields);
        let field = fields.find(|f| f.component.name == component && f.indicator.name == indicator);
        field.is_some_and(|field| population::look_up(&prepared.pinned, field, statistic).is_some())
    };
    let report = |(component, indicator, statistic, value): (&str, &str, Statistic, Option<f64>)| StatisticReport {
        component: component.to_owned(),
        indicator: indicator.to_owned(),
        statistic: statistic.to_string(),
        value,
        pinned: pinned(component, indicator, statistic),
    };
    prepared.statistics.iter().map(report).collect()
}

fn hints(fold: &Fold, inputs: &[InputReport]) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(ScoreSummary { min, max, .. }) = fold.scores() {
        let neutral = MissingComponent::NEUTRAL;
        if fold.customers > 1 && min >= neutral - NEAR_NEUTRAL && max <= neutral + NEAR_NEUTRAL {
            hints.push(
                "all scores are near 50: most components count as missing; see which fields were not found".to_owned(),
            );
        }
    } else {
        hints.push("the table is empty: no input has a row that counts".to_owned());
    }
    if fold.churn_risks * 2 > fold.customers {
        hints.push(format!(
            "{} of {} customers are at churn risk: check `churn_risk_threshold`, `analysis_period_days` and `--as-of`",
            fold.churn_risks, fold.customers
        ));
    }
    let with_customers = inputs.iter().filter(|input| input.customers > 0).count();
    for input in inputs {
        if input.rows_read > 0 && input.rows_kept == 0 {
            hints.push(format!("input `{}`: none of its {} rows count", input.name, input.rows_read));
        } else if with_customers > 1 && input.customers > 0 && input.unmatched == input.customers {
            hints.push(format!(
                "input `{}`: none of its keys (`{}`) is in another input: is it the same kind of id?",
                input.name, input.key
            ));
        }
    }
    hints
}
