//! The program: the allocator and the command line.

use std::process::ExitCode;

/// The system's allocator hands memory back reluctantly after many threads have used it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    customer_health::cli::run()
}
