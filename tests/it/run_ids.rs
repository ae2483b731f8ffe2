//! Runs side by side: one id, one run; one output, one writer; so many at once; and none for which nobody waits.

use std::time::{Duration, Instant};

use customer_health::app::RunLimits;
use customer_health::grpc::ServerConfig;
use customer_health::proto::materialize_response::Event;
use customer_health::proto::{MaterializeRequest, MaterializeResponse, MaterializeSyncRequest, REASON};
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt;

use crate::support::{Folder, Running, asking, batch, ints, read_parquet, source, texts};

/// Rows that take seconds in a debug build, and stay well clear of the moments that tests need.
const MANY: usize = 1_000_000;

const SLOW: &str = "inputs: {customer: many.parquet}\noutput: slow.parquet\n";
const QUICK: &str = "inputs: {customer: few.parquet}\noutput: quick.parquet\n";

fn folder(many: bool) -> Folder {
    let folder = Folder::new();
    for (name, rows) in [("few", 3), ("many", if many { MANY } else { 3 })] {
        let ids: Vec<String> = (0..rows).map(|row| format!("customer {row:08}")).collect();
        let days = ints((0..rows as i64).map(|row| row % 31));
        let table = batch([("customer_id", texts(ids.iter().map(String::as_str))), ("active_days", days)]);
        folder.parquet(&format!("{name}.parquet"), &table);
    }
    folder
}

async fn server(max_runs: usize, max_queued: usize) -> Running {
    let limits = RunLimits { max_runs, max_queued };
    Running::with(ServerConfig { limits, grace: Duration::ZERO, ..ServerConfig::default() }).await
}

fn named(text: &str, folder: &Folder, run_id: &str) -> MaterializeSyncRequest {
    MaterializeSyncRequest { run_id: run_id.to_owned(), ..asking(text, &folder.path("")) }
}

fn slow(folder: &Folder, run_id: &str) -> MaterializeRequest {
    let component = source(SLOW, &folder.path(""));
    MaterializeRequest { component, run_id: run_id.to_owned(), ..Default::default() }
}

/// Starts the slow run and waits until it works.
async fn working(running: &Running, folder: &Folder, run_id: &str) -> Streaming<MaterializeResponse> {
    let mut events = running.raw().await.materialize(slow(folder, run_id)).await.unwrap().into_inner();
    assert!(matches!(events.next().await.unwrap().unwrap().event, Some(Event::Progress(_))));
    events
}

/// What a stream ends with.
async fn last(mut events: Streaming<MaterializeResponse>) -> Result<Event, Status> {
    let mut last = None;
    while let Some(message) = events.message().await? {
        last = message.event;
    }
    Ok(last.unwrap())
}

