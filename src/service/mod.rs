//! A thin gRPC shell around the engine: it translates, and decides nothing about scores.

mod admission;
mod catalog;
mod convert;
mod convert_answer;
mod convert_report;
mod convert_request;
mod delivery;
mod handler;
mod known;
mod listeners;
mod runs;
mod server;
mod status;
mod stream;
mod upload;
mod watch;

pub use admission::Limits;
pub use convert_request::RequestError;
pub use server::{MAX_UPLOAD, ServeError, ServerConfig, run};
pub use status::{DOMAIN, code};
