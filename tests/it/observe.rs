//! What the operator sees: a log whose lines name their run, numbers over HTTP, spans in the caller's trace.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use customer_health::app::{Metrics, RunLimits, serve_metrics};
use customer_health::client::{Client, chunks};
use customer_health::engine::EngineConfig;
use customer_health::error::ErrorKind;
use customer_health::grpc::ServerConfig;
use customer_health::proto::customer_health_service_client::CustomerHealthServiceClient;
use customer_health::proto::{
    Input, MaterializeRequest, MaterializeSyncRequest, StreamStart, StreamedFormat, StreamedInput,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::secure::certificates;
use crate::support::{Folder, Running, Served, asking, batch, block_on, floats, ints, serve, source, texts};

const GOOD: &str = "asset_name: scores\ninputs: {usage: u.csv}\noutput: o.parquet\n";
const GONE: &str = "inputs: {usage: gone.csv}\noutput: o.parquet\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.text("u.csv", "customer_id,session_count\na,1\nb,2\n");
    folder
}

fn named(text: &str, folder: &Folder, run_id: &str) -> MaterializeSyncRequest {
    let partition_key = "2025-06-30".to_owned();
    MaterializeSyncRequest { run_id: run_id.to_owned(), partition_key, ..asking(text, &folder.path("")) }
}

/// One run that goes well and one whose input is not there.
async fn two_runs(uri: &str, folder: &Folder) {
    let mut client = Client::connect(uri).await.unwrap();
    client.materialize_sync(named(GOOD, folder, "run-good")).await.unwrap();
    let error = client.materialize_sync(named(GONE, folder, "run-gone")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

fn json(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn each_line_of_the_log_is_json_and_names_its_run() {
    let folder = folder();
    let server = Served::start(&folder, &["--log-format", "json"]);
    block_on(two_runs(&server.uri, &folder));
    let lines = json(&server.stop());
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()));
    let said = |message: &str, run: &str| {
        let found = lines.iter().find(|line| line["message"] == message && line["run_id"] == run);
        found.unwrap_or_else(|| panic!("no `{message}` of {run}"))
    };
    for message in ["run admitted", "run started", "stage started", "2 customers scored", "run done"] {
        let line = said(message, "run-good");
        assert_eq!((&line["asset"], &line["partition_key"]), (&"scores".into(), &"2025-06-30".into()), "{line}");
    }
    assert_eq!(said("run done", "run-good")["rows"], 2);
    let failed: Vec<_> = lines.iter().filter(|line| line["reason"] == "NOT_FOUND").collect();
    assert!(
        failed
            .iter()
            .any(|line| line["run_id"] == "run-gone" && line["message"].as_str().unwrap().contains("gone.csv"))
    );
    // Whatever the run's own code says, and the engine below it.
    let own = lines.iter().filter(|line| line["target"] == "customer_health::service::observed");
    assert!(own.into_iter().all(|line| line["run_id"].is_string()), "a line of a run does not name it");
}

#[test]
fn a_quiet_log_still_names_the_run_of_each_warning() {
    let folder = folder();
    // RUST_LOG says trace here, and the flag counts.
    let server = Served::start(&folder, &["--log-format", "json", "--log-level", "warn"]);
    block_on(two_runs(&server.uri, &folder));
    let lines = json(&server.stop());
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line["level"] == "WARN" || line["level"] == "ERROR"),
        "{lines:?}"
    );
    assert!(lines.iter().all(|line| line["run_id"].is_string()), "{lines:?}");

    let mut command = serve(&folder, &[]);
    command.env_remove("RUST_LOG");
    let server = Served::of(command);
    block_on(two_runs(&server.uri, &folder));
    let log = server.stop();
    let line = log.lines().find(|line| line.contains("run done")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("run_id=\"run-good\"") && line.contains("partition_key=\"2025-06-30\""), "{line}");
}

fn scrape(address: &str) -> String {
    let address: SocketAddr = address.trim_start_matches("http://").trim_end_matches("/metrics").parse().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
    assert!(answer.trim_end().ends_with("# EOF"), "{answer}");
    answer
}