/// Runs the quick one as soon as the server has a place; panics if that takes too long.
async fn once_there_is_a_place(running: &Running, folder: &Folder) {
    let since = Instant::now();
    while let Err(status) = running.raw().await.materialize_sync(named(QUICK, folder, "")).await {
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(since.elapsed() < Duration::from_secs(1), "the place was not given back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_run_id_runs_once() {
    let (running, folder) = (server(2, 8).await, folder(false));
    let (mut one, mut two) = (running.raw().await, running.raw().await);
    let asked = || named(QUICK, &folder, "r-1");
    let (first, second) = tokio::join!(one.materialize_sync(asked()), two.materialize_sync(asked()));
    let (first, second) = (first.unwrap().into_inner(), second.unwrap().into_inner());
    assert_eq!(first, second, "calculated_at would differ");
    std::fs::remove_file(folder.path("quick.parquet")).unwrap();
    let component = source(QUICK, &folder.path(""));
    let stream = MaterializeRequest { component, run_id: "r-1".to_owned(), ..Default::default() };
    let Event::Result(third) = last(one.materialize(stream).await.unwrap().into_inner()).await.unwrap() else {
        panic!("no result");
    };
    assert_eq!(third.report.unwrap().calculated_at, first.calculated_at);
    assert!(!folder.path("quick.parquet").exists(), "it ran again");
    drop((one, two));
    running.stop().await;
}

#[tokio::test]
async fn a_run_id_stays_with_its_request() {
    let (running, folder) = (server(2, 8).await, folder(false));
    let mut client = running.raw().await;
    client.materialize_sync(named(QUICK, &folder, "r-1")).await.unwrap();
    let status = client.materialize_sync(named(SLOW, &folder, "r-1")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_error_details().bad_request().unwrap().field_violations[0].field, "run_id");
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_run_that_failed_can_be_tried_again_under_its_id() {
    let (running, folder) = (server(2, 8).await, folder(false));
    let mut client = running.raw().await;
    let text = "inputs: {customer: later.parquet}\noutput: o.parquet\n";
    let status = client.materialize_sync(named(text, &folder, "r-1")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    std::fs::copy(folder.path("few.parquet"), folder.path("later.parquet")).unwrap();
    assert_eq!(client.materialize_sync(named(text, &folder, "r-1")).await.unwrap().into_inner().rows, 3);
    drop(client);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_for_one_output_come_one_after_the_other() {
    let (running, folder) = (server(8, 8).await, folder(false));
    let channel = running.raw().await;
    let calls = (0..8).map(|at| {
        let (mut client, request) = (channel.clone(), named(QUICK, &folder, &format!("r-{at}")));
        tokio::spawn(async move { client.materialize_sync(request).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap().into_inner().rows, 3);
    }
    drop(channel);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_says_so_and_a_dropped_call_makes_room() {
    let (running, folder) = (server(1, 0).await, folder(true));
    let events = working(&running, &folder, "slow").await;
    let status = running.raw().await.materialize_sync(named(QUICK, &folder, "")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(status.metadata().get(REASON).unwrap(), "RESOURCE_EXHAUSTED");
    assert!(status.get_error_details().retry_info().is_some());
    // An id that another request has is told as such even while its run works.
    let status = running.raw().await.materialize_sync(named(QUICK, &folder, "slow")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    drop(events);
    once_there_is_a_place(&running, &folder).await;
    assert!(!folder.path("slow.parquet").exists(), "the dropped run went on");
    let left: Vec<_> = std::fs::read_dir(folder.path("")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{left:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_run_waits_and_then_works() {
    let (running, folder) = (server(1, 1).await, folder(true));
    let events = working(&running, &folder, "slow").await;
    // A stream begins as soon as the run has its place in the queue.
    let component = source(QUICK, &folder.path(""));
    let request = MaterializeRequest { component, ..Default::default() };
    let queued = running.raw().await.materialize(request).await.unwrap().into_inner();
    let status = running.raw().await.materialize_sync(named(QUICK, &folder, "")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(!folder.path("quick.parquet").exists(), "it did not wait");
    drop(events);
    let done = tokio::time::timeout(Duration::from_secs(10), last(queued)).await.unwrap();
    let Event::Result(result) = done.unwrap() else { panic!("no result") };
    assert_eq!(result.report.unwrap().customers, 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_while_one_caller_waits_for_it() {
    let (running, folder) = (server(1, 0).await, folder(true));
    let first = working(&running, &folder, "slow").await;
    let second = working(&running, &folder, "slow").await;
    drop(first);
    let Event::Result(result) = last(second).await.unwrap() else { panic!("no result") };
    assert_eq!(result.report.unwrap().customers, MANY as u64);
    assert_eq!(read_parquet(&folder.path("slow.parquet")).num_rows(), MANY);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_stops_the_work_of_both_sorts_of_call() {
    let (running, folder) = (server(1, 0).await, folder(true));
    let mut request = Request::new(slow(&folder, "stream"));
    request.set_timeout(Duration::from_millis(300));
    let status = last(running.raw().await.materialize(request).await.unwrap().into_inner()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(status.metadata().get(REASON).unwrap(), "CANCELLED");
    once_there_is_a_place(&running, &folder).await;
    let mut request = Request::new(named(SLOW, &folder, "plain"));
    request.set_timeout(Duration::from_millis(300));
    let status = running.raw().await.materialize_sync(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    once_there_is_a_place(&running, &folder).await;
    assert!(!folder.path("slow.parquet").exists(), "the work went on");
    running.stop().await;
}
