//! The tables beside the scores: the customers with one of the flags, the most pressing first.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, TableSource};

use super::names;
use crate::component::FanOut;

/// The rows of the scores that belong to a table, in its order.
///
/// # Errors
/// Where the plan cannot be built, which is a fault of the program.
pub fn plan(table: FanOut, scores: Arc<dyn TableSource>) -> Result<LogicalPlan> {
    let (flag, lowest_first) = match table {
        FanOut::ChurnRisk => (names::IS_CHURN_RISK, true),
        FanOut::Expansion => (names::IS_EXPANSION_OPPORTUNITY, false),
    };
    // Then by customer, so that equal scores come in the same order each time.
    let order = vec![
        names::column(names::HEALTH_SCORE).sort(lowest_first, false),
        names::column(names::CUSTOMER_ID).sort(true, false),
    ];
    LogicalPlanBuilder::scan("scores", scores, None)?.filter(names::column(flag))?.sort(order)?.build()
}
