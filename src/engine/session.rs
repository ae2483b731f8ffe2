//! Sessions: the only place where one is made, and so where a cluster's would be.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool, UnboundedMemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::store::{StoreOptions, Stores};
use super::{EngineError, Roots};

/// Consumers named when memory runs out.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// Rows after which grouping before the exchange is given up where it does not shrink them.
const PROBED_ROWS: usize = 16_384;

/// Limits and places of an engine.
#[derive(Debug, Clone, Default)]
pub struct EngineConfig {
    /// Bytes that all runs together may use for grouping, sorting and joining; what does not fit is spilled to disk.
    pub memory_limit: Option<usize>,
    /// Folder for spilled data; the system's folder for temporary files if not given.
    pub temp_dir: Option<PathBuf>,
    /// Partitions that work in parallel; as many as there are processors if not given.
    pub target_partitions: Option<usize>,
    /// Folders that paths of components may lead to; wherever this user may read and write if not given.
    pub roots: Option<Roots>,
    /// Settings of object stores that go before the environment's.
    pub store_options: StoreOptions,
    /// How long an object store may take to answer; some 15 seconds if not given, and longer for what is sent to it.
    pub store_timeout: Option<Duration>,
}

/// The memory that all runs of an engine share.
pub fn memory(config: &EngineConfig) -> Arc<dyn MemoryPool> {
    match config.memory_limit {
        Some(limit) => Arc::new(TrackConsumersPool::new(FairSpillPool::new(limit), NAMED_CONSUMERS)),
        None => Arc::new(UnboundedMemoryPool::default()),
    }
}

/// A session for one run.
///
/// It has caches of its own: files change between runs, and a cached listing would hide that.
///
/// # Errors
/// Where the folder for temporary files cannot be used.
pub fn new(
    config: &EngineConfig,
    memory: Arc<dyn MemoryPool>,
    stores: Arc<Stores>,
) -> Result<SessionState, EngineError> {
    let mut disk = DiskManagerBuilder::default();
    if let Some(folder) = &config.temp_dir {
        disk.set_mode(DiskManagerMode::Directories(vec![folder.clone()]));
    }
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(memory)
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|e| EngineError::internal("setting up the engine", e))?;
    // A column with one value and NaN has equal extremes in a footer, and scans would take it for constant.
    let mut session = SessionConfig::new().with_collect_statistics(false);
    if let Some(partitions) = config.target_partitions {
        session = session.with_target_partitions(partitions);
    }
    // Joined inputs have hardly two rows with one key to bring together before they are spread over the partitions.
    session.options_mut().execution.skip_partial_aggregation_probe_rows_threshold = PROBED_ROWS;
    session = session.with_extension(stores);
    if let Some(roots) = &config.roots {
        session = session.with_extension(Arc::new(roots.clone()));
    }
    // Columns are named as the files name them, in upper and lower case.
    session.options_mut().sql_parser.enable_ident_normalization = false;
    Ok(SessionContext::new_with_config_rt(session, runtime).state())
}

/// The same session, in which scans know their files' statistics.
pub fn with_statistics(state: &SessionState) -> SessionState {
    let config = state.config().clone().with_collect_statistics(true);
    SessionStateBuilder::new_from_existing(state.clone()).with_config(config).build()
}
