//! `serve` as an operator starts it: where it listens, and where it reads and writes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

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
