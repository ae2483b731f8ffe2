//! Sessions: the only place where one is made, and so where a cluster's would be.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::disk_manager::{DiskManager, DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryLimit, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::EngineError;
use super::limits;
use super::undivided::Undivided;
use crate::cluster::{Cluster, ClusterConfig};
use crate::intake::limits::InputLimits;
use crate::io::context::{Access, Guards, RunContext};
use crate::io::roots::Roots;
use crate::io::spill::Spilled;
use crate::io::store::{StoreOptions, Stores};
use crate::io::workspace::Workspace;

/// Rows from which on large batches pay.
const MANY_ROWS: u64 = 1_000_000;

/// Rows of a large batch.
const LARGE_BATCH: usize = 32_768;

/// Memory limit, in bytes, from which on there is room for large batches.
const ROOMY: usize = 2 << 30;

/// Consumers named when memory runs out.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// Rows after which grouping before the exchange is given up where it does not shrink them.
const PROBED_ROWS: usize = 16_384;

/// Groups for each row that there are never.
const NEVER_SKIPPED: f64 = 1.0;

/// Limits and places of an engine.
#[derive(Debug, Clone, Default)]
pub struct EngineConfig {
    /// Bytes that all runs together may use for grouping, sorting and joining; what does not fit is spilled to disk. Six
    /// tenths of the machine's memory if not given.
    pub memory_limit: Option<usize>,
    /// Folder for temporary files; the system's if not given.
    pub temp_dir: Option<PathBuf>,
    /// Bytes that the spilled data of all runs together may take; 64 GiB if not given.
    pub temp_limit: Option<u64>,
    /// Rows that an input may have; ten billion if not given.
    pub max_rows: Option<u64>,
    /// Bytes that an input may have, unpacked; 1 TiB if not given.
    pub max_input_bytes: Option<u64>,
    /// Partitions that work in parallel; as many as there are processors if not given.
    pub target_partitions: Option<usize>,
    /// Cluster that does the work of runs; this process if not given.
    pub cluster: Option<ClusterConfig>,
    /// Whether plans of this process do without the optional physical rules: slower, with the same scores.
    pub no_accel: bool,
    /// Folders that paths of components may lead to; wherever this user may read and write if not given.
    pub roots: Option<Roots>,
    /// Settings of object stores that go before the environment's.
    pub store_options: StoreOptions,
    /// How long an object store may take to answer; some 15 seconds if not given, and longer for what is sent to it.
    pub store_timeout: Option<Duration>,
}

/// A rule for physical plans.
pub type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// What an input may be at most.
pub fn input_limits(config: &EngineConfig) -> InputLimits {
    InputLimits {
        rows: config.max_rows.unwrap_or(limits::ROWS),
        bytes: config.max_input_bytes.unwrap_or(limits::INPUT_BYTES),
    }
}

/// What all runs of an engine share.
#[derive(Debug)]
pub struct Shared {
    /// What they reserve of the limit.
    pub memory: Arc<dyn MemoryPool>,
    disk: Arc<DiskManager>,
    stores: Arc<Stores>,
    /// What they have spilled.
    pub spilled: Arc<Spilled>,
    // Dropped behind the disk manager, whose files are in it.
    workspace: Workspace,
}

impl Shared {
    /// Memory and disk with an engine's limits.
    ///
    /// # Errors
    /// Where the folder for temporary files cannot be used.
    pub fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let workspace = Workspace::new(config.temp_dir.as_deref())?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![workspace.path().to_owned()]))
            .with_max_temp_directory_size(config.temp_limit.unwrap_or(limits::TEMP));
        let disk = disk.build().map_err(|error| EngineError::internal("setting up the engine", error))?;
        let memory = FairSpillPool::new(config.memory_limit.unwrap_or_else(limits::memory));
        let memory = Arc::new(TrackConsumersPool::new(memory, NAMED_CONSUMERS));
        Ok(Self {
            memory,
            disk: Arc::new(disk),
            stores: Arc::new(Stores::new(config.store_options.clone(), config.store_timeout, config.temp_dir.clone())),
            spilled: Arc::default(),
            workspace,
        })
    }

    /// The folder for temporary files.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }
}

