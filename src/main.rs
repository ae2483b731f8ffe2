//! The program: nothing but the command line.

use std::process::ExitCode;

mod allocator;

fn main() -> ExitCode {
    allocator::set();
    customer_health::cli::run()
}
