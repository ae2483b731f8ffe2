//! Tables in, scores out: what every other module here leans on.

mod files;
mod grid;
mod process;
mod s3;
mod scores;
mod server;

pub use files::{Folder, Run, block_on, engine, plain_engine, root, silent};
pub use grid::{Cell, Grid, Kind, batch, flags, floats, ints, shapes, texts};
pub use process::{Served, serve};
pub use s3::{Answer, KEY, S3, SECRET, Seen};
pub use scores::{Scores, read_parquet};
pub use server::{Running, asking, source};

/// Numbers that are meant to be equal.
#[track_caller]
pub fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-9, "{what}: found {found}, expected {expected}");
}

/// A scorecard file of one component, `c`, which reads the input `customer` and has one indicator, `x`.
pub fn one_indicator(indicator: &str) -> String {
    scorecard(&format!("  c:\n    input: customer\n    weight: 1\n    indicators:\n      x: {indicator}\n"))
}

/// A scorecard file with these components and plain limits.
pub fn scorecard(components: &str) -> String {
    format!(
        "name: test\nanalysis_period_days: 30\nmin_health_score: 0\nmax_health_score: 100\n\
         churn_risk_threshold: 40\nexpansion_opportunity_threshold: 75\ncomponents:\n{components}"
    )
}
