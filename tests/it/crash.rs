//! A process that is killed at any moment leaves the old table or the new one, never a part of one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Folder, batch, ints, read_parquet, texts};

const OLD: usize = 3;
const NEW: usize = 200_000;

fn start(folder: &Folder, component: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_customer-health"))
        .arg("materialize")
        .arg(folder.path(component))
        .arg("--output")
        .arg(folder.path("out/scores.parquet"))
        .arg("--quiet")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[track_caller]
fn finish(child: Child) -> Duration {
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    began.elapsed()
}

fn table(folder: &Folder, name: &str, rows: usize) {
    let ids: Vec<String> = (0..rows).map(|row| format!("customer {row:08}")).collect();
    folder.parquet(
        &format!("{name}.parquet"),
        &batch([
            ("customer_id", texts(ids.iter().map(String::as_str))),
            ("active_days", ints((0..rows as i64).map(|row| row % 31))),
        ]),
    );
    folder.text(&format!("{name}.yaml"), &format!("inputs: {{customer: {name}.parquet}}\n"));
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    folder.read_dir().map(|all| all.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

/// When to kill.
enum Moment {
    /// So long after the start.
    After(Duration),
    /// As soon as something beside the old table holds so many bytes.
    Staged(u64),
}

/// Waits for the moment, or for the end of the process if that comes first, and kills.
fn kill_at(mut child: Child, moment: &Moment, out: &Path) {
    let began = Instant::now();
    loop {
        let come = match moment {
            Moment::After(delay) => began.elapsed() >= *delay,
            Moment::Staged(bytes) => entries(out).iter().any(|path| {
                !path.ends_with("scores.parquet") && path.metadata().is_ok_and(|file| file.len() >= *bytes)
            }),
        };
        if come || child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::yield_now();
    }
    drop(child.kill());
    child.wait().unwrap();
}

#[test]
fn a_kill_leaves_the_old_table_or_the_new_one() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("out")).unwrap();
    table(&folder, "old", OLD);
    table(&folder, "new", NEW);
    let scores = folder.path("out/scores.parquet");
    let whole = finish(start(&folder, "new.yaml"));
    assert_eq!(read_parquet(&scores).num_rows(), NEW);

    let mut moments: Vec<Moment> = [0.05, 0.3, 0.6, 0.8, 0.95].map(|part| Moment::After(whole.mul_f64(part))).into();
    moments.extend([0, 1, 100_000].map(Moment::Staged));
    let mut kept = 0;
    for moment in &moments {
        finish(start(&folder, "old.yaml"));
        let before = std::fs::read(&scores).unwrap();
        kill_at(start(&folder, "new.yaml"), moment, &folder.path("out"));
        match read_parquet(&scores).num_rows() {
            OLD => {
                assert!(std::fs::read(&scores).unwrap() == before, "the old table was touched");
                kept += 1;
            }
            rows => assert_eq!(rows, NEW, "a part of a table"),
        }
    }
    assert!(kept > 0, "no kill came before the end");

    // What killed runs left behind hinders nobody, and no reader of the folder takes it for a table.
    finish(start(&folder, "new.yaml"));
    assert_eq!(read_parquet(&scores).num_rows(), NEW);
    let tables =
        entries(&folder.path("out")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "parquet"));
    assert_eq!(tables.collect::<Vec<_>>(), [scores]);
}
