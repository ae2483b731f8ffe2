//! Folds the scored batches, as they pass by, into the numbers of the run report.

use datafusion::arrow::array::{Array, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::{Float64Type, UInt8Type};
use datafusion::error::{DataFusionError, Result};

use super::report::ScoreSummary;
use crate::component::Component;
use crate::plan::bind::BoundInput;
use crate::plan::{Planner, names};
use crate::scorecard::{Flag, InputName, MissingComponent, ScoreComponent};

/// Steps of the histogram that the median comes from.
const STEPS: usize = 100_000;

/// Bytes of a name from which on it is compared whole.
const SHORT: usize = 32;

/// What an input contributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputTally {
    /// Customers.
    pub customers: u64,
    /// Customers that no other input has.
    pub alone: u64,
    /// Whether there are texts that no map knows.
    pub has_unmapped: bool,
}

/// What a component came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ComponentTally {
    /// Customers with data.
    pub with_data: u64,
    /// Sum of their scores.
    pub sum: f64,
    /// For a component of [`without_events`], customers whose score is below that; else 0.
    pub below_missing: u64,
}

/// What a component counts as for customers without events, where it is of an input of events and absence is not said to be
/// zero of them.
pub fn without_events(component: &Component, part: &ScoreComponent) -> Option<f64> {
    let input = component.inputs().get(&part.single_input()?)?;
    match part.missing {
        MissingComponent::Score(score) if input.timestamp.is_some() && !input.without_rows_is_zero => Some(score),
        MissingComponent::Score(_) | MissingComponent::Exclude => None,
    }
}

/// Numbers of a run so far.
pub struct Fold {
    inputs: Vec<InputName>,
    /// For each input the column that counts the texts that no map knows.
    unmapped: Vec<Option<String>>,
    /// Names of the components' columns, and for those of events what each counts as without any.
    components: Vec<(String, Option<f64>)>,
    range: (f64, f64),
    histogram: Vec<(u64, f64)>,
    /// The category whose name alone has that length: the plan has no others, so that the length tells which it is.
    by_length: [Option<usize>; SHORT],
    sum: f64,
    extremes: (f64, f64),
    /// Customers.
    pub customers: u64,
    /// Customers per category, worst first.
    pub categories: Vec<(String, u64)>,
    /// Customers at churn risk.
    pub churn_risks: u64,
    /// Customers that are expansion opportunities.
    pub expansion_opportunities: u64,
    /// Where thresholds and named categories are both given: customers whose flags are not those of the first or last
    /// category.
    pub disagreeing: Option<u64>,
    /// One for each input, in the plan's order.
    pub by_input: Vec<InputTally>,
    /// One for each component, in scorecard order.
    pub by_component: Vec<ComponentTally>,
}

impl Fold {
    /// Nothing folded yet.
    pub fn new(component: &Component, planner: &Planner<'_>) -> Self {
        let card = component.scorecard();
        let names = card.risk_categories.names();
        let alone = |length: usize| {
            let mut of_length = (0..names.len()).filter(|at| names[*at].len() == length);
            of_length.next().filter(|_| of_length.next().is_none())
        };
        let by_category = [card.churn_risk, card.expansion_opportunity] == [Flag::Category; 2];
        let both = card.risk_categories.edges().is_some() && !by_category;
        let inputs: Vec<InputName> = planner.bound.inputs.keys().copied().collect();
        Self {
            by_input: vec![InputTally::default(); inputs.len()],
            unmapped: planner.bound.inputs.values().map(BoundInput::unmapped_column).collect(),
            inputs,
            components: card.components.iter().map(|c| (names::raw(c), without_events(component, c))).collect(),
            range: (card.min_health_score, card.max_health_score),
            histogram: vec![(0, 0.0); STEPS + 1],
            sum: 0.0,
            extremes: (f64::INFINITY, f64::NEG_INFINITY),
            customers: 0,
            by_length: std::array::from_fn(alone),
            categories: names.iter().map(|name| ((*name).to_owned(), 0)).collect(),
            churn_risks: 0,
            expansion_opportunities: 0,
            disagreeing: both.then_some(0),
            by_component: vec![ComponentTally::default(); card.components.len()],
        }
    }

