//! The one integration binary: a module for each promise to users.

mod grpc;
mod proto;
