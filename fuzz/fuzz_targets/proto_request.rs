//! Fuzz target: see `proto_request` in `bodies.rs`.

#![no_main]

#[allow(dead_code, reason = "a target has one of the bodies")]
#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::proto_request(bytes));
