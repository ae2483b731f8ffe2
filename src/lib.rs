//! Customer health scores as a data asset.
//!
//! One way through, each step a module:
//! `component.yaml` -> [`component`] -> [`scorecard`] -> [`plan`].

#![warn(missing_docs)]

pub mod component;
pub mod engine;
pub mod error;
pub mod plan;
pub mod scorecard;
