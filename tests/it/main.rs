//! What users are promised: one integration binary, one module per promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may panic and write files"
)]

mod cases;
mod crash;
mod eight_examples;
mod example_data;
mod grpc;
mod inputs;
mod oracle;
mod output;
mod population;
mod properties;
mod proto;
mod ravenstack;
mod readme;
mod runs;
mod scales;
mod support;
mod tidy;
