//! Customer health scores as a data asset.
//!
//! One way through, each step a module: the command line ([`cli`]) speaks through a typed [`client`] to the service over
//! [`grpc`], whose contract is [`proto`]; [`wire`] converts between that contract and the types of this crate; [`app`] holds
//! what every front end shares, reads `component.yaml` into a valid [`component`] with its [`scorecard`] and hands it to
//! the [`engine`], which makes one logical [`plan`], runs it, and publishes the table.
//!
//! Without a server, a [`component::Component`] and an [`engine::Engine`] are enough: see [`engine`] for the five lines.

#![forbid(unsafe_code)]

pub mod cli;

pub mod client;

pub mod grpc;

pub mod wire;

pub use wire::proto;

pub mod app;

pub mod engine;

pub mod plan;

mod accel;

mod cluster;

mod io;

mod intake;

pub mod component;

pub mod scorecard;

pub mod error;

mod panics;
mod regular;
mod shown;
