//! Paths and what lies there: where a path may lead ([`roots`], [`uri`]), how files become a table ([`source`]), object
//! stores ([`store`]), and how a table gets to its place, whole or not at all ([`output`],
//! [`encode`], [`write_behind`], [`publish`]).

pub mod context;
pub mod earlier_table;
pub mod encode;
mod error;
pub mod exhausted;
pub mod output;
pub mod publish;
pub mod roots;
pub mod scratch;
pub mod source;
pub mod spill;
pub mod store;
pub mod uri;
pub mod workspace;
mod write_behind;

pub use error::IoError;
