//! A Ballista scheduler, or an executor of one, as their own programs start them: the cluster of the tests and of
//! `docs/scale.md` without an installation.
//!
//! ```console
//! cargo run --release --features ballista-cluster --example ballista -- scheduler 50050
//! cargo run --release --features ballista-cluster --example ballista -- executor 50050 50051 50052 WORK_DIR
//! ```

use std::error::Error;
use std::sync::Arc;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;

/// Seconds after which an executor that gives no sign of life counts as lost; Ballista's own are 180. It gives none while
/// all of its cores are busy, so that no task may take longer.
const LOST: u64 = 30;

/// Executors ask for tasks. Where the scheduler hands them out (55.0), a job waits without an end once an executor is lost.
const POLICY: TaskSchedulingPolicy = TaskSchedulingPolicy::PullStaged;

/// Bytes of stack: plans are read by recursion, and a scorecard's expressions are deep.
const STACK: usize = 32 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["scheduler", port] => {
            let config = SchedulerConfig {
                bind_port: port.parse()?,
                scheduling_policy: POLICY,
                executor_timeout_seconds: LOST,
                expire_dead_executor_interval_seconds: 1,
                no_executors_grace_period_seconds: 1,
                ..SchedulerConfig::default()
            };
            let cluster = BallistaCluster::new_from_config(&config).await?;
            start_server(cluster, format!("127.0.0.1:{port}").parse()?, Arc::new(config)).await?;
        }
        ["executor", scheduler_port, port, grpc_port, work_dir] => {
            let config = ExecutorProcessConfig {
                scheduler_host: "127.0.0.1".to_owned(),
                scheduler_port: scheduler_port.parse()?,
                scheduler_connect_timeout_seconds: 30,
                external_host: Some("127.0.0.1".to_owned()),
                task_scheduling_policy: POLICY,
                port: port.parse()?,
                grpc_port: grpc_port.parse()?,
                work_dir: Some(work_dir.to_owned()),
                executor_heartbeat_interval_seconds: 1,
                ..ExecutorProcessConfig::default()
            };
            start_executor_process(Arc::new(config)).await?;
        }
        _ => {
            return Err("expected: scheduler PORT, or executor SCHEDULER_PORT PORT GRPC_PORT WORK_DIR".into());
        }
    }
    Ok(())
}
