//! Files from strangers, bounded before they are believed.
//!
//! A reader makes room for what a file promises. Here those promises are held against the file itself and against limits
//! first: footers and page headers of Parquet ([`parquet_footer`], [`page_index`], [`page_headers`], with [`thrift`], which
//! they are written in), Arrow IPC ([`ipc`], [`ipc_file`]), and the records of CSV and JSON ([`text`]).

mod error;
pub mod ipc;
pub mod ipc_file;
pub mod limits;
pub mod page_headers;
pub mod page_index;
pub mod parquet_footer;
pub mod text;
pub mod thrift;

pub use error::IntakeError;
