//! A thin gRPC shell: convert the request, call what `app` shares, convert the answer.

mod event_stream;
mod handler;
mod interceptor;
mod server;
mod span_export;

pub use server::{MAX_UPLOAD, ServeError, ServerConfig, run};
pub use span_export::{Telemetry, TelemetryError};
