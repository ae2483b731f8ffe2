//! Many small calls by many clients at once: none is lost, and memory goes back to about where it began.
//!
//! `LOAD_CALLS=10000 cargo test --test it load` makes more of them than every run of the tests should.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use customer_health::client::Client;
use customer_health::proto::{DescribeComponentRequest, ExplainCustomerRequest, MaterializeSyncRequest};
use tokio::task::JoinSet;

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
    let all = std::env::var("LOAD_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(512);
    let folder = Arc::new(Folder::new());
    let ids: Vec<String> = (0..20).map(|row| format!("c{row}")).collect();
    let table = batch([("customer_id", texts(ids.iter().map(String::as_str))), ("active_days", ints(0..20))]);
    folder.parquet("c.parquet", &table);
    std::fs::create_dir(folder.path("out")).unwrap();
    let mut command = serve(&folder, &["--max-queued", "64"]);
    command.env("RUST_LOG", "warn");
    let server = Served::of(command);

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
