//! Small plans run to their only row, and any plan made physical.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, collect};

use super::spill;

/// A plan, optimized and ready to run.
///
/// # Errors
/// What the planner says.
pub async fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    state.create_physical_plan(plan).await
}

/// All batches of a plan whose result is small.
///
/// # Errors
/// What the planner or a reader says.
pub async fn rows(state: &SessionState, plan: &LogicalPlan) -> Result<Vec<RecordBatch>> {
    let plan = physical(state, plan).await?;
    let _watched = spill::watch(&plan, state);
    collect(plan, state.task_ctx()).await
}

/// The only row of a plan that aggregates everything.
///
/// # Errors
/// What the planner or a reader says.
pub async fn single_row(state: &SessionState, plan: &LogicalPlan) -> Result<Vec<ScalarValue>> {
    let batches = rows(state, plan).await?;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    let batch = batch.ok_or_else(|| DataFusionError::Internal("an aggregate without a row".to_owned()))?;
    batch.columns().iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
}
