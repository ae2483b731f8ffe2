//! Fuzz target: see `component_text` in `bodies.rs`.

#![no_main]

#[allow(dead_code, reason = "a target has one of the bodies")]
#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::component_text(bytes));
