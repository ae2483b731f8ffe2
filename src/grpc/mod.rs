//! A thin gRPC shell: convert the request, call what `app` shares, convert the answer.

mod call_span;
mod connect_info;
mod event_stream;
mod handler;
mod health;
mod interceptor;
mod server;
mod span_export;
mod upload_stream;

pub use server::{MAX_UPLOAD, ServeError, ServerConfig, serve};
pub use span_export::{Telemetry, TelemetryError};
