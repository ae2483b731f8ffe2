//! What users are promised: one integration binary, one module per promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may panic and write files"
)]

mod aggregates;
#[cfg(feature = "ballista-cluster")]
mod ballista;
mod calls;
mod cases;
mod circles;
mod contract;
mod corpus;
mod crash;
mod customers;
mod documents;
mod edits;
mod eight_examples;
mod errors;
mod example_data;
mod faults;
mod flags;
mod folders;
mod grpc;
mod guesses;
mod hostile;
mod init;
mod inputs;
mod joins;
mod limits;
mod load;
mod lockout;
mod named;
mod observe;
mod one_row_each;
mod oracle;
mod output;
mod pipes;
mod population;
mod properties;
mod proto;
mod ravenstack;
mod readme;
mod replaced;
mod roots;
mod run_ids;
mod runs;
mod scales;
mod schema;
mod secure;
mod serve;
mod sql;
mod store_faults;
mod store_folders;
mod store_protocols;
mod store_users;
mod stores;
mod strangers;
mod streamed;
mod support;
mod tables;
mod terminal;
mod texts;
mod tidy;
mod times;
mod uuids;
