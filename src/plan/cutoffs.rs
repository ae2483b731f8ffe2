//! The health scores at which the flags begin, where the scorecard tells them by numbers of customers too.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::greatest;
use datafusion::functions::math::expr_fn::round;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_nested::expr_fn::{array_element, array_length, array_sort};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit, when};

use super::names;
use crate::scorecard::{Flag, Scorecard, Threshold};

/// Health scores at which the flags begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cutoffs {
    /// Scores below this are churn risks.
    pub churn_risk: f64,
    /// Scores above this are expansion opportunities.
    pub expansion_opportunity: f64,
    /// Whether a score of just that is one too.
    pub inclusive: bool,
}

impl Cutoffs {
    /// Those that the scorecard alone tells; flags for a number of customers begin nowhere yet.
    pub fn of(card: &Scorecard) -> Self {
        let (first_ends, last_begins) = card.risk_categories.edges().unzip();
        let begins = |flag: Flag, edge: Option<f64>| if flag == Flag::Category { edge } else { flag.score() };
        Self {
            churn_risk: begins(card.churn_risk, first_ends).unwrap_or(f64::NEG_INFINITY),
            expansion_opportunity: begins(card.expansion_opportunity, last_begins).unwrap_or(f64::INFINITY),
            inclusive: card.expansion_opportunity == Flag::Category,
        }
    }

    /// Whether customers have to be counted to know them.
    pub fn need_counting(card: &Scorecard) -> bool {
        card.churn_risk.capacity().or(card.expansion_opportunity.capacity()).is_some()
    }

    /// Whether a score is a churn risk's.
    pub fn churn_risk(&self, score: Expr) -> Expr {
        score.lt(lit(self.churn_risk))
    }

    /// Whether a score is an expansion opportunity's.
    pub fn expansion_opportunity(&self, score: Expr) -> Expr {
        let from = lit(self.expansion_opportunity);
        if self.inclusive { score.gt_eq(from) } else { score.gt(from) }
    }

    /// The same with what was counted: the row of [`plan`].
    ///
    /// No customer is both: where the two would meet, opportunities begin behind the churn risks.
    #[must_use]
    pub fn counted(mut self, card: &Scorecard, row: &[ScalarValue]) -> Self {
        let found = |at: usize| match row.get(at) {
            Some(ScalarValue::Float64(score)) => *score,
            _ => None,
        };
        if card.churn_risk.capacity().is_some() {
            self.churn_risk = found(0).unwrap_or(f64::INFINITY);
        }
        if card.expansion_opportunity.capacity().is_some() {
            self.expansion_opportunity = found(1).unwrap_or(f64::NEG_INFINITY);
        }
        if Self::need_counting(card) {
            self.expansion_opportunity = self.expansion_opportunity.max(self.churn_risk);
        }
        self
    }
}

/// A plan of one row from one of health scores: the lowest score that is no churn risk any more and the highest that is no
/// expansion opportunity yet, null where all customers are.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn plan(card: &Scorecard, scores: LogicalPlan) -> Result<LogicalPlan> {
    let all = names::column("all");
    let sorted = array_sort(all.clone(), lit("ASC"), lit("NULLS LAST"));
    let customers = || cast(array_length(all.clone()), DataType::Int64);
    // As `Threshold::customers` counts them, of customers whose number the plan alone knows.
    let many = |flag: Flag| match flag.capacity() {
        Some(Threshold::Percent(percent)) => {
            let share = cast(customers(), DataType::Float64) * lit(percent) / lit(100.0);
            greatest(vec![cast(round(vec![share]), DataType::Int64), lit(1_i64)])
        }
        Some(Threshold::Customers(customers)) => lit(i64::try_from(customers).unwrap_or(i64::MAX)),
        Some(Threshold::Score(_)) | None => lit(0_i64),
    };
    let behind = |many: Expr, place: Expr| {
        when(many.lt(customers()), array_element(sorted.clone(), place)).otherwise(lit(ScalarValue::Float64(None)))
    };
    let (low, high) = (many(card.churn_risk), many(card.expansion_opportunity));
    let found = [
        behind(low.clone(), low + lit(1_i64))?.alias("no churn risk"),
        behind(high.clone(), customers() - high)?.alias("no expansion opportunity"),
    ];
    let gathered = array_agg_udaf().call(vec![names::column(names::HEALTH_SCORE)]).alias("all");
    LogicalPlanBuilder::from(scores).aggregate(Vec::<Expr>::new(), [gathered])?.project(found)?.build()
}
