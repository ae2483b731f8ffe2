//! The public contract as Rust types, generated from `proto/` and committed.
//!
//! Never edit the generated files: `UPDATE_PROTO=1 cargo test --test it proto` writes them anew.

#[rustfmt::skip]
#[allow(clippy::large_enum_variant, reason = "generated, and a result comes once a run")]
mod customer_health_v1;
mod json;

pub use customer_health_v1::*;

/// The encoded `FileDescriptorSet` of the contract, comments included, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("customer_health_v1.bin");

/// Trailer of a failed call that holds [`ErrorKind::reason`](crate::error::ErrorKind::reason), for callers that match
/// on it.
pub const REASON: &str = "customer-health-reason";

/// Key in the metadata of a failed call's `google.rpc.ErrorInfo`: how many problems the component has, of which
/// `google.rpc.BadRequest` may hold the first only.
pub const PROBLEMS: &str = "problems";
