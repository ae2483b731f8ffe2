//! What is meant to break a server is an answer to the run that met it: the process goes on, and its log stays quiet.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use customer_health::client::Client;
use customer_health::error::ErrorKind;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::reader::{FileReader, SerializedFileReader};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Folder, Served, asking, batch, ints, serve, texts};

/// How soon half of all health calls are answered; on a machine that runs other tests too, some wait for a processor.
const SOON: Duration = Duration::from_millis(100);

/// How soon the last one is.
const AT_LAST: Duration = Duration::from_secs(5);

/// Parquet whose Arrow schema, which writers leave in the footer, makes Arrow's own reader panic.
fn panicking_schema(whole: &[u8]) -> Vec<u8> {
    let key = b"ARROW:schema";
    let at = whole.windows(key.len()).rposition(|part| part == key).unwrap() + key.len();
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    // Thrift's field and length come before the text.
    let at = at + (0..8).find(|skip| whole[at + skip..].starts_with(b"////")).unwrap();
    let length = whole[at..].iter().take_while(|byte| is_digit(byte)).count() / 4 * 4;
    let schema = BASE64_STANDARD.decode(&whole[at..at + length]).unwrap();
    let forged =
        (0..schema.len()).flat_map(|byte| [0, 1, 0x7f, 0xff].map(|value| (byte, value))).find_map(|(byte, value)| {
            let mut schema = schema.clone();
            schema[byte] = value;
            let mut forged = whole.to_vec();
            forged[at..at + length].copy_from_slice(BASE64_STANDARD.encode(schema).as_bytes());
            let file = SerializedFileReader::new(bytes::Bytes::from(forged.clone())).ok()?;
            let told = file.metadata().file_metadata();
            let read = || drop(parquet_to_arrow_schema(told.schema_descr(), told.key_value_metadata()));
            catch_unwind(AssertUnwindSafe(read)).is_err().then_some(forged)
        });
    forged.expect("some byte makes the reader panic")
}

/// Asks for the server's health until it is told to stop, and gives how long each answer took.
async fn watch(uri: String, done: Arc<AtomicBool>) -> Vec<Duration> {
    let channel = Channel::from_shared(uri).unwrap().connect().await.unwrap();
    let (mut health, mut took) = (HealthClient::new(channel), Vec::new());
    while !done.load(Ordering::Relaxed) {
        let asked = Instant::now();
        health.check(HealthCheckRequest::default()).await.unwrap();
        took.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_goes_on_and_answers_whoever_asks_for_its_health() {
    let folder = Folder::new();
    folder.parquet("good.parquet", &batch([("customer_id", texts(["a", "b"])), ("last_login_days", ints([0, 30]))]));
    let whole = std::fs::read(folder.path("good.parquet")).unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path(name), bytes).unwrap();
    put("schema.parquet", &panicking_schema(&whole));
    put("cut.parquet", &whole[..whole.len() - 9]);
    put("noise.parquet", &[b"PAR1".as_slice(), &[0xff; 4096], b"\xff\xff\xff\x7fPAR1"].concat());
    put("stream.arrow", &[b"ARROW1\0\0".as_slice(), &[0x7f; 4096], b"ARROW1"].concat());
    assert!(std::process::Command::new("mkfifo").arg(folder.path("fifo.parquet")).status().unwrap().success());
    let good = "inputs: {customer: good.parquet}\noutput: out.parquet\n";
    let read = |name: &str| good.replace("good.parquet", name);
    let sql = |sql: &str| good.replace("good.parquet", &format!("{{path: good.parquet, where: \"{sql}\"}}"));
    let nested = |open: &str, close: &str| format!("{}1{} > 0", open.repeat(3_000), close.repeat(3_000));
    let hostile = [
        read("schema.parquet"),
        read("cut.parquet"),
        read("noise.parquet"),
        read("stream.arrow"),
        read("fifo.parquet"),
        read("/dev/zero"),
        sql(&nested("(", ")")),
        sql(&nested("CASE WHEN ", " THEN 1 END")),
        sql("repeat('x', 2000000000) > ''"),
        format!("{good}a: &a [x, x]\nb: &b [*a, *a]\n"),
        format!("{good}analysis_period_days: 97000000000\n"),
    ];

    let mut command = serve(&folder, &[]);
    command.env("RUST_LOG", "warn,customer_health=info");
    let server = Served::of(command);
    let done = Arc::<AtomicBool>::default();
    let watching = tokio::spawn(watch(server.uri.clone(), done.clone()));
    let mut client = Client::connect(&server.uri).await.unwrap();
    for text in &hostile {
        let error = client.materialize_sync(asking(text, &folder.path(""))).await.expect_err(text);
        assert!(![ErrorKind::Internal, ErrorKind::Unavailable].contains(&error.kind), "{text}: {error}");
        assert!(!folder.path("out.parquet").exists(), "{text}");
        let next = client.materialize_sync(asking(good, &folder.path(""))).await.unwrap();
        assert_eq!(next.rows, 2, "the run after {text}");
        std::fs::remove_file(folder.path("out.parquet")).unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let mut took = watching.await.unwrap();
    took.sort_unstable();
    assert!(took.len() > hostile.len(), "it was watched: {}", took.len());
    assert!(took[took.len() / 2] < SOON && took[took.len() - 1] < AT_LAST, "{:?}", &took[took.len() / 2..]);

    drop(client);
    let log = server.stop();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ") || line.contains("panicked")).collect();
    assert!(errors.is_empty(), "what was expected is no news: {errors:#?}");
    let failed = log.lines().filter(|line| line.contains("run failed")).count();
    assert!(failed > 0, "runs that fail are told:\n{log}");
}
