//! Where a cluster is, and how its work is cut.

use std::path::PathBuf;
use std::time::Duration;

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
