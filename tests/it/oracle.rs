//! The oracle: scores one customer after the other, one row after the other, slow and obvious, for comparison.

use std::collections::{BTreeMap, BTreeSet};

use customer_health::component::{Component, Input, Population};
use customer_health::scorecard::{
    Aggregate, Cap, Combine, Direction, Flag, Indicator, InputName, MissingComponent, RangeEnd, RiskCategories, Scale,
    ScoreComponent, Statistic,
};

use crate::support::{Cell, Grid};

pub type Tables = BTreeMap<InputName, Grid>;
type PerCustomer = BTreeMap<String, f64>;

const DAY: i64 = 86_400_000_000;

/// A customer's line of the output.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub id: String,
    pub health: f64,
    pub unclipped: f64,
    /// Points of it that come from components without data.
    pub neutral: f64,
    /// Score of each component; `None` where it is missing.
    pub components: Vec<Option<f64>>,
    pub category: String,
    pub churn: bool,
    pub expansion: bool,
    pub weakest: Option<String>,
    pub coverage: f64,
    pub drivers: Vec<Driver>,
    pub previous: Option<f64>,
    pub trend: Option<&'static str>,
}

/// An indicator's part in a customer's score.
#[derive(Debug, Clone)]
pub struct Driver {
    pub component: String,
    pub indicator: String,
    pub score: Option<f64>,
    pub weight: f64,
    pub contribution: f64,
}

/// Scores all customers, in the order of their ids.
pub fn score(component: &Component, tables: &Tables, as_of: i64, history: &PerCustomer) -> Vec<Outcome> {
    let card = component.scorecard();
    let window = (as_of - i64::from(card.analysis_period_days) * DAY, as_of);
    let grouped: BTreeMap<InputName, BTreeMap<String, Vec<usize>>> =
        component.inputs().iter().map(|(name, input)| (*name, group(input, &tables[name], window))).collect();
    let customers: BTreeSet<String> = grouped.values().flat_map(|groups| groups.keys().cloned()).collect();
    let mut values: BTreeMap<(String, String), PerCustomer> = BTreeMap::new();
    let mut scores = values.clone();
    for (part, indicator) in card.indicators() {
        let found = match grouped.get(&indicator.input) {
            Some(groups) => field(indicator, &component.inputs()[&indicator.input], &tables[&indicator.input], groups),
            None => PerCustomer::new(),
        };
        let at = (part.name.clone(), indicator.name.clone());
        scores.insert(at.clone(), scale(component, part, indicator, &found));
        values.insert(at, found);
    }
    customers.into_iter().map(|id| outcome(component, id, &values, &scores, history)).collect()
}

/// Rows that count, by customer.
fn group(input: &Input, grid: &Grid, window: (i64, i64)) -> BTreeMap<String, Vec<usize>> {
    let names = ["customer_id", "id", "user_id", "account_id"];
    let key = match &input.key {
        Some(name) => grid.column(name),
        None => names.iter().find_map(|name| grid.column(name)),
    };
    let time = input.timestamp.as_ref().map(|time| grid.column(&time.column).unwrap());
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, row) in grid.rows.iter().enumerate() {
        let id = match &row[key.unwrap()] {
            Cell::Text(text) if !text.trim().is_empty() => text.trim().to_owned(),
            Cell::Text(_) | Cell::Null => continue,
            other => panic!("not a key: {other:?}"),
        };
        let inside = time.is_none_or(|t| matches!(row[t], Cell::Time(t) if t > window.0 && t <= window.1));
        if inside {
            groups.entry(id).or_default().push(at);
        }
    }
    groups
}

/// One value per customer: of a map, the aggregated scores of the rows.
fn field(indicator: &Indicator, input: &Input, grid: &Grid, groups: &BTreeMap<String, Vec<usize>>) -> PerCustomer {
    let names = std::iter::once(&indicator.field).chain(&indicator.aliases);
    let Some(column) = names.filter_map(|name| grid.column(name)).next() else { return PerCustomer::new() };
    let time = input.timestamp.as_ref().map(|time| grid.column(&time.column).unwrap());
    let mut found = PerCustomer::new();
    for (id, rows) in groups {
        let cells = || rows.iter().map(|row| (&grid.rows[*row][column], time.map(|t| &grid.rows[*row][t])));
        let value = match indicator.aggregate {
            Aggregate::Count => Some(cells().filter(|(cell, _)| present(cell)).count() as f64),
            Aggregate::CountDistinct => {
                let different: BTreeSet<String> =
                    cells().filter(|(cell, _)| present(cell)).map(|(cell, _)| format!("{cell:?}")).collect();
                Some(different.len() as f64)
            }
            other => {
                let timed: Vec<(f64, i64)> =
                    cells().filter_map(|(cell, time)| Some((read(&indicator.scale, cell)?, micros(time)))).collect();
                aggregate(other, &timed)
            }
        };
        if let Some(value) = value {
            found.insert(id.clone(), value);
        }
    }
    found
}

