//! The contract as Rust types, and every conversion between them and the engine's own types, both ways and once.

pub mod proto;

pub(crate) mod answer;
mod measures;
pub(crate) mod problems;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod status;
pub(crate) mod values;

pub use answer::{convert_description, convert_explanation};
pub use request::{RequestError, read_request};
pub use status::{DOMAIN, status_code};
