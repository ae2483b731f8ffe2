//! Which input, or the history, is at fault when a plan over all of them fails.

use datafusion::error::DataFusionError;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;

use super::{EngineError, blame, query};
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::io::uri::{Uri, is_uri};
use crate::plan::input::customers;
use crate::plan::{Bound, Planner, history};

/// The error with the input named that fails when it is read alone, or the cap that does; an internal one where none does.
pub async fn name(error: DataFusionError, planner: &Planner<'_>, context: &RunContext) -> EngineError {
    let Planner { component, bound, .. } = *planner;
    let window = planner.window();
    let text = error.to_string();
    let error = match IoError::internal("scoring", error) {
        IoError::Internal { source, .. } => *source,
        // A store that failed once may answer when it is asked again, so that the culprit could not be found.
        IoError::Store { action, reason, hint, kind, .. } => {
            let (role, uri) = in_stores(bound, &text);
            return IoError::Store { role, uri, action, reason, hint, kind }.into();
        }
        limit => return limit.into(),
    };
    for (name, input) in &bound.inputs {
        let Ok(plan) = customers(input, window, |_| true) else { continue };
        if let Err(own) = read(&plan, context).await {
            let unreadable = EngineError::unreadable(&format!("input `{name}`"), &input.table.path, own);
            return blame::sql(unreadable, (component, bound), window, context).await;
        }
    }
    if let Some(table) = &bound.history
        && let Ok(plan) = history::plan(table)
        && let Err(own) = read(&plan, context).await
    {
        return EngineError::unreadable("history", &table.path, own);
    }
    match error.find_root() {
        // Each can be read by now: a file was exchanged in between.
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
            let paths: Vec<&str> = bound.inputs.values().map(|input| input.table.path.as_str()).collect();
            IoError::changed("inputs", &paths.join(", "), &error.find_root().strip_backtrace()).into()
        }
        _ => blame::cap(error, planner, context).await,
    }
}

/// The inputs that a store's failure may be about: those whose key it names, or else all on stores.
fn in_stores(bound: &Bound, text: &str) -> (String, String) {
    let on_stores = || bound.inputs.iter().filter(|(_, input)| is_uri(&input.table.path));
    let named = on_stores().filter(|(_, input)| {
        Uri::parse("", &input.table.path).is_ok_and(|uri| !uri.path().is_root() && text.contains(uri.path().as_ref()))
    });
    let mut found: Vec<_> = named.collect();
    if found.is_empty() {
        found = on_stores().collect();
    }
    let names: Vec<String> = found.iter().map(|(name, _)| format!("input `{name}`")).collect();
    let paths: Vec<&str> = found.iter().map(|(_, input)| input.table.path.as_str()).collect();
    (names.join(", "), paths.join(", "))
}

/// Runs a plan to its end, and keeps nothing.
///
/// # Errors
/// What the planner or a reader says.
pub async fn read(plan: &datafusion::logical_expr::LogicalPlan, context: &RunContext) -> Result<(), DataFusionError> {
    let mut batches = execute_stream(query::physical(context, plan).await?, context.session().task_ctx())?;
    while let Some(batch) = batches.next().await {
        batch?;
    }
    Ok(())
}