#[track_caller]
fn number(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[test]
fn numbers_are_told_over_http() {
    let folder = folder();
    let server = Served::start(&folder, &["--metrics-listen", "127.0.0.1:0"]);
    let at = server.metrics.clone().unwrap();
    let outcome = |reason: &str| number(&scrape(&at), &format!("customer_health_runs_total{{outcome=\"{reason}\"}}"));
    assert_eq!((outcome("OK"), outcome("NOT_FOUND"), outcome("INVALID_COMPONENT")), (0.0, 0.0, 0.0));
    block_on(async {
        two_runs(&server.uri, &folder).await;
        let mut client = Client::connect(&server.uri).await.unwrap();
        client.materialize_sync(named("no: component\n", &folder, "")).await.unwrap_err();
        let inputs = vec![StreamedInput { input: Input::Usage.into(), format: StreamedFormat::Parquet.into() }];
        let request = MaterializeRequest { component: source(GOOD, &folder.path("")), ..Default::default() };
        let start = StreamStart { request: Some(request), inputs, ..Default::default() };
        let table = batch([("customer_id", texts(["a"])), ("session_count", ints([1]))]);
        folder.parquet("sent.parquet", &table);
        let bytes = std::fs::read(folder.path("sent.parquet")).unwrap();
        let parts: Vec<_> = chunks(Input::Usage, &bytes).collect();
        client.materialize_stream(start, tokio_stream::iter(parts), |_| {}).await.unwrap();
    });
    assert_eq!((outcome("OK"), outcome("NOT_FOUND"), outcome("INVALID_COMPONENT")), (2.0, 1.0, 1.0));
    let text = scrape(&at);
    assert_eq!(number(&text, "customer_health_rows_scored_total"), 3.0);
    assert_eq!(number(&text, "customer_health_stage_seconds_count{stage=\"publish\"}"), 2.0);
    assert_eq!(number(&text, "customer_health_run_seconds_count"), 3.0);
    let sent = std::fs::metadata(folder.path("sent.parquet")).unwrap().len();
    assert_eq!(number(&text, "customer_health_uploaded_bytes_total"), sent as f64);
    for idle in ["runs_running", "runs_queued", "memory_reserved_bytes", "spilled_bytes_total", "uploads_held_bytes"] {
        assert_eq!(number(&text, &format!("customer_health_{idle}")), 0.0, "{idle}");
    }
    server.stop();
}

/// A table with so many customers, each in several rows.
fn many(folder: &Folder, customers: usize) {
    let ids: Vec<String> = (0..3 * customers).map(|row| format!("customer {:08}", row % customers)).collect();
    let days = ints((0..3 * customers as i64).map(|row| row % 31));
    let logins = floats((0..3 * customers).map(|row| row as f64));
    let ids = texts(ids.iter().map(String::as_str));
    folder.parquet("many.parquet", &batch([("customer_id", ids), ("active_days", days), ("logins", logins)]));
}

const MANY: &str = "inputs: {customer: many.parquet}\noutput: many-out.parquet\n";

/// Looks at the numbers until they are as they should be.
async fn until(metrics: &Metrics, what: &str, right: impl Fn(&str) -> bool) {
    let start = Instant::now();
    while !right(&metrics.text()) {
        assert!(start.elapsed() < Duration::from_secs(20), "never {what}:\n{}", metrics.text());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_tell_who_works_who_waits_and_what_is_spilled() {
    let folder = folder();
    many(&folder, 100_000);
    let metrics = Metrics::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}/metrics", listener.local_addr().unwrap());
    tokio::spawn(serve_metrics(listener, metrics.clone()));
    let engine = EngineConfig { memory_limit: Some(4 << 20), ..EngineConfig::default() };
    let limits = RunLimits { max_runs: 1, max_queued: 1 };
    let config = ServerConfig { engine, limits, metrics: metrics.clone(), ..ServerConfig::default() };
    let running = Running::with(config).await;
    let (mut one, mut two, mut three) = (running.client().await, running.client().await, running.client().await);
    let slow = named(MANY, &folder, "slow");
    let slow = tokio::spawn(async move { one.materialize_sync(slow).await });
    until(&metrics, "working", |text| number(text, "customer_health_runs_running") == 1.0).await;
    let quick = named(GOOD, &folder, "quick");
    let quick = tokio::spawn(async move { two.materialize_sync(quick).await });
    until(&metrics, "waiting", |text| number(text, "customer_health_runs_queued") == 1.0).await;
    let text = tokio::task::spawn_blocking(move || scrape(&at)).await.unwrap();
    assert_eq!(number(&text, "customer_health_runs_running"), 1.0);
    assert_eq!(number(&text, "customer_health_runs_queued"), 1.0);
    let full = three.materialize_sync(named(GOOD, &folder, "refused")).await.unwrap_err();
    assert_eq!(full.kind, ErrorKind::ResourceExhausted);
    until(&metrics, "reserving", |text| number(text, "customer_health_memory_reserved_bytes") > 0.0).await;
    slow.await.unwrap().unwrap();
    quick.await.unwrap().unwrap();
    let text = metrics.text();
    assert!(number(&text, "customer_health_spilled_bytes_total") > 0.0, "{text}");
    assert_eq!(number(&text, "customer_health_rows_scored_total"), 100_002.0);
    assert_eq!(number(&text, "customer_health_runs_total{outcome=\"RESOURCE_EXHAUSTED\"}"), 1.0);
    // A caller that goes away ends its run, which counts too.
    let request = MaterializeRequest {
        run_id: "left".to_owned(),
        component: source(MANY, &folder.path("")),
        ..Default::default()
    };
    let events = running.raw().await.materialize(request).await.unwrap();
    until(&metrics, "working", |text| number(text, "customer_health_runs_running") == 1.0).await;
    drop(events);
    let given_up = "customer_health_runs_total{outcome=\"CANCELLED\"}";
    until(&metrics, "given up", |text| number(text, given_up) == 1.0).await;
    until(&metrics, "idle", |text| number(text, "customer_health_memory_reserved_bytes") == 0.0).await;
    running.stop().await;
}

/// A collector that keeps the spans it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter().flat_map(|resource| {
            let named = resource.resource.unwrap().attributes.into_iter().any(|attribute| {
                attribute.key == "service.name" && format!("{:?}", attribute.value).contains("customer-health")
            });
            assert!(named, "the spans are of nobody");
            resource.scope_spans.into_iter().flat_map(|scope| scope.spans)
        });
        self.0.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn has(span: &Span, key: &str, value: &str) -> bool {
    span.attributes.iter().any(|attribute| attribute.key == key && format!("{:?}", attribute.value).contains(value))
}