/// A session for one run, which counts what it spills.
///
/// It has caches of its own: files change between runs, and a cached listing would hide that.
///
/// # Errors
/// Where the engine cannot be set up.
pub fn new(config: &EngineConfig, shared: &Shared) -> Result<RunContext, EngineError> {
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(shared.memory.clone()).build();
    let mut runtime = runtime.map_err(|error| EngineError::internal("setting up the engine", error))?;
    runtime.disk_manager = shared.disk.clone();
    let runtime = Arc::new(runtime);
    // A column with one value and NaN has equal extremes in a footer, and scans would take it for constant.
    let mut session = SessionConfig::new().with_collect_statistics(false);
    if let Some(partitions) = config.target_partitions {
        session = session.with_target_partitions(partitions);
    }
    // Joined inputs have hardly two rows with one key to bring together before they are spread over the partitions.
    session.options_mut().execution.skip_partial_aggregation_probe_rows_threshold = PROBED_ROWS;
    // Indexes lead readers to other pages than those that `pages` looks at, and help no scan of whole columns.
    session.options_mut().execution.parquet.enable_page_index = false;
    session.options_mut().execution.parquet.bloom_filter_on_read = false;
    if config.cluster.is_some() {
        // Executors have no rule of ours that keeps `percentile_cont` from a grouping that is given up half-way.
        session.options_mut().execution.skip_partial_aggregation_probe_ratio_threshold = NEVER_SKIPPED;
        // Views carry their buffers whole, however few rows of them are left, and messages between machines are limited.
        session.options_mut().execution.parquet.schema_force_view_types = false;
    }
    // Folders are read to any depth; `source` chooses among what is there.
    session.options_mut().execution.listing_table_ignore_subdirectory = false;
    // Columns are named as the files name them, in upper and lower case.
    session.options_mut().sql_parser.enable_ident_normalization = false;
    let state = SessionContext::new_with_config_rt(session, runtime).state();
    let settings = state.config().clone();
    let guards = Guards {
        limits: input_limits(config),
        access: config.roots.clone().map_or(Access::Unrestricted, Access::Within),
        stores: shared.stores.clone(),
        spilled: shared.spilled.clone(),
        cluster: config.cluster.clone().map(|config| {
            let workspace = shared.workspace().path().to_owned();
            Arc::new(Cluster { config, workspace })
        }),
        accel: !config.no_accel,
    };
    Ok(RunContext::new(with(&state, settings, vec![Arc::new(Undivided)]), guards))
}

/// The same session, whose plans the cluster runs.
///
/// # Errors
/// Where its scheduler cannot be reached.
pub async fn on_cluster(context: &RunContext, config: &ClusterConfig) -> Result<RunContext, EngineError> {
    #[cfg(feature = "ballista")]
    {
        let session = crate::cluster::ballista::session(context.session(), config).await;
        Ok(context.with_session(session.map_err(crate::io::IoError::from)?))
    }
    #[cfg(not(feature = "ballista"))]
    {
        let _ = (context, config);
        // No configuration of a cluster can be made in such a build.
        let missing = datafusion::error::DataFusionError::Internal(crate::cluster::NO_BALLISTA.to_owned());
        Err(EngineError::internal("looking for a cluster", missing))
    }
}

/// Settings for a plan that reads so many rows of each input. See docs/performance.md.
///
/// Large batches cost less for each row, but memory that no pool counts, and that small tables do not win back. Inputs that
/// are enough to keep the partitions busy side by side are read in one go each: what is decoded at once takes memory too.
pub fn for_rows(context: &RunContext, rows: &[u64]) -> SessionConfig {
    let config = for_groupings(context, rows);
    let (largest, total) = (rows.iter().max().copied().unwrap_or(0), rows.iter().sum());
    let busy = largest.saturating_mul(context.session().config().target_partitions() as u64) <= total;
    match busy {
        true => config.with_repartition_file_scans(false).with_round_robin_repartition(false),
        false => config,
    }
}

/// Settings for plans that group inputs of so many rows.
pub fn for_groupings(context: &RunContext, rows: &[u64]) -> SessionConfig {
    let roomy = match context.session().runtime_env().memory_pool.memory_limit() {
        MemoryLimit::Finite(limit) => limit >= ROOMY,
        MemoryLimit::Infinite | MemoryLimit::Unknown => true,
    };
    let config = context.session().config().clone();
    if rows.iter().sum::<u64>() >= MANY_ROWS && roomy { config.with_batch_size(LARGE_BATCH) } else { config }
}

/// Bytes that are one of so many equal shares of what runs have left of their memory.
pub fn share_of_memory(context: &RunContext, shares: usize) -> usize {
    let pool = &context.session().runtime_env().memory_pool;
    match pool.memory_limit() {
        MemoryLimit::Finite(limit) => limit.saturating_sub(pool.reserved()) / shares,
        MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
    }
}

/// The same session with these settings, whose physical plans go through these rules before the engine's own.
pub fn with(state: &SessionState, config: SessionConfig, mut rules: Vec<Rule>) -> SessionState {
    rules.extend(state.physical_optimizers().iter().cloned());
    // The catalogs are there; new ones would hide what is in them.
    let config = config.with_create_default_catalog_and_schema(false);
    let builder = SessionStateBuilder::new_from_existing(state.clone()).with_config(config);
    builder.with_physical_optimizer_rules(rules).build()
}

/// The same run in a session with these settings, whose physical plans go through these rules before the engine's own.
pub fn with_rules(context: &RunContext, config: SessionConfig, rules: Vec<Rule>) -> RunContext {
    context.with_session(with(context.session(), config, rules))
}

/// The same run in a session whose scans know their files' statistics.
pub fn with_statistics(context: &RunContext) -> RunContext {
    with_rules(context, context.session().config().clone().with_collect_statistics(true), Vec::new())
}
