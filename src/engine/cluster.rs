//! A cluster that works in place of this process: where it is, and what can go wrong with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};

use super::profile::number;
use super::{EngineError, query, session};
use crate::component::Component;
use crate::error::ErrorKind;
use crate::plan::{Bound, Table};

/// What a build without Ballista says.
pub const NO_BALLISTA: &str = "this build has no Ballista: build it with `cargo build --release --features ballista`";

/// Partitions of a cluster's work where nothing is said.
const PARTITIONS: usize = 16;

/// How long a job may take where nothing is said.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Where a Ballista scheduler is, and how its work is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    scheduler: String,
    /// Partitions of joins and groupings, from 1.
    pub partitions: usize,
    /// How long one of a run's jobs may take before it is cancelled.
    pub patience: Duration,
}

impl ClusterConfig {
    /// The cluster of a scheduler, such as `df://10.0.0.5:50050`.
    ///
    /// # Errors
    /// Where the address is none, or where this build has no Ballista.
    pub fn new(scheduler: &str) -> Result<Self, String> {
        if cfg!(not(feature = "ballista")) {
            return Err(NO_BALLISTA.to_owned());
        }
        // `url` knows ports and hosts of its own schemes only.
        let address = scheduler.strip_prefix("df://").and_then(|rest| url::Url::parse(&format!("http://{rest}")).ok());
        match address {
            Some(url) if url.host_str().is_some() && url[url::Position::AfterPort..].trim_matches('/').is_empty() => {
                let (host, port) =
                    (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
                Ok(Self { scheduler: format!("{host}:{port}"), partitions: PARTITIONS, patience: PATIENCE })
            }
            _ => Err("expected df://HOST:PORT, the address of a Ballista scheduler".to_owned()),
        }
    }

    /// `HOST:PORT` of the scheduler.
    pub fn scheduler(&self) -> &str {
        &self.scheduler
    }
}

/// The cluster of an engine, as its sessions know it.
#[derive(Debug)]
pub struct Cluster {
    /// Where it is.
    pub config: ClusterConfig,
    /// Folder of this process alone, which no executor sees.
    pub workspace: PathBuf,
}

/// Where the work of a run is done.
pub struct Work {
    /// Session that the work is planned with.
    pub state: SessionState,
    /// Whether it is a cluster's.
    pub remote: bool,
}

impl Work {
    /// The engine's cluster, or this process where it has none; what came along with a call is read where it lies.
    ///
    /// # Errors
    /// Where the scheduler cannot be reached.
    pub async fn of(component: &Component, state: &SessionState) -> Result<Self, EngineError> {
        let Some(cluster) = state.config().get_extension::<Cluster>() else { return Ok(Self::here(state)) };
        if component.inputs().values().any(|input| Path::new(&input.path).starts_with(&cluster.workspace)) {
            return Ok(Self::here(state));
        }
        let remote = session::on_cluster(state, &cluster.config).await?;
        Ok(Self { state: remote, remote: true })
    }

    /// Refuses a cluster that does not see the same rows as this process: to a scheduler, a file that is not there is a
    /// table without rows, and scores without them would pass for good ones.
    ///
    /// # Errors
    /// Where it sees others, or a file cannot be read.
    pub async fn sees(&self, bound: &Bound, state: &SessionState) -> Result<(), EngineError> {
        let Some(cluster) = state.config().get_extension::<Cluster>().filter(|_| self.remote) else { return Ok(()) };
        let internal = |error| EngineError::internal("planning the count of rows", error);
        let tables = bound.inputs.values().map(|input| (format!("input `{}`", input.name), &input.table));
        for (role, table) in tables.chain(bound.history.iter().map(|table| ("history".to_owned(), table))) {
            let plan = row_count(table).map_err(internal)?;
            let unreadable = |error| EngineError::unreadable(&role, &table.path, error);
            let here = query::single_row(state, &plan).await.map_err(unreadable)?;
            let there = query::single_row(&self.state, &plan).await.map_err(unreadable)?;
            let (here, there) = (here.first().map_or(0, number), there.first().map_or(0, number));
            if here != there {
                let path = &table.path;
                return Err(EngineError::Cluster(ClusterError {
                    scheduler: cluster.config.scheduler().to_owned(),
                    reason: format!("{role}: {path} has {here} rows here and {there} on the cluster"),
                    hint: "put it where this process, the scheduler and all executors see it under one path: a shared \
                           folder, or a store",
                    kind: ErrorKind::InvalidInput,
                }));
            }
        }
        Ok(())
    }

    /// This process.
    pub fn here(state: &SessionState) -> Self {
        Self { state: state.clone(), remote: false }
    }
}

fn row_count(table: &Table) -> datafusion::error::Result<LogicalPlan> {
    let rows = LogicalPlanBuilder::scan("rows", table.source.clone(), None)?;
    rows.aggregate(Vec::<Expr>::new(), [count(lit(1_i64))])?.build()
}

/// Why a cluster did not do its work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Ballista scheduler {scheduler}: {reason}\n  hint: {hint}")]
pub struct ClusterError {
    /// `HOST:PORT` of the scheduler.
    pub scheduler: String,
    /// What went wrong, in the scheduler's words where it has some.
    pub reason: String,
    /// The way out.
    pub hint: &'static str,
    /// What sort of failure it is.
    pub kind: ErrorKind,
}