    /// Takes a batch in.
    ///
    /// # Errors
    /// Where the batch is not of the plan that the fold was made for.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.customers += batch.num_rows() as u64;
        self.add_scores(column(batch, names::HEALTH_SCORE)?.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?);
        let flags =
            |name| -> Result<u64> { Ok(column(batch, name)?.as_boolean_opt().ok_or_else(wrong)?.true_count() as u64) };
        self.churn_risks += flags(names::IS_CHURN_RISK)?;
        self.expansion_opportunities += flags(names::IS_EXPANSION_OPPORTUNITY)?;
        let categories = column(batch, names::RISK_CATEGORY)?.as_string_opt::<i32>().ok_or_else(wrong)?;
        self.add_categories(categories);
        if self.disagreeing.is_some() {
            let flag = |name| column(batch, name)?.as_boolean_opt().ok_or_else(wrong);
            self.compare(categories, flag(names::IS_CHURN_RISK)?, flag(names::IS_EXPANSION_OPPORTUNITY)?);
        }
        self.add_inputs(batch)?;
        for (tally, (name, missing)) in self.by_component.iter_mut().zip(&self.components) {
            let scores = column(batch, name)?.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
            tally.with_data += (scores.len() - scores.null_count()) as u64;
            tally.sum += compute::sum(scores).unwrap_or(0.0);
            if let Some(missing) = missing {
                tally.below_missing += scores.iter().flatten().filter(|score| score < missing).count() as u64;
            }
        }
        for (tally, name) in self.by_input.iter_mut().zip(&self.unmapped) {
            let Some(name) = name else { continue };
            let counts = column(batch, name)?.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
            tally.has_unmapped |= counts.iter().flatten().any(|count| count > 0.0);
        }
        Ok(())
    }

    fn add_scores(&mut self, scores: &Float64Array) {
        let (lowest, highest) = self.range;
        for score in scores.iter().flatten() {
            self.sum += score;
            self.extremes = (self.extremes.0.min(score), self.extremes.1.max(score));
            #[allow(clippy::cast_precision_loss, reason = "the number of steps is small")]
            let place = (score - lowest) / (highest - lowest) * STEPS as f64;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "scores are clipped to the range"
            )]
            let step = &mut self.histogram[(place as usize).min(STEPS)];
            *step = (step.0 + 1, step.1 + score);
        }
    }

    fn add_categories(&mut self, categories: &StringArray) {
        for name in categories.iter().flatten() {
            let known = self.by_length.get(name.len()).copied().flatten();
            let at = known.or_else(|| self.categories.iter().position(|(known, _)| known == name));
            if let Some(at) = at {
                self.categories[at].1 += 1;
            }
        }
    }

    fn compare(&mut self, categories: &StringArray, churn: &BooleanArray, expansion: &BooleanArray) {
        let mut names = self.categories.iter().map(|(name, _)| name.as_str());
        let first = names.next();
        let last = names.next_back();
        let differs = |(category, (churn, expansion)): &(Option<&str>, (Option<bool>, Option<bool>))| {
            *churn != Some(*category == first) || *expansion != Some(*category == last)
        };
        let disagreeing = categories.iter().zip(churn.iter().zip(expansion)).filter(differs).count() as u64;
        self.disagreeing = self.disagreeing.map(|before| before + disagreeing);
    }

    fn add_inputs(&mut self, batch: &RecordBatch) -> Result<()> {
        let present = column(batch, names::PRESENT)?.as_primitive_opt::<UInt8Type>().ok_or_else(wrong)?;
        let mut customers = [0_u64; 256];
        for mask in present.values() {
            customers[usize::from(*mask)] += 1;
        }
        for (mask, count) in (0_u8..=u8::MAX).zip(customers).filter(|(_, count)| *count > 0) {
            for (tally, name) in self.by_input.iter_mut().zip(&self.inputs) {
                let bit = names::bit(*name);
                tally.customers += if mask & bit == 0 { 0 } else { count };
                tally.alone += if mask == bit { count } else { 0 };
            }
        }
        Ok(())
    }

    /// Mean, median and extremes of health_score.
    pub fn scores(&self) -> Option<ScoreSummary> {
        if self.customers == 0 {
            return None;
        }
        #[allow(clippy::cast_precision_loss, reason = "customers are far fewer than 2^53")]
        let mean = self.sum / self.customers as f64;
        let middle = (self.at((self.customers - 1) / 2) + self.at(self.customers / 2)) / 2.0;
        Some(ScoreSummary { mean, median: middle, min: self.extremes.0, max: self.extremes.1 })
    }

    /// About the score of the customer at a place in the order of scores: the mean of those in its step.
    fn at(&self, place: u64) -> f64 {
        let mut before = 0;
        for (count, sum) in &self.histogram {
            before += count;
            if before > place {
                #[allow(clippy::cast_precision_loss, reason = "customers are far fewer than 2^53")]
                return sum / *count as f64;
            }
        }
        f64::NAN
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    batch.column_by_name(name).map(AsRef::as_ref).ok_or_else(wrong)
}

fn wrong() -> DataFusionError {
    DataFusionError::Internal("a batch does not have the columns of its plan".to_owned())
}
