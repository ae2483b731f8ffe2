//! Which engine does the work of `serve` and `materialize`: this process, or a Ballista cluster.

use std::time::Duration;

use clap::Args;

use super::exit::Failure;
use crate::engine::{ClusterConfig, EngineConfig, NO_BALLISTA};

/// What `--engine` takes.
const BALLISTA: &str = "ballista";

/// Which engine, and where.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "More than one machine")]
pub struct EngineArgs {
    /// What reads, joins and scores: `local` is this process, `ballista` a cluster that sees the inputs under the same
    /// paths, see docs/scale.md; the output is written by this process in any case
    #[arg(long, value_name = "NAME", default_value = "local", value_parser = engine)]
    engine: String,

    /// The Ballista scheduler, such as df://10.0.0.5:50050
    #[arg(long, value_name = "df://HOST:PORT", value_parser = ClusterConfig::new, required_if_eq("engine", BALLISTA))]
    scheduler: Option<ClusterConfig>,

    /// Partitions that the cluster's joins are cut into: more than it has cores, so that each fits into memory; 16 if
    /// left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "scheduler")]
    partitions: Option<u32>,

    /// Seconds that each job of a run may take on the cluster before it is cancelled and the run fails; 3600 if left out
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..), requires = "scheduler")]
    job_timeout: Option<u64>,

    /// Let plans run as DataFusion plans them, without this program's own operators: slower, with the same scores
    #[arg(long, help_heading = "Plans")]
    no_accel: bool,
}

impl EngineArgs {
    /// The configuration with its cluster, where there is one.
    ///
    /// # Errors
    /// Where a scheduler is named that would not be asked.
    pub fn complete(&self, config: EngineConfig) -> Result<EngineConfig, Failure> {
        let mut cluster = self.scheduler.clone();
        if cluster.is_some() && self.engine != BALLISTA {
            return Err(Failure::usage("`--scheduler` asks nobody without `--engine ballista`"));
        }
        if let (Some(cluster), Some(partitions)) = (&mut cluster, self.partitions) {
            cluster.partitions = partitions as usize;
        }
        if let (Some(cluster), Some(seconds)) = (&mut cluster, self.job_timeout) {
            cluster.patience = Duration::from_secs(seconds);
        }
        Ok(EngineConfig { cluster, no_accel: self.no_accel, ..config })
    }
}

fn engine(name: &str) -> Result<String, String> {
    match name {
        BALLISTA if cfg!(not(feature = "ballista")) => Err(NO_BALLISTA.to_owned()),
        "local" | BALLISTA => Ok(name.to_owned()),
        _ => Err("expected `local` or `ballista`".to_owned()),
    }
}
