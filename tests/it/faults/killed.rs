//! A server that is killed: the next one clears what it left, and the output is the old one or the new one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use customer_health::client::{Client, Notice, chunks};
use customer_health::proto::Input;
use tokio_stream::iter;

use super::{MANY, ipc, left_in, table, upload};
use crate::support::{Folder, asking, read_parquet};

/// Starts a server, and tells where it listens.
fn serve(folder: &Folder, temp: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_customer-health"))
        .current_dir(folder.path(""))
        .args(["serve", "--listen", "127.0.0.1:0", "--temp-dir"])
        .arg(temp)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let uri = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    (child, uri)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_left_is_cleared_at_the_next_start() {
    let (folder, temp) = (Folder::new(), tempfile::tempdir().unwrap());
    folder.parquet("good.parquet", &table(3));
    let good = "inputs: {customer: good.parquet}\noutput: out.parquet\n";
    let bytes = ipc(&table(MANY), 50_000);
    let mut left = 0;
    // Its stages: opened, profiled, population, scored, published.
    for stage in 1..=5 {
        let (mut child, uri) = serve(&folder, temp.path());
        let mut client = Client::connect(&uri).await.unwrap();
        assert_eq!(client.materialize_sync(asking(good, &folder.path(""))).await.unwrap().rows, 3);
        let before = fs::read(folder.path("out.parquet")).unwrap();
        let pieces: Vec<_> = chunks(Input::Customer, &bytes).collect();
        let pid = &mut child;
        let killed = client.materialize_stream(upload(&folder.path("")), iter(pieces), |notice| {
            if matches!(notice, Notice::Progress(progress) if progress.stage == stage) {
                drop(pid.kill());
            }
        });
        drop(killed.await);
        drop(child.kill());
        child.wait().unwrap();
        left += temp.path().read_dir().unwrap().count();
        match read_parquet(&folder.path("out.parquet")).num_rows() {
            3 => assert!(fs::read(folder.path("out.parquet")).unwrap() == before, "the old table was touched"),
            rows => assert_eq!(rows, MANY, "a part of a table"),
        }

        let (mut child, uri) = serve(&folder, temp.path());
        assert_eq!(temp.path().read_dir().unwrap().count(), 1, "one folder, of the living server");
        let mut client = Client::connect(&uri).await.unwrap();
        assert_eq!(client.materialize_sync(asking(good, &folder.path(""))).await.unwrap().rows, 3);
        assert!(left_in(&folder.path(""), ".tmp").is_empty(), "staged files are left");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(left >= 4, "hardly a kill came in time: {left}");
}
