//! Fuzz target: see `parquet_footer` in `bodies.rs`.

#![no_main]

#[allow(dead_code, reason = "a target has one of the bodies")]
#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(init: {
    // libFuzzer ends at every panic; those of decoders are caught, and what is looked for here is what cannot be.
    std::panic::set_hook(Box::new(|_| ()));
}, |bytes: &[u8]| bodies::parquet_footer(bytes));
