//! Customer health scores as a data asset.
//!
//! One way through, each step a module: the command line ([`cli`]) speaks through a typed [`client`] to the gRPC
//! [`service`], whose contract is [`proto`]; the service reads `component.yaml` into a valid [`component`] with its
//! [`scorecard`] and hands it to the [`engine`], which makes one logical [`plan`], runs it, and publishes the table.
//!
//! Without a server, a [`component::Component`] and an [`engine::Engine`] are enough: see [`engine`] for the five lines.

#![forbid(unsafe_code)]

pub mod proto;

pub mod cli;

pub mod client;

pub mod service;

pub mod engine;

pub mod plan;

pub mod component;

pub mod scorecard;

pub mod error;

mod panics;
mod regular;
