//! Panics: what this program expects of others' decoders is no news, and a server tells the rest in lines of its log.
//!
//! Rust writes a few lines to stderr for each panic, caught or not, and knows nothing of logs.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::thread;

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// What work gives that panics on some input by design of whoever wrote it; `None` where it did.
pub fn expected<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = EXPECTED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(before);
    outcome.ok()
}

/// From now on nothing is said of expected panics; of others, what was said before.
pub fn pass_over_expected() {
    let tell = take_hook();
    set_hook(Box::new(move |panic| {
        if !EXPECTED.get() {
            tell(panic);
        }
    }));
}

/// From now on a panic is one line of the log, with the run that it is about; where errors are not logged, it is told as
/// before.
pub fn log() {
    let tell = take_hook();
    set_hook(Box::new(move |panic| match tracing::enabled!(tracing::Level::ERROR) {
        _ if EXPECTED.get() => {}
        true => line(panic),
        false => tell(panic),
    }));
}

fn line(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current().name().unwrap_or("unnamed").to_owned();
    let message = panic.payload_as_str().unwrap_or("of no text");
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => tracing::error!(at, thread, %backtrace, "panicked: {message}"),
        _ => tracing::error!(at, thread, "panicked: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The hook is the process's; other threads' panics have no subscriber here, and are told as ever.
    #[test]
    fn a_panic_is_a_line_of_the_log_and_an_expected_one_is_nothing() {
        log();
        let lines = Lines::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("run", run_id = "nightly");
            let _entered = span.enter();
            assert_eq!(expected(|| 7), Some(7));
            assert_eq!(expected(|| -> u8 { panic!("of a decoder") }), None);
            assert!(catch_unwind(|| panic!("no such {}", "thing")).is_err());
        });
        let told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(told.contains("ERROR") && told.contains("panicked: no such thing"), "{told}");
        assert!(told.contains("panics.rs:") && told.contains("nightly"), "{told}");
        assert!(!told.contains("of a decoder"), "{told}");
    }
}
