//! Inputs that are cut, broken, gone or of two minds.

use std::fs;

use customer_health::client::chunks;
use customer_health::error::ErrorKind;
use customer_health::proto::{Input, InputChunk};
use tokio_stream::iter;

use super::{House, MANY, OUT, ipc, table, upload};
use crate::support::{batch, flags, floats, read_parquet, texts};

/// A small generator of numbers, the same in every run of the test.
fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_and_empty_parquet_is_refused() {
    let mut house = House::new().await;
    house.folder.parquet("bad.parquet", &table(1_000));
    let whole = fs::read(house.folder.path("bad.parquet")).unwrap();
    for length in [0, 1, 4, 8, 12, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
        fs::write(house.folder.path("bad.parquet"), &whole[..length]).unwrap();
        assert_eq!(house.refuses(&format!("cut to {length}")).await.kind, ErrorKind::InvalidInput);
    }
    fs::write(house.folder.path("bad.parquet"), &whole).unwrap();
    house.run(OUT).await.unwrap();
    house.before = fs::read(house.folder.path("out.parquet")).unwrap();
    house.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_never_take_the_server_down() {
    let mut house = House::new().await;
    house.folder.parquet("bad.parquet", &table(200));
    let (whole, mut number) = (fs::read(house.folder.path("bad.parquet")).unwrap(), numbers(1));
    let footer = whole.len() - 400;
    for round in 0..60 {
        let mut bytes = whole.clone();
        // Half of them in the footer, where most of the sense is.
        let at = if round % 2 == 0 { number(bytes.len()) } else { footer + number(400) };
        bytes[at] ^= 1 << number(8);
        fs::write(house.folder.path("bad.parquet"), &bytes).unwrap();
        match house.run(OUT).await {
            // A flipped bit in a value is a value.
            Ok(_) => house.before = fs::read(house.folder.path("out.parquet")).unwrap(),
            Err(error) => {
                assert!(error.message.contains("hint: "), "{at}: {error}");
                house.untouched(&format!("bit at {at}"));
            }
        }
    }
    house.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_cut_anywhere_is_refused() {
    let house = House::new().await;
    let whole = ipc(&table(300), 100);
    let mut boundaries = vec![0];
    while let Some(at) = boundaries.last().copied().filter(|at| at + 8 < whole.len()) {
        let length = u32::from_le_bytes(whole[at + 4..at + 8].try_into().unwrap()) as usize;
        let message = arrow::ipc::root_as_message(&whole[at + 8..at + 8 + length]).unwrap();
        boundaries.push(at + 8 + length + message.bodyLength() as usize);
    }
    assert_eq!(boundaries.len(), 5, "a schema, three batches and the end: {boundaries:?}");
    let mut client = house.running.client().await;
    let mut send = async |bytes: &[u8], last: bool| {
        let chunk = InputChunk { input: Input::Customer.into(), data: bytes.to_vec(), last };
        client.materialize_stream(upload(&house.folder.path("")), iter([chunk]), |_| ()).await
    };
    for at in boundaries {
        // The connection breaks there.
        let error = send(&whole[..at], false).await.unwrap_err();
        assert!(error.message.contains("is not complete"), "{at}: {error}");
        // The sender takes a part for the whole.
        for within in [at + 1, at + 6, at + 11].into_iter().filter(|within| *within < whole.len()) {
            let error = send(&whole[..within], true).await.unwrap_err();
            assert!(
                error.message.contains("input `customer`") && error.message.contains("hint: "),
                "{within}: {error}"
            );
        }
        house.untouched(&format!("cut at {at}"));
    }
    let pieces: Vec<_> = chunks(Input::Customer, &whole).collect();
    let sent = client.materialize_stream(upload(&house.folder.path("")), iter(pieces), |_| ());
    assert_eq!(sent.await.unwrap().report.unwrap().customers, 300);
    drop(client);
    house.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_one_folder_that_differ_are_told_or_read() {
    let house = House::new().await;
    let yaml = OUT.replace("bad.parquet", "bad");
    house.folder.parquet("bad/1.parquet", &table(3));
    let other = batch([("customer_id", texts(["x"])), ("active_days", flags([true]))]);
    house.folder.parquet("bad/2.parquet", &other);
    let error = house.run(&yaml).await.unwrap_err();
    assert!(error.message.contains("input `customer`") && error.message.contains("active_days"), "{error}");
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    house.untouched("two types");
    // A column that one file lacks is null there.
    house.folder.parquet("bad/2.parquet", &batch([("customer_id", texts(["x"])), ("logins", floats([1.0]))]));
    assert_eq!(house.run(&yaml.replace("out.parquet", "both.parquet")).await.unwrap().rows, 4);
    house.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_may_go_at_any_time() {
    let mut house = House::new().await;
    fs::remove_file(house.folder.path("bad.parquet")).unwrap();
    assert_eq!(house.refuses("gone before").await.kind, ErrorKind::NotFound);
    house.folder.parquet_in_groups("many.parquet", &table(MANY), 20_000);
    let whole = fs::read(house.folder.path("many.parquet")).unwrap();
    let path = house.folder.path("bad.parquet");
    for stage in 1..=4 {
        for cut in [false, true] {
            fs::write(&path, &whole).unwrap();
            let component = crate::support::source(OUT, &house.folder.path(""));
            let request = customer_health::proto::MaterializeRequest { component, ..Default::default() };
            let mut client = house.running.client().await;
            let outcome = client.materialize(request, |notice| {
                let now = match notice {
                    customer_health::client::Notice::Progress(progress) => progress.stage,
                    _ => 0,
                };
                if now == stage && path.exists() {
                    match cut {
                        true => fs::write(&path, &whole[..whole.len() / 3]).unwrap(),
                        false => fs::remove_file(&path).unwrap(),
                    }
                }
            });
            match outcome.await {
                // It was read already, or is still open.
                Ok(_) => {
                    assert_eq!(read_parquet(&house.folder.path("out.parquet")).num_rows(), MANY);
                    house.before = fs::read(house.folder.path("out.parquet")).unwrap();
                }
                Err(error) => {
                    assert!(error.message.contains("bad.parquet"), "{error}");
                    house.untouched(&format!("gone in stage {stage}"));
                }
            }
        }
    }
    house.ends_well().await;
}
