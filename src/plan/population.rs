//! Statistics over all customers' values of a field: which are needed, how they are found, what they were.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::functions::math::expr_fn::floor;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_aggregate::count::count;
use datafusion::functions_aggregate::min_max::{max, min};
use datafusion::functions_nested::expr_fn::{array_element, array_length, array_sort};
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, cast, lit, when};

use super::bind::{Bound, BoundField, BoundInput};
use super::{input, names};
use crate::component::PinnedStatistics;
use crate::scorecard::{Indicator, Scale, ScoreComponent, Statistic};

/// Statistics by component, indicator and statistic, in the field's unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    values: BTreeMap<(String, String, Statistic), Option<f64>>,
    counts: BTreeMap<(String, String), u64>,
}

impl Statistics {
    /// A statistic; `None` where nobody has the field.
    pub fn value(&self, component: &ScoreComponent, indicator: &Indicator, statistic: Statistic) -> Option<f64> {
        self.values.get(&(component.name.clone(), indicator.name.clone(), statistic)).copied().flatten()
    }

    /// Number of customers that have the field, where a percentile asked for it; else 0.
    pub fn count(&self, component: &ScoreComponent, indicator: &Indicator) -> u64 {
        self.counts.get(&(component.name.clone(), indicator.name.clone())).copied().unwrap_or(0)
    }

    /// Notes a statistic.
    pub fn set(&mut self, field: &BoundField, statistic: Statistic, value: Option<f64>) {
        self.values.insert((field.component.name.clone(), field.indicator.name.clone(), statistic), value);
    }

    /// Notes a number of customers.
    pub fn set_count(&mut self, field: &BoundField, customers: u64) {
        self.counts.insert((field.component.name.clone(), field.indicator.name.clone()), customers);
    }

    /// Whether a statistic is known already.
    pub fn has(&self, field: &BoundField, statistic: Statistic) -> bool {
        self.values.contains_key(&(field.component.name.clone(), field.indicator.name.clone(), statistic))
    }

    /// All statistics: component, indicator, statistic, value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Statistic, Option<f64>)> {
        self.values.iter().map(|((c, i, s), value)| (c.as_str(), i.as_str(), *s, *value))
    }

    /// The statistics that have a value, in the form that `population:` takes.
    pub fn pinnable(&self) -> PinnedStatistics {
        let mut pinned = PinnedStatistics::new();
        for (component, indicator, statistic, value) in self.iter() {
            if let Some(value) = value {
                let indicators = pinned.entry(component.to_owned()).or_default();
                indicators.entry(indicator.to_owned()).or_default().insert(statistic.to_string(), value);
            }
        }
        pinned
    }
}

/// What one column of a population plan's only row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A statistic of the field at that place in [`BoundInput::fields`].
    Statistic(usize, Statistic),
    /// The number of customers that have the field at that place.
    Count(usize),
}

/// The statistics of an input that are not known yet.
pub fn wanted(input: &BoundInput, known: &Statistics) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (at, field) in input.fields.iter().enumerate().filter(|(_, field)| field.reading.is_some()) {
        let statistics = field.indicator.scale.statistics();
        wanted.extend(statistics.into_iter().filter(|s| !known.has(field, *s)).map(|s| Wanted::Statistic(at, s)));
        if matches!(field.indicator.scale, Scale::Percentile(_)) {
            wanted.push(Wanted::Count(at));
        }
    }
    wanted
}

/// A plan of one row with a column for each wanted statistic.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn plan(all: &Bound, bound: &BoundInput, window: input::Window, wanted: &[Wanted]) -> Result<LogicalPlan> {
    let customers = all.customers(bound, window, |_| false)?;
    let (mut gathered, mut found) = (Vec::new(), Vec::new());
    for (at, wanted) in wanted.iter().enumerate() {
        let (Wanted::Statistic(field, _) | Wanted::Count(field)) = wanted;
        let field = &bound.fields[*field];
        let value = names::column(names::value(&field.component, &field.indicator));
        let number = cast(value.clone(), DataType::Float64);
        let name = format!("statistic {at}");
        let gather = match wanted {
            Wanted::Count(_) => count(value),
            Wanted::Statistic(_, Statistic::Min) => min(number),
            Wanted::Statistic(_, Statistic::Max) => max(number),
            Wanted::Statistic(_, Statistic::Percentile(_)) => {
                let there = number.clone().is_not_null();
                array_agg_udaf().call(vec![number]).filter(there).build()?
            }
        };
        gathered.push(gather.alias(&name));
        let gathered = names::column(&name);
        found.push(match wanted {
            Wanted::Statistic(_, Statistic::Percentile(percent)) => percentile(gathered, *percent)?.alias(name),
            _ => gathered,
        });
    }
    LogicalPlanBuilder::from(customers).aggregate(Vec::<Expr>::new(), gathered)?.project(found)?.build()
}

/// A percentile of a list of values, interpolated linearly between the two values around it.
///
/// The engine's own `percentile_cont` rounds the weight of the two values to a millionth, which is not exact enough.
fn percentile(values: Expr, percent: u8) -> Result<Expr> {
    let sorted = array_sort(values.clone(), lit("ASC"), lit("NULLS LAST"));
    let last = cast(array_length(values), DataType::Float64) - lit(1.0);
    // In hundredths first, so that a whole place stays whole.
    let place = last * lit(f64::from(percent)) / lit(100.0);
    let below = floor(place.clone());
    let at = |place: Expr| array_element(sorted.clone(), cast(place, DataType::Int64) + lit(1_i64));
    let (low, high) = (at(below.clone()), at(below.clone() + lit(1.0)));
    let part = place - below;
    when(part.clone().gt(lit(0.0)), low.clone() + (high - low.clone()) * part).otherwise(low)
}
