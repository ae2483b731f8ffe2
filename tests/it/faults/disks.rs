//! Disks that are full, and outputs that cannot be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use customer_health::engine::EngineConfig;
use customer_health::error::ErrorKind;

use super::{House, table};

/// A small disk, for as long as it lives.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may not mount one.
    fn mounted(at: &Path, bytes: usize) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let disk = Self(at.to_owned());
        let size = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(disk);
        }
        eprintln!("skipped: no disk can be mounted here, which takes root");
        None
    }

    fn make_read_only(&self) {
        let output = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_leaves_the_old_table() {
    let house = House::new().await;
    let Some(disk) = Disk::mounted(&house.folder.path("small"), 64 << 10) else { return house.ends_well().await };
    let yaml = "inputs: {customer: bad.parquet}\noutput: small/out.parquet\n";
    house.run(yaml).await.unwrap();
    let before = fs::read(house.folder.path("small/out.parquet")).unwrap();
    house.folder.parquet("bad.parquet", &table(200_000));
    let error = house.run(yaml).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ResourceExhausted, "{error}");
    assert!(error.message.contains("small/out.parquet") && error.message.contains("free space"), "{error}");
    assert!(fs::read(house.folder.path("small/out.parquet")).unwrap() == before, "the old table was touched");
    assert_eq!(fs::read_dir(house.folder.path("small")).unwrap().count(), 1, "something is left on the full disk");
    drop(disk);
    house.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_for_temporary_files_is_told_as_such() {
    let above = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mounted(&above.path().join("temp"), 256 << 10) else { return };
    let engine = EngineConfig {
        temp_dir: Some(above.path().join("temp")),
        memory_limit: Some(8 << 20),
        ..EngineConfig::default()
    };
    let house = House::with(engine).await;
    house.folder.parquet("bad.parquet", &table(200_000));
    let error =
        house.run("inputs: {customer: bad.parquet, usage: bad.parquet}\noutput: out.parquet\n").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ResourceExhausted, "{error}");
    assert!(
        error.message.contains("disk for temporary files is full") && error.message.contains("--temp-dir"),
        "{error}"
    );
    house.untouched("spilling");
    house.ends_well().await;
    drop(disk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_that_cannot_be_written_is_told_by_its_path() {
    let house = House::new().await;
    house.folder.text("file", "no folder");
    let error = house.run("inputs: {customer: good.parquet}\noutput: file/out.parquet\n").await.unwrap_err();
    assert!(error.message.contains("file/out.parquet") && error.message.contains("a file, not a folder"), "{error}");
    assert_eq!(error.kind, ErrorKind::InvalidComponent);
    if let Some(disk) = Disk::mounted(&house.folder.path("still"), 1 << 20) {
        let yaml = "inputs: {customer: good.parquet}\noutput: still/out.parquet\n";
        house.run(yaml).await.unwrap();
        let before = fs::read(house.folder.path("still/out.parquet")).unwrap();
        disk.make_read_only();
        let error = house.run(yaml).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
        assert!(error.message.contains("still/out.parquet"), "{error}");
        assert!(fs::read(house.folder.path("still/out.parquet")).unwrap() == before);
    }
    house.untouched("another output");
    house.ends_well().await;
}
