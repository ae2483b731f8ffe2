//! Many small calls by many clients at once: none is lost, and memory goes back to about where it began.
//!
//! `LOAD_CALLS=10000 cargo test --test it load` makes more of them than every run of the tests should, and
//! `SOAK_SECONDS=3600` goes on for longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use customer_health::client::{Client, chunks};
use customer_health::error::ErrorKind;
use customer_health::proto::{
    DescribeComponentRequest, ExplainCustomerRequest, Input, MaterializeRequest, MaterializeSyncRequest, StreamStart,
    StreamedFormat, StreamedInput,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Folder, Served, asking, batch, ints, read_parquet, serve, source, texts};

const CLIENTS: usize = 64;

/// What may stay behind: results that are kept for callers who ask again, and the allocator's reserve.
const MAY_STAY: u64 = 96 << 20;

fn component(client: usize) -> String {
    format!("inputs: {{customer: c.parquet}}\noutput: out/{client}.parquet\n")
}

/// One call after the other, four kinds in turn; each has to answer.
async fn call(client: &mut Client, folder: &Folder, number: usize, turn: usize) {
    let (text, base) = (component(number), folder.path(""));
    match turn % 4 {
        0 => {
            let request = MaterializeSyncRequest { run_id: format!("{number}-{turn}"), ..asking(&text, &base) };
            assert_eq!(client.materialize_sync(request).await.unwrap().customers, 20);
        }
        1 => {
            let request = DescribeComponentRequest { component: source(&text, &base), ..Default::default() };
            assert!(!client.describe_component(request).await.unwrap().columns.is_empty());
        }
        2 => {
            let customer_id = "c7".to_owned();
            let request = ExplainCustomerRequest { component: source(&text, &base), customer_id, ..Default::default() };
            assert_eq!(client.explain_customer(request).await.unwrap().customer_id, "c7");
        }
        _ => assert!(!client.list_scorecards().await.unwrap().is_empty()),
    }
}

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn house() -> (Arc<Folder>, Served) {
    let folder = Arc::new(Folder::new());
    let ids: Vec<String> = (0..20).map(|row| format!("c{row}")).collect();
    let table = batch([("customer_id", texts(ids.iter().map(String::as_str))), ("active_days", ints(0..20))]);
    folder.parquet("c.parquet", &table);
    std::fs::create_dir(folder.path("out")).unwrap();
    let mut command = serve(&folder, &["--max-queued", "64"]);
    command.env("RUST_LOG", "warn");
    (folder, Served::of(command))
}

async fn calls(server: &Served, folder: &Arc<Folder>, all: usize, first: usize) -> usize {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (uri, folder, answered) = (server.uri.clone(), folder.clone(), answered.clone());
        clients.spawn(async move {
            let mut client = Client::connect(&uri).await.unwrap();
            for turn in first..first + all / CLIENTS {
                call(&mut client, &folder, number, turn).await;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    answered.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_lose_nothing_and_leave_nothing_behind() {
    let all = setting("LOAD_CALLS", 512);
    let (folder, server) = house();
    // What grows once, such as threads and pools, has grown after this.
    let warm = 4 * CLIENTS;
    assert_eq!(calls(&server, &folder, warm, 0).await, warm);
    let before = server.resident();
    assert_eq!(calls(&server, &folder, all, warm).await, all / CLIENTS * CLIENTS);
    let after = server.resident();
    println!("{all} calls: {} MiB before, {} MiB after", before >> 20, after >> 20);
    assert!(after < before + MAY_STAY, "{before} bytes before, {after} after");
    for number in 0..CLIENTS {
        assert_eq!(read_parquet(&folder.path(&format!("out/{number}.parquet"))).num_rows(), 20);
    }
    server.stop();
}

/// A call that fails, one that is given up in the middle, and one that brings its input along.
async fn stumble(client: &mut Client, folder: &Folder, number: usize) {
    let base = folder.path("");
    let missing = asking("inputs: {customer: gone.parquet}\noutput: out/gone.parquet\n", &base);
    assert_eq!(client.materialize_sync(missing).await.unwrap_err().kind, ErrorKind::NotFound);
    let dropped = client.materialize_sync(asking(
        &format!("inputs: {{customer: c.parquet}}\noutput: out/dropped-{number}.parquet\n"),
        &base,
    ));
    drop(timeout(Duration::from_millis(5), dropped).await);
    let component = source(&format!("output: out/sent-{number}.parquet\n"), &base);
    let inputs = vec![StreamedInput { input: Input::Customer.into(), format: StreamedFormat::Parquet.into() }];
    let request = Some(MaterializeRequest { component, ..Default::default() });
    let start = StreamStart { request, inputs, ..Default::default() };
    let sent = std::fs::read(folder.path("c.parquet")).unwrap();
    let sent: Vec<_> = chunks(Input::Customer, &sent).collect();
    client.materialize_stream(start, tokio_stream::iter(sent), |_| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_all_sorts_that_go_on_leave_memory_where_it_settled() {
    let lasts = Duration::from_secs(setting("SOAK_SECONDS", 5) as u64);
    let (folder, server) = house();
    let (began, mut seen, mut told) = (Instant::now(), Vec::new(), Duration::ZERO);
    while began.elapsed() < lasts || seen.len() < 6 {
        let (mut clients, first) = (JoinSet::new(), seen.len() * 4);
        for number in 0..4 {
            let (uri, folder) = (server.uri.clone(), folder.clone());
            clients.spawn(async move {
                // A connection of its own each time: those have to go as well.
                let mut client = Client::connect(&uri).await.unwrap();
                for turn in first..first + 4 {
                    call(&mut client, &folder, number, turn).await;
                }
                stumble(&mut client, &folder, number).await;
            });
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
        seen.push(server.resident());
        if began.elapsed() >= told {
            println!("after {:?}: {} calls, {} MiB", began.elapsed(), seen.len() * 28, server.resident() >> 20);
            told = began.elapsed() + lasts / 10;
        }
    }
    // What grows once has grown in the first third.
    let third = seen.len() / 3;
    let highest = |seen: &[u64]| seen.iter().copied().max().unwrap();
    let (early, late) = (highest(&seen[..third]), highest(&seen[2 * third..]));
    println!("{} calls: at most {} MiB in the first third, {} in the last", seen.len() * 28, early >> 20, late >> 20);
    assert!(late < early + MAY_STAY, "{seen:?}");
    server.stop();
}