fn present(cell: &Cell) -> bool {
    !matches!(cell, Cell::Null) && !matches!(cell, Cell::Number(number) if !number.is_finite())
}

fn micros(cell: Option<&Cell>) -> i64 {
    if let Some(Cell::Time(time)) = cell { *time } else { i64::MIN }
}

/// A row's value: a number, or for a map the score of the row's text.
fn read(scale: &Scale, cell: &Cell) -> Option<f64> {
    if let Scale::Map { scores, default } = scale {
        let text = match cell {
            Cell::Text(text) => text.trim().to_lowercase(),
            Cell::Flag(flag) => flag.to_string(),
            Cell::Null => return None,
            other => panic!("not a text: {other:?}"),
        };
        if text.is_empty() {
            return None;
        }
        return scores.iter().find(|(known, _)| *known == text).map(|(_, score)| *score).or(*default);
    }
    let number = match cell {
        Cell::Number(number) => *number,
        Cell::Flag(flag) => f64::from(u8::from(*flag)),
        Cell::Text(text) => text.parse().ok()?,
        Cell::Null | Cell::Time(_) => return None,
    };
    number.is_finite().then_some(number)
}

fn aggregate(how: Aggregate, values: &[(f64, i64)]) -> Option<f64> {
    let numbers = || values.iter().map(|(number, _)| *number);
    if values.is_empty() {
        return None;
    }
    Some(match how {
        Aggregate::Min => numbers().fold(f64::INFINITY, f64::min),
        Aggregate::Max => numbers().fold(f64::NEG_INFINITY, f64::max),
        Aggregate::Sum => numbers().sum(),
        Aggregate::Avg => numbers().sum::<f64>() / values.len() as f64,
        Aggregate::Last => {
            let latest = values.iter().map(|(_, time)| *time).max()?;
            values.iter().filter(|(_, time)| *time == latest).map(|(n, _)| *n).fold(f64::NEG_INFINITY, f64::max)
        }
        Aggregate::Count | Aggregate::CountDistinct => unreachable!("counted from cells"),
    })
}

/// A value of the population.
pub fn statistic(statistic: Statistic, values: &PerCustomer) -> Option<f64> {
    let mut sorted: Vec<f64> = values.values().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    Some(match statistic {
        Statistic::Min => first,
        Statistic::Max => last,
        Statistic::Percentile(percent) => {
            let rank = f64::from(percent) / 100.0 * (sorted.len() - 1) as f64;
            let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            low + (high - low) * rank.fract()
        }
    })
}

fn scale(component: &Component, part: &ScoreComponent, indicator: &Indicator, values: &PerCustomer) -> PerCustomer {
    let end = |end: RangeEnd| match end {
        RangeEnd::Number(number) => Some(number),
        RangeEnd::Period => Some(f64::from(component.scorecard().analysis_period_days)),
        RangeEnd::Population(name) => {
            let pinned = match component.population() {
                Population::Pinned(map) => map
                    .get(&part.name)
                    .and_then(|indicators| indicators.get(&indicator.name))
                    .and_then(|statistics| statistics.get(&name.to_string()))
                    .copied(),
                Population::FromRun | Population::FromOutput(_) => None,
            };
            pinned.or_else(|| statistic(name, values))
        }
    };
    let one = |value: f64| -> Option<f64> {
        match &indicator.scale {
            Scale::Range { worst, best } => {
                let (worst, best) = (end(*worst)?, end(*best)?);
                let even = worst == best;
                Some(if even { 50.0 } else { ((value - worst) / (best - worst) * 100.0).clamp(0.0, 100.0) })
            }
            Scale::Bands(bands) => bands.iter().find(|b| b.below.is_none_or(|below| value < below)).map(|b| b.score),
            Scale::Map { .. } => Some(value),
            Scale::Percentile(_) if values.len() == 1 => Some(50.0),
            Scale::Percentile(direction) => {
                let worse = values.values().filter(|other| match direction {
                    Direction::HigherIsBetter => **other < value,
                    Direction::LowerIsBetter => **other > value,
                });
                Some(100.0 * worse.count() as f64 / (values.len() - 1) as f64)
            }
        }
    };
    values.iter().filter_map(|(id, value)| Some((id.clone(), one(*value)?))).collect()
}

/// Whether `field op number` holds; any other condition is beyond the oracle.
fn holds(cap: &Cap, part: &ScoreComponent, id: &str, values: &BTreeMap<(String, String), PerCustomer>) -> bool {
    let words: Vec<&str> = cap.when.0.split_whitespace().collect();
    let [field, operator, number] = words[..] else { panic!("not `field op number`: {}", cap.when.0) };
    let indicator = part.indicators.iter().find(|i| i.field == field).expect("the cap's field is an indicator's");
    let Some(value) = values[&(part.name.clone(), indicator.name.clone())].get(id) else { return false };
    let number: f64 = number.parse().unwrap();
    match operator {
        ">=" => *value >= number,
        ">" => *value > number,
        "<" => *value < number,
        other => panic!("unknown operator {other}"),
    }
}

