//! `serve` as a process of its own, whose log can be read.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Folder;

/// A server in a process of its own, which ends when this is dropped.
pub struct Served {
    pub uri: String,
    /// Where its numbers are, where it was asked for them.
    pub metrics: Option<String>,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// `serve` in a folder, on a free port of the loopback interface where the arguments do not say otherwise.
pub fn serve(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-health"));
    command.current_dir(folder.path("")).arg("serve").args(arguments);
    if !arguments.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.env("RUST_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Served {
    /// Starts one that logs all it can.
    pub fn start(folder: &Folder, arguments: &[&str]) -> Self {
        Self::of(serve(folder, arguments))
    }

    pub fn of(mut command: Command) -> Self {
        let measured = command.get_args().any(|argument| argument == "--metrics-listen");
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::<Mutex<String>>::default();
        let lines = log.clone();
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                lines.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(uri) = line.trim().strip_prefix("listening on ").map(str::to_owned) else {
            reader.join().unwrap();
            panic!("it does not listen: {line}{}", log.lock().unwrap());
        };
        let metrics = measured.then(|| {
            line.clear();
            stdout.read_line(&mut line).unwrap();
            line.trim().strip_prefix("metrics on ").unwrap_or_else(|| panic!("{line}")).to_owned()
        });
        // Whatever else it says there is thrown away, so that it never waits for a reader.
        std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        Self { uri, metrics, child, log, reader: Some(reader) }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Memory that it holds, in bytes, as Linux tells it.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Waits until it has logged a text.
    pub fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.log().contains(text) {
            assert!(start.elapsed() < Duration::from_secs(20), "`{text}` was not logged:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks it to end, as an operator does, and gives all that it has logged.
    pub fn stop(mut self) -> String {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        assert!(status.success(), "{}", self.log());
        self.log()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
