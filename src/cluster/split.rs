//! Plans of which executors know a part only: what stands at the top and is foreign to them is computed here.
//!
//! Ballista's own executors (55.0) have DataFusion's functions but those of arrays, which `include_drivers` uses.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::registry::BallistaFunctionRegistry;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};

use super::ClusterError;
use crate::error::ErrorKind;
use crate::io::context::RunContext;

/// Name of the table that a cluster's rows are here.
const ELSEWHERE: &str = "elsewhere";

/// A plan whose rows come from the cluster, with what it cannot compute on top.
///
/// # Errors
/// What the planners say; also where what is foreign to executors stands below what only they can do.
pub async fn physical(context: &RunContext, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    let state = context.session();
    let known = BallistaFunctionRegistry::default();
    let (mut rest, mut above) = (plan, Vec::new());
    while let Some(function) = foreign(rest, &known)? {
        let LogicalPlan::Projection(top) = rest else {
            return Err(unknown(&function, context));
        };
        above.push(top);
        rest = &top.input;
    }
    if above.is_empty() {
        return state.create_physical_plan(plan).await;
    }
    let table = provider_as_source(Arc::new(Elsewhere { plan: rest.clone(), state: state.clone() }));
    let named = rest.schema().iter().map(|(qualifier, field)| {
        Expr::Column(datafusion::common::Column::new(Some(ELSEWHERE), field.name()))
            .alias_qualified(qualifier.cloned(), field.name())
    });
    let mut here = LogicalPlanBuilder::scan(ELSEWHERE, table, None)?.project(named)?.build()?;
    for top in above.into_iter().rev() {
        here = LogicalPlan::Projection(Projection::try_new(top.expr.clone(), Arc::new(here))?);
    }
    DefaultPhysicalPlanner::default().create_physical_plan(&state.optimize(&here)?, state).await
}

fn unknown(function: &str, context: &RunContext) -> DataFusionError {
    let cluster = context.cluster();
    crate::error::external(ClusterError {
        scheduler: cluster.map(|cluster| cluster.config.scheduler().to_owned()).unwrap_or_default(),
        reason: format!("Ballista's executors do not know the function `{function}`"),
        hint: "say it without functions of arrays, or run with `--engine local`",
        kind: ErrorKind::InvalidComponent,
    })
}

/// A function of a plan that executors do not know.
fn foreign(plan: &LogicalPlan, known: &BallistaFunctionRegistry) -> Result<Option<String>> {
    let mut found = None;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| match expr {
                Expr::ScalarFunction(call) if !known.scalar_functions.contains_key(call.func.name()) => {
                    found = Some(call.func.name().to_owned());
                    Ok(TreeNodeRecursion::Stop)
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(found)
}

/// The rows of a plan that the cluster runs, of the columns that are asked for.
struct Elsewhere {
    plan: LogicalPlan,
    state: SessionState,
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elsewhere").finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Elsewhere {
    fn schema(&self) -> SchemaRef {
        self.plan.schema().inner().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(projection) = projection else { return self.state.create_physical_plan(&self.plan).await };
        let columns = projection.iter().map(|at| Expr::from(self.plan.schema().qualified_field(*at)));
        let plan = LogicalPlanBuilder::from(self.plan.clone()).project(columns)?.build()?;
        self.state.create_physical_plan(&plan).await
    }
}
