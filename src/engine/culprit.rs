//! Which input is at fault when a plan over all of them fails.

use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;

use super::uri::is_uri;
use super::{EngineError, query};
use crate::plan::Bound;
use crate::plan::input::{Window, customers};

/// The error with the input named that fails when it is read alone; an internal one where none does.
pub async fn name(error: DataFusionError, bound: &Bound, window: Window, state: &SessionState) -> EngineError {
    let error = match EngineError::internal("scoring", error) {
        EngineError::Internal { source, .. } => *source,
        // A store that failed once may answer when it is asked again, so that the culprit could not be found.
        EngineError::Store { action, reason, hint, kind, .. } => {
            let inputs = bound.inputs.iter().filter(|(_, input)| is_uri(&input.table.path));
            let (names, paths): (Vec<_>, Vec<_>) =
                inputs.map(|(name, input)| (format!("input `{name}`"), input.table.path.clone())).unzip();
            return EngineError::Store { role: names.join(", "), uri: paths.join(", "), action, reason, hint, kind };
        }
        limit => return limit,
    };
    for (name, input) in &bound.inputs {
        let Ok(plan) = customers(input, window, |_| true) else { continue };
        if let Err(own) = read(&plan, state).await {
            return EngineError::unreadable(&format!("input `{name}`"), &input.table.path, own);
        }
    }
    EngineError::internal("scoring", error)
}

async fn read(plan: &datafusion::logical_expr::LogicalPlan, state: &SessionState) -> Result<(), DataFusionError> {
    let mut batches = execute_stream(query::physical(state, plan).await?, state.task_ctx())?;
    while let Some(batch) = batches.next().await {
        batch?;
    }
    Ok(())
}
