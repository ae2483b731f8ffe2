//! `serve` as an operator starts it: where it listens, and where it reads and writes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Folder, asking, block_on};

fn serve(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customer-health"));
    command.current_dir(folder.path("")).arg("serve").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, stdout } = serve(&Folder::new(), arguments).output().unwrap();
    assert!(stdout.is_empty(), "{arguments:?} listens");
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// Waits until it listens, and tells where.
fn listening(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
#[cfg(not(feature = "ballista"))]
fn a_build_without_ballista_says_how_to_get_one() {
    let (code, message) = refused(&["--engine", "ballista", "--scheduler", "df://127.0.0.1:50050"]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("this build has no Ballista") && message.contains("--features ballista"), "{message}");
}

#[test]
fn what_strangers_can_reach_is_refused_unless_insecure_says_so() {
    for open in ["0.0.0.0:0", "[::]:0"] {
        let (code, message) = refused(&["--listen", open]);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains("is no loopback address") && message.contains("--insecure"), "{message}");
    }
    let folder = Folder::new();
    let mut child = serve(&folder, &["--listen", "0.0.0.0:0", "--insecure"]).spawn().unwrap();
    let address = listening(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(address.starts_with("http://0.0.0.0:"), "{address}");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    assert_eq!(refused(&["--max-runs", "0"]).0, Some(2));
    let (code, message) = refused(&["--allow", "not-there"]);
    assert_eq!(code, Some(5), "{message}");
    assert!(message.contains("allowed folder: there is nothing at not-there"), "{message}");
    assert_ne!(refused(&["--listen", "no address"]).0, Some(0));
}

#[test]
fn it_reads_and_writes_in_its_working_directory_only() {
    let (here, elsewhere) = (Folder::new(), Folder::new());
    for folder in [&here, &elsewhere] {
        folder.text("u.csv", "customer_id,session_count\na,1\n");
    }
    let mut child = serve(&here, &["--listen", "127.0.0.1:0"]).spawn().unwrap();
    let uri = listening(&mut child);
    let text = "inputs: {usage: u.csv}\noutput: o.parquet\n";
    let outcomes = block_on(async {
        let mut client = customer_health::client::Client::connect(&uri).await.unwrap();
        let inside = client.materialize_sync(asking(text, &here.path(""))).await;
        (inside, client.materialize_sync(asking(text, &elsewhere.path(""))).await)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(outcomes.0.unwrap().rows, 1);
    let refused = outcomes.1.unwrap_err();
    assert_eq!(refused.kind, customer_health::error::ErrorKind::Denied);
    assert!(refused.message.contains("serve --allow DIR"), "{refused}");
}

/// Whether it ends within that time, and well.
fn ends_within(child: &mut Child, seconds: u64) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn it_ends_with_its_standard_input_where_it_is_asked_to() {
    let folder = Folder::new();
    let mut child =
        serve(&folder, &["--listen", "127.0.0.1:0", "--until-stdin-closes"]).stdin(Stdio::piped()).spawn().unwrap();
    let uri = listening(&mut child);
    child.stdin.as_mut().unwrap().write_all(b"what is said here does not matter\n").unwrap();
    let connects = || block_on(customer_health::client::Client::connect(&uri)).is_ok();
    assert!(connects() && !ends_within(&mut child, 1), "it serves as long as its input is open");
    drop(child.stdin.take());
    assert!(ends_within(&mut child, 20), "it serves on without its input");
    assert!(!connects());

    let mut child = serve(&folder, &["--listen", "127.0.0.1:0"]).stdin(Stdio::null()).spawn().unwrap();
    listening(&mut child);
    assert!(!ends_within(&mut child, 1), "an input that is closed ends no server that was not asked to mind it");
    child.kill().unwrap();
    child.wait().unwrap();
}