fn outcome(
    component: &Component,
    id: String,
    values: &BTreeMap<(String, String), PerCustomer>,
    scores: &BTreeMap<(String, String), PerCustomer>,
    history: &PerCustomer,
) -> Outcome {
    let card = component.scorecard();
    let of = |part: &ScoreComponent, i: &Indicator| scores[&(part.name.clone(), i.name.clone())].get(&id).copied();
    let mut components = Vec::new();
    let mut uncapped = Vec::new();
    for part in &card.components {
        let (mut sum, mut weights, mut own) = (0.0, 0.0, false);
        for indicator in &part.indicators {
            own |= of(part, indicator).is_some();
            if let Some(score) = of(part, indicator).or(indicator.missing) {
                sum += indicator.weight * score;
                weights += indicator.weight;
            }
        }
        // A rounding error beyond 100 is none of the score.
        let mean = own.then(|| (sum / weights).min(100.0));
        let caps = part.caps.iter().filter(|cap| holds(cap, part, &id, values));
        uncapped.push(mean.map(|mean| (mean, weights)));
        components.push(mean.map(|mean| caps.fold(mean, |score, cap| score.min(cap.at_most))));
    }
    // What each component counts as, and with what weight.
    let counted: Vec<(f64, f64)> = card
        .components
        .iter()
        .zip(&components)
        .filter_map(|(part, score)| match (*score, part.missing) {
            (Some(score), _) | (None, MissingComponent::Score(score)) => Some((part.weight, score)),
            (None, MissingComponent::Exclude) => None,
        })
        .collect();
    let total: f64 = counted.iter().map(|(weight, _)| weight).sum();
    let sum: f64 = counted.iter().map(|(weight, score)| weight * score).sum();
    let divisor = if card.combine == Combine::WeightedSum { 1.0 } else { total };
    let unclipped = if counted.is_empty() || divisor == 0.0 { 50.0 } else { sum / divisor };
    let health = unclipped.max(card.min_health_score).min(card.max_health_score);
    let (mut churn, mut expansion) = (
        card.churn_risk.score().is_some_and(|score| health < score),
        card.expansion_opportunity.score().is_some_and(|score| health > score),
    );
    let category = match &card.risk_categories {
        RiskCategories::FromThresholds if churn => "high_risk".to_owned(),
        RiskCategories::FromThresholds if expansion => "healthy".to_owned(),
        RiskCategories::FromThresholds => "moderate".to_owned(),
        RiskCategories::Named(list) => {
            list.iter().find(|c| c.below.is_none_or(|below| health < below)).unwrap().name.clone()
        }
    };
    let names = card.risk_categories.names();
    if matches!(card.churn_risk, Flag::Category) {
        churn = category == names[0];
    }
    if matches!(card.expansion_opportunity, Flag::Category) {
        expansion = category == names[names.len() - 1];
    }
    let mut drivers = Vec::new();
    for ((part, capped), plain) in card.components.iter().zip(&components).zip(&uncapped) {
        for indicator in &part.indicators {
            let mut driver = Driver {
                component: part.name.clone(),
                indicator: indicator.name.clone(),
                score: of(part, indicator).or(capped.and(indicator.missing)),
                weight: 0.0,
                contribution: 0.0,
            };
            if let (Some(score), Some(capped), Some((mean, weights))) = (driver.score, capped, plain) {
                driver.weight = part.weight / divisor * indicator.weight / weights;
                let lowered = if *mean > 0.0 { capped / mean } else { 1.0 };
                driver.contribution = driver.weight * score * lowered;
            }
            drivers.push(driver);
        }
    }
    let present = || card.components.iter().zip(&components).filter_map(|(part, score)| Some((part, (*score)?)));
    let costs =
        present().filter(|(part, _)| part.weight > 0.0).map(|(part, score)| (part, part.weight * (100.0 - score)));
    let weakest = costs.fold(None, |worst: Option<(&ScoreComponent, f64)>, (part, cost)| match worst {
        Some((_, dearest)) if dearest >= cost => worst,
        _ => Some((part, cost)),
    });
    let neutral = unclipped - drivers.iter().map(|driver| driver.contribution).sum::<f64>();
    let backed: f64 = present().map(|(part, _)| part.weight.abs()).sum();
    let previous = history.get(&id).copied();
    let trend = component.trend_tolerance().zip(previous).map(|(tolerance, previous)| match health - previous {
        change if change > tolerance => "improving",
        change if change < -tolerance => "declining",
        _ => "stable",
    });
    Outcome {
        weakest: weakest.map(|(part, _)| part.name.clone()),
        coverage: backed / card.components.iter().map(|part| part.weight.abs()).sum::<f64>(),
        id,
        health,
        unclipped,
        neutral,
        components,
        category,
        churn,
        expansion,
        drivers,
        previous,
        trend,
    }
}
