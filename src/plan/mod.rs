//! Scorecard and input schemas in, one logical plan out: pure, synchronous, built-in expressions only.
//!
//! Each input becomes one row per customer ([`input`]); components that read a single input are scored there, before the
//! join, so that few columns travel; the inputs are joined ([`join`]), the health score and what follows from it is
//! computed ([`score`], [`drivers`]), and the columns of the contract ([`columns`]) are projected, with a few for the run
//! report behind them.

mod align;
pub mod bind;
mod cap;
pub mod check;
mod clean;
pub mod columns;
pub mod cutoffs;
mod distinct;
mod drivers;
mod error;
pub mod expression;
pub mod fan_out;
mod fit;
pub mod flag_rules;
pub mod history;
pub mod input;
mod join;
pub mod key;
mod key_text;
mod lookup;
pub mod names;
pub mod population;
pub mod profile;
pub mod scale;
mod score;
mod vetted;
mod written_time;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, cast};

pub use bind::{Bound, Table, bind};
pub use cutoffs::Cutoffs;
pub use error::PlanError;
pub use population::Statistics;

use crate::component::Component;
use crate::scorecard::{Indicator, ScoreComponent};
use input::Window;

/// Everything that a plan is made from.
pub struct Planner<'a> {
    /// The component.
    pub component: &'a Component,
    /// Its tables.
    pub bound: &'a Bound,
    /// Statistics of the population.
    pub statistics: &'a Statistics,
    /// Where the flags begin.
    pub cutoffs: Cutoffs,
    /// Knows SQL's functions.
    pub state: &'a SessionState,
    /// End of the analysis period.
    pub as_of: DateTime<Utc>,
    /// What `calculated_at` says.
    pub calculated_at: DateTime<Utc>,
    /// Whether indicators' values and scores are carried to the end, for an explanation.
    pub explain: bool,
}

/// Whether a mapped indicator's texts are needed beside its scores, for the columns of the table.
pub fn needs_text(component: &Component, part: &ScoreComponent, indicator: &Indicator) -> bool {
    indicator.scale.is_map() && (component.include_drivers() || cap::reads_text(part, indicator))
}

impl Planner<'_> {
    /// The plan: the columns of [`columns::of_scores`], then those for the report ([`Planner::report_columns`]) and, for an
    /// explanation, [`Planner::detail_columns`].
    ///
    /// # Errors
    /// Where the plan cannot be built, which is a fault of the program.
    pub fn plan(&self) -> Result<LogicalPlan> {
        let joined = join::join(self)?;
        let scored = score::health(self, joined)?;
        let output = columns::schema(&columns::of_scores(self.component));
        let mut columns: Vec<_> = output
            .fields()
            .iter()
            .map(|field| cast(names::column(field.name()), field.data_type().clone()).alias(field.name()))
            .collect();
        columns.extend(self.report_columns().into_iter().map(names::column));
        if self.explain {
            columns.push(names::column(names::UNCLIPPED));
            columns.extend(self.detail_columns().into_iter().map(|(name, _)| names::column(name)));
        }
        LogicalPlanBuilder::from(scored).project(columns)?.build()
    }

    /// A plan of one row, from which [`Cutoffs::counted`] takes where the flags begin.
    ///
    /// # Errors
    /// Where the plan cannot be built, which is a fault of the program.
    pub fn counting(&self) -> Result<LogicalPlan> {
        let scores = score::clipped(self, join::join(self)?)?;
        cutoffs::plan(self.component.scorecard(), scores)
    }

    /// Whether the join brings several inputs together, and nothing of them but numbers.
    pub fn joins_numbers(&self) -> bool {
        join::is_of_numbers(self)
    }

    /// Columns behind the table's own, for the report: which inputs have the customer, then each component's score or null,
    /// then how many of its texts in each input no map knows.
    pub fn report_columns(&self) -> Vec<String> {
        let present = std::iter::once(names::PRESENT.to_owned());
        let scores = self.component.scorecard().components.iter().map(names::raw);
        let unmapped = self.bound.inputs.values().filter_map(bind::BoundInput::unmapped_column);
        present.chain(scores).chain(unmapped).collect()
    }

    /// Columns behind those, for an explanation.
    pub fn detail_columns(&self) -> Vec<(String, DataType)> {
        self.component.scorecard().components.iter().flat_map(|c| self.details(c)).collect()
    }

    /// The analysis period.
    pub fn window(&self) -> Window {
        Window { as_of: self.as_of, days: self.component.scorecard().analysis_period_days }
    }

    /// Whether indicators' values and scores are needed after their component is scored.
    fn detailed(&self) -> bool {
        self.explain || self.component.include_drivers()
    }

    /// An indicator's field, where an input has it.
    fn field(&self, component: &ScoreComponent, indicator: &Indicator) -> Option<&bind::BoundField> {
        let fields = &self.bound.inputs.get(&indicator.input)?.fields;
        let same = |f: &&bind::BoundField| f.component.name == component.name && f.indicator.name == indicator.name;
        fields.iter().find(same).filter(|field| field.reading.is_some())
    }

    /// The indicators of a component that an input has a field for.
    fn present<'a>(&self, component: &'a ScoreComponent) -> Vec<&'a Indicator> {
        component.indicators.iter().filter(|i| self.field(component, i).is_some()).collect()
    }

    fn wants_text(&self, component: &ScoreComponent, indicator: &Indicator) -> bool {
        needs_text(self.component, component, indicator) || self.explain && indicator.scale.is_map()
    }

    /// Columns with an indicator's value: a number, or the text and score of a mapped one.
    fn measures(&self, component: &ScoreComponent, indicator: &Indicator) -> Vec<(String, DataType)> {
        let Some(field) = self.field(component, indicator) else { return Vec::new() };
        if !indicator.scale.is_map() {
            return vec![(names::value(component, indicator), input::value_type(field))];
        }
        let mut columns = vec![(names::score(component, indicator), DataType::Float64)];
        if self.wants_text(component, indicator) {
            columns.push((names::low_text(component, indicator), DataType::Utf8View));
            columns.push((names::high_text(component, indicator), DataType::Utf8View));
        }
        columns
    }

    /// Columns that take a component's score apart.
    fn details(&self, component: &ScoreComponent) -> Vec<(String, DataType)> {
        let mut columns = vec![(names::uncapped(component), DataType::Float64)];
        columns.extend((0..component.caps.len()).map(|at| (names::cap_hit(component, at), DataType::Boolean)));
        for indicator in self.present(component) {
            columns.extend(self.measures(component, indicator));
            if !indicator.scale.is_map() {
                columns.push((names::score(component, indicator), DataType::Float64));
            }
        }
        columns
    }

    /// Columns that a component leaves behind once it is scored.
    fn scored(&self, component: &ScoreComponent) -> Vec<(String, DataType)> {
        let mut columns = vec![(names::raw(component), DataType::Float64)];
        if self.detailed() {
            columns.extend(self.details(component));
        }
        columns
    }
}
