//! Callers that go away: whatever they had begun is given up within a moment.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use customer_health::proto::customer_health_service_client::CustomerHealthServiceClient;
use customer_health::proto::materialize_response::Event;
use customer_health::proto::{
    Input, InputChunk, MaterializeRequest, MaterializeStreamRequest, materialize_stream_request,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_stream::{StreamExt, iter};

use super::{House, MANY, OUT, ipc, left_in, soon, table, temporary, upload};
use crate::support::source;

/// What a dropped call had is given back within so long, in a debug build too.
const MOMENT: Duration = Duration::from_secs(1);

impl House {
    /// Waits until nothing of a dropped call is left, and its place is free again.
    async fn forgets(&self, what: &str) {
        let since = Instant::now();
        loop {
            let left = [temporary(self.temp.path()), left_in(&self.folder.path(""), ".tmp")].concat();
            if left.is_empty() {
                break;
            }
            assert!(since.elapsed() < MOMENT, "{what}: there is still {left:?}");
            sleep(Duration::from_millis(2)).await;
        }
        let quick = "inputs: {customer: good.parquet}\noutput: quick.parquet\n";
        let mut busy = since.elapsed();
        while let Err(error) = self.run(quick).await {
            busy = since.elapsed();
            assert!(error.message.contains("the server is full"), "{what}: {error}");
            assert!(busy < MOMENT, "{what}: its place is not given back");
        }
        println!("{what}: free after {busy:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_go_after_any_event() {
    let house = House::new().await;
    house.folder.parquet_in_groups("bad.parquet", &table(MANY), 20_000);
    let mut events_seen = 0;
    for last in [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 20] {
        let component = source(OUT, &house.folder.path(""));
        let request = MaterializeRequest { component, ..Default::default() };
        let mut events = house.running.raw().await.materialize(request).await.unwrap().into_inner();
        let mut done = false;
        for _ in 0..last {
            match events.next().await {
                Some(Ok(message)) => done |= matches!(message.event, Some(Event::Result(_))),
                _ => break,
            }
            events_seen += 1;
        }
        assert!(!done, "the run was over after {last} events; give it more rows");
        drop(events);
        house.forgets(&format!("gone after {last} events")).await;
        house.untouched(&format!("gone after {last} events"));
    }
    assert!(events_seen > 40);
    house.ends_well().await;
}

/// A line to the server that can be cut.
async fn between(server: SocketAddr) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let line = tokio::spawn(async move {
        let (mut caller, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(server).await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut caller, &mut server).await);
    });
    (uri, line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_go_in_mid_upload() {
    let house = House::new().await;
    let whole = ipc(&table(50_000), 1_000);
    let part = |part| MaterializeStreamRequest { part: Some(part) };
    for pieces in [0, 1, 3] {
        let start = part(materialize_stream_request::Part::Start(upload(&house.folder.path(""))));
        let chunks = whole.chunks(whole.len() / 4).take(pieces).map(|data| {
            let chunk = InputChunk { input: Input::Customer.into(), data: data.to_vec(), last: false };
            part(materialize_stream_request::Part::Chunk(chunk))
        });
        let parts: Vec<_> = std::iter::once(start).chain(chunks).collect();
        // The stream stays open behind what was sent, until the call is dropped.
        let parts = iter(parts).chain(tokio_stream::pending());
        // As when a machine goes: the connection ends, and nobody says why.
        let (uri, line) = between(house.running.address).await;
        let mut client = CustomerHealthServiceClient::connect(uri).await.unwrap();
        let events = client.materialize_stream(parts).await.unwrap();
        soon(|| if temporary(house.temp.path()).is_empty() { vec!["nothing was received yet"] } else { vec![] });
        line.abort();
        house.forgets(&format!("gone after {pieces} pieces")).await;
        drop(events);
        house.untouched("gone in mid-upload");
    }
    house.ends_well().await;
}
