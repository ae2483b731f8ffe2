//! A thin gRPC shell around the engine: it translates, and decides nothing about scores.

mod convert;
mod handler;
mod server;
mod status;

pub use convert::RequestError;
pub use server::{ServeError, ServerConfig, run};