/// A collector on a free port, until what comes third is dropped.
fn collect(mut server: Server) -> (Collector, SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let collector = Collector::default();
    let listener = block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let service = server.add_service(TraceServiceServer::new(collector.clone()));
    let (stop, stopped) = oneshot::channel::<()>();
    let collecting = std::thread::spawn(move || {
        let incoming = TcpIncoming::from(listener);
        block_on(service.serve_with_incoming_shutdown(incoming, async { drop(stopped.await) })).unwrap();
    });
    (collector, address, stop, collecting)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[test]
fn spans_of_calls_runs_and_stages_are_in_the_callers_trace() {
    for by_flag in [true, false] {
        let folder = folder();
        let (collector, at, stop, collecting) = collect(Server::builder());
        let endpoint = format!("http://{at}");
        let flag = ["--otlp-endpoint", endpoint.as_str()];
        let mut command = serve(&folder, if by_flag { &flag } else { &[] });
        if !by_flag {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
        }
        let server = Served::of(command);
        block_on(async {
            let mut client = CustomerHealthServiceClient::connect(server.uri.clone()).await.unwrap();
            let mut request = Request::new(named(GOOD, &folder, "traced"));
            request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().unwrap());
            client.materialize_sync(request).await.unwrap();
            // Another one, in no trace.
            client.materialize_sync(named(GONE, &folder, "apart")).await.unwrap_err();
        });
        server.stop();
        drop(stop);
        collecting.join().unwrap();
        let spans = collector.0.lock().unwrap().clone();
        let named = |name: &str| spans.iter().find(|span| span.name == name && hex(&span.trace_id) == TRACE);
        let call =
            named("customer_health.v1.CustomerHealthService/MaterializeSync").unwrap_or_else(|| panic!("{spans:?}"));
        assert_eq!((hex(&call.parent_span_id), call.kind), (CALLER.to_owned(), 2));
        let run = named("run").unwrap();
        assert_eq!(run.parent_span_id, call.span_id);
        assert!(has(run, "run_id", "traced") && has(run, "asset", "scores") && has(run, "partition_key", "2025-06-30"));
        for stage in ["open", "profile", "score", "publish"] {
            let span = named(stage).unwrap_or_else(|| panic!("no span of {stage}"));
            assert_eq!(span.parent_span_id, run.span_id, "{stage}");
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        }
        let apart = spans.iter().find(|span| has(span, "run_id", "apart")).unwrap();
        assert_ne!(hex(&apart.trace_id), TRACE);
        assert!(has(apart, "error.type", "NOT_FOUND") && apart.status.as_ref().unwrap().code == 2, "{apart:?}");
    }
}

#[test]
fn a_collector_behind_tls_has_to_show_a_certificate_of_a_known_ca() {
    let (folder, _) = certificates();
    folder.text("u.csv", "customer_id,session_count\na,1\nb,2\n");
    let read = |name: &str| std::fs::read(folder.path(name)).unwrap();
    let identity = Identity::from_pem(read("server.pem"), read("server.key"));
    let tls = ServerTlsConfig::new().identity(identity);
    let (collector, at, stop, collecting) = collect(Server::builder().tls_config(tls).unwrap());
    let runs = |ca: &str| {
        let mut command = serve(&folder, &["--otlp-endpoint", &format!("https://localhost:{}", at.port())]);
        // What the machine trusts.
        command.env("SSL_CERT_FILE", folder.path(ca));
        let server = Served::of(command);
        block_on(two_runs(&server.uri, &folder));
        server.stop();
        collector.0.lock().unwrap().iter().filter(|span| span.name == "run").count()
    };
    assert_eq!(runs("other-ca.pem"), 0);
    assert_eq!(runs("ca.pem"), 2);
    drop(stop);
    collecting.join().unwrap();
}

#[test]
fn a_collector_that_is_none_is_refused_and_one_that_is_away_keeps_nobody_waiting() {
    let folder = folder();
    let refused = serve(&folder, &["--otlp-endpoint", "localhost"]).output().unwrap();
    let message = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains("--otlp-endpoint localhost cannot be used") && message.contains("\nhint: "), "{message}");
    let server = Served::start(&folder, &["--otlp-endpoint", "http://127.0.0.1:9"]);
    block_on(two_runs(&server.uri, &folder));
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
