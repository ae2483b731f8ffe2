//! Ballista: a cluster whose executors run a plan in place of this process.

#[cfg(feature = "ballista")]
pub mod ballista;
mod config;
mod error;
#[cfg(feature = "ballista")]
pub mod split;

pub use config::{Cluster, ClusterConfig, NO_BALLISTA};
pub use error::ClusterError;
