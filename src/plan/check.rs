//! What can be checked about a table of scores by reading it once more.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::functions_aggregate::count::count_distinct;
use datafusion::functions_aggregate::sum::sum;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableSource, lit};

use super::{Cutoffs, names, profile, score};
use crate::scorecard::Scorecard;

/// Places of the counts in the plan's only row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Rows.
    Rows,
    /// Rows with a customer_id.
    Named,
    /// Different customer_ids.
    Customers,
    /// Rows with a health score, or a component's, that is null or outside of its range.
    OutOfRange,
    /// Rows whose flags or category do not follow from their score.
    Mismatched,
}

impl Finding {
    /// All findings, in the order of the plan's columns.
    pub const ALL: [Self; 5] = [Self::Rows, Self::Named, Self::Customers, Self::OutOfRange, Self::Mismatched];
}

/// A plan of one row with a count for each [`Finding`]; `components` are the columns with components' scores.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn plan(
    card: &Scorecard,
    cutoffs: Cutoffs,
    components: &[String],
    scores: Arc<dyn TableSource>,
) -> Result<LogicalPlan> {
    let score = || names::column(names::HEALTH_SCORE);
    let in_range = |column: Expr, lowest: f64, highest: f64| column.between(lit(lowest), lit(highest));
    let ranges = components.iter().map(|name| in_range(names::column(name.clone()), 0.0, 100.0));
    let ranges = ranges.fold(in_range(score(), card.min_health_score, card.max_health_score), Expr::and);
    let follows = names::column(names::IS_CHURN_RISK)
        .eq(cutoffs.churn_risk(score()))
        .and(names::column(names::IS_EXPANSION_OPPORTUNITY).eq(cutoffs.expansion_opportunity(score())))
        .and(names::column(names::RISK_CATEGORY).eq(score::category(card, cutoffs, score())?));
    let id = names::column(names::CUSTOMER_ID);
    let findings = Finding::ALL.map(|finding| {
        let counted = match finding {
            // Sums beside one distinct column are made two groupings of by the engine, which go to disk where a set of all
            // customers would be more than the memory limit; it does not see through names.
            Finding::Rows => sum(lit(1_i64)),
            Finding::Named => profile::tally(id.clone().is_not_null())?,
            Finding::Customers => count_distinct(id.clone()),
            Finding::OutOfRange => profile::tally(ranges.clone().is_not_true())?,
            Finding::Mismatched => profile::tally(follows.clone().is_not_true())?,
        };
        Ok(counted)
    });
    let findings = findings.into_iter().collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::scan("scores", scores, None)?.aggregate(Vec::<Expr>::new(), findings)?.build()
}
