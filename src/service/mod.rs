//! A thin gRPC shell around the engine: it translates, and decides nothing about scores.

mod admission;
mod catalog;
mod caught;
mod connections;
mod convert;
mod convert_answer;
mod convert_report;
mod convert_request;
mod credential;
mod delivery;
mod guarded;
mod handler;
mod known;
mod listeners;
mod metrics;
mod observed;
mod runs;
mod server;
mod status;
mod stream;
mod telemetry;
mod timed;
mod tls;
mod token;
mod upload;
mod watch;

pub use admission::Limits;
pub use connections::Connections;
pub use convert_request::{RequestError, request as read_request};
pub use credential::{Credential, CredentialError};
pub use metrics::{Metrics, Reading, serve_metrics};
pub use server::{MAX_UPLOAD, ServeError, ServerConfig, run};
pub use status::{DOMAIN, code};
pub use telemetry::{Telemetry, TelemetryError};
pub use tls::Tls;
pub use token::Tokens;
