//! Customer health scores as a data asset.
//!
//! One way through, each step a module:
//! `component.yaml` -> [`component`] -> [`scorecard`].

#![warn(missing_docs)]

pub mod component;
pub mod error;
pub mod scorecard;
