//! Where the work of a run is done: in this process or on a cluster, which has to see the same rows.

use std::path::Path;

use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};

use super::profile::number;
use super::{EngineError, query, session};
use crate::cluster::ClusterError;
use crate::component::Component;
use crate::error::ErrorKind;
use crate::io::IoError;
use crate::io::context::RunContext;
use crate::plan::{Bound, Table};

/// Where the work of a run is done.
pub struct Work {
    /// Session that the work is planned with.
    pub context: RunContext,
    /// Whether it is a cluster's.
    pub remote: bool,
}

impl Work {
    /// The engine's cluster, or this process where it has none; what came along with a call is read where it lies.
    ///
    /// # Errors
    /// Where the scheduler cannot be reached.
    pub async fn of(component: &Component, context: &RunContext) -> Result<Self, EngineError> {
        let Some(cluster) = context.cluster() else { return Ok(Self::here(context)) };
        if component.inputs().values().any(|input| Path::new(&input.path).starts_with(&cluster.workspace)) {
            return Ok(Self::here(context));
        }
        let remote = session::on_cluster(context, &cluster.config).await?;
        Ok(Self { context: remote, remote: true })
    }

    /// Refuses a cluster that does not see the same rows as this process: to a scheduler, a file that is not there is a
    /// table without rows, and scores without them would pass for good ones.
    ///
    /// # Errors
    /// Where it sees others, or a file cannot be read.
    pub async fn sees(&self, bound: &Bound, context: &RunContext) -> Result<(), EngineError> {
        let Some(cluster) = context.cluster().filter(|_| self.remote) else { return Ok(()) };
        let internal = |error| EngineError::internal("planning the count of rows", error);
        let tables = bound.inputs.values().map(|input| (format!("input `{}`", input.name), &input.table));
        for (role, table) in tables.chain(bound.history.iter().map(|table| ("history".to_owned(), table))) {
            let plan = row_count(table).map_err(internal)?;
            let unreadable = |error| EngineError::unreadable(&role, &table.path, error);
            let here = query::single_row(context, &plan).await.map_err(unreadable)?;
            let there = query::single_row(&self.context, &plan).await.map_err(unreadable)?;
            let (here, there) = (here.first().map_or(0, number), there.first().map_or(0, number));
            if here != there {
                let path = &table.path;
                let error = ClusterError {
                    scheduler: cluster.config.scheduler().to_owned(),
                    reason: format!("{role}: {path} has {here} rows here and {there} on the cluster"),
                    hint: "put it where this process, the scheduler and all executors see it under one path: a shared \
                           folder, or a store",
                    kind: ErrorKind::InvalidInput,
                };
                return Err(IoError::from(error).into());
            }
        }
        Ok(())
    }

    /// This process.
    pub fn here(context: &RunContext) -> Self {
        Self { context: context.clone(), remote: false }
    }
}

fn row_count(table: &Table) -> datafusion::error::Result<LogicalPlan> {
    let rows = LogicalPlanBuilder::scan("rows", table.source.clone(), None)?;
    rows.aggregate(Vec::<Expr>::new(), [count(lit(1_i64))])?.build()
}
