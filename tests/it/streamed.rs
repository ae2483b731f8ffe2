//! Inputs that travel with the call, and a table that travels back.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use customer_health::client::{Client, ClientError, Notice, chunks};
use customer_health::engine::EngineConfig;
use customer_health::error::ErrorKind;
use customer_health::grpc::ServerConfig;
use customer_health::proto::materialize_stream_request::Part;
use customer_health::proto::{
    Delivery, Input, InputChunk, InputOverride, MaterializeRequest, MaterializeResult, MaterializeStreamRequest,
    StreamStart, StreamedFormat, StreamedInput,
};
use futures::stream;
use tempfile::TempDir;
use tokio_stream::StreamExt;
use tonic::Code;

use crate::support::{Folder, Running, batch, floats, ints, read_parquet, source, texts};

const PLAIN: &str = "inputs: {customer: c.parquet, usage: u.parquet}\noutput: out.parquet\n";
/// The same without paths: what is streamed needs none.
const STREAMED: &str = "output: out.parquet\n";

fn customers(rows: usize) -> RecordBatch {
    let ids: Vec<String> = (0..rows).map(|row| format!("c{row:07}")).collect();
    let days = ints((0..rows as i64).map(|row| row % 31));
    batch([("customer_id", texts(ids.iter().map(String::as_str))), ("active_days", days)])
}

fn usage(rows: usize) -> RecordBatch {
    let ids: Vec<String> = (0..rows).map(|row| format!("c{:07}", row * 2)).collect();
    let share = floats((0..rows).map(|row| (row % 100) as f64));
    batch([("customer_id", texts(ids.iter().map(String::as_str))), ("core_feature_usage", share)])
}

fn ipc(table: &RecordBatch, rows_each: usize) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &table.schema()).unwrap();
    for at in (0..table.num_rows()).step_by(rows_each) {
        writer.write(&table.slice(at, rows_each.min(table.num_rows() - at))).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn start(folder: &Folder, inputs: &[(Input, StreamedFormat)], delivery: Delivery) -> StreamStart {
    let inputs = inputs.iter();
    StreamStart {
        request: Some(MaterializeRequest {
            component: source(STREAMED, &folder.path("")),
            as_of: Some(prost_types::Timestamp { seconds: 1_750_000_000, nanos: 0 }),
            ..Default::default()
        }),
        inputs: inputs.map(|(i, f)| StreamedInput { input: (*i).into(), format: (*f).into() }).collect(),
        delivery: delivery.into(),
    }
}

const BOTH: [(Input, StreamedFormat); 2] =
    [(Input::Customer, StreamedFormat::ArrowStream), (Input::Usage, StreamedFormat::Parquet)];

/// Two inputs, the pieces of one between those of the other.
fn interleaved(folder: &Folder, rows: usize) -> Vec<InputChunk> {
    folder.parquet("u.parquet", &usage(rows / 2));
    let mut one = small(Input::Customer, &ipc(&customers(rows), 500)).into_iter();
    let mut other = small(Input::Usage, &fs::read(folder.path("u.parquet")).unwrap()).into_iter();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(one.next());
        all.extend(other.next());
        if all.len() == before {
            return all;
        }
    }
}

/// Pieces that end anywhere but where messages do.
fn small(input: Input, bytes: &[u8]) -> Vec<InputChunk> {
    let pieces = bytes.chunks(777).map(|data| InputChunk { input: input.into(), data: data.to_vec(), last: false });
    pieces.chain([InputChunk { input: input.into(), data: Vec::new(), last: true }]).collect()
}

async fn send(
    client: &mut Client,
    start: StreamStart,
    chunks: Vec<InputChunk>,
) -> Result<(MaterializeResult, Vec<u8>), ClientError> {
    let mut table = Vec::new();
    let on_notice = |notice| {
        if let Notice::Chunk(data) = notice {
            table.extend(data);
        }
    };
    let result = client.materialize_stream(start, stream::iter(chunks), on_notice).await?;
    Ok((result, table))
}

fn received(bytes: &[u8]) -> RecordBatch {
    let reader = StreamReader::try_new(bytes, None).unwrap();
    let schema = reader.schema();
    concat_batches(&schema, &reader.map(Result::unwrap).collect::<Vec<_>>()).unwrap()
}

/// Scores by customer: rows come in any order.
fn scores(table: &RecordBatch) -> BTreeMap<String, f64> {
    let ids = table.column_by_name("customer_id").unwrap().as_string::<i32>().iter();
    let scores = table.column_by_name("health_score").unwrap().as_primitive::<Float64Type>().values();
    ids.map(|id| id.unwrap().to_owned()).zip(scores.iter().copied()).collect()
}

/// A server whose temporary files can be looked at.
async fn server(max_upload: u64) -> (Running, TempDir) {
    let temp = tempfile::tempdir().unwrap();
    let engine = EngineConfig { temp_dir: Some(temp.path().to_owned()), ..ServerConfig::default().engine };
    (Running::with(ServerConfig { engine, max_upload, ..ServerConfig::default() }).await, temp)
}

/// Waits until nothing of a call is left on disk.
async fn cleared(temp: &TempDir) {
    let left = || fs::read_dir(temp.path()).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    let patience = tokio::time::timeout(Duration::from_secs(1), async {
        while left().iter().any(|path| path.to_str().unwrap().contains("customer-health-call-")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(patience.await.is_ok(), "{:?}", left());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streamed_inputs_score_like_files_and_the_table_comes_back_as_asked() {
    let (folder, (running, temp)) = (Folder::new(), server(1 << 30).await);
    let mut client = running.client().await;
    let pieces = interleaved(&folder, 3_000);
    folder.parquet("c.parquet", &customers(3_000));
    let by_path = MaterializeRequest {
        component: source(PLAIN, &folder.path("")),
        output: "by_path.parquet".to_owned(),
        ..start(&folder, &[], Delivery::Publish).request.unwrap()
    };
    client.materialize(by_path, |_| ()).await.unwrap();
    let expected = read_parquet(&folder.path("by_path.parquet"));
    let expected = scores(&expected);

    let (result, table) = send(&mut client, start(&folder, &BOTH, Delivery::Stream), pieces.clone()).await.unwrap();
    assert_eq!(scores(&received(&table)), expected);
    assert!(!folder.path("out.parquet").exists(), "it was to be sent back only");
    let mut beside = start(&folder, &BOTH, Delivery::Stream);
    let asked = beside.request.as_mut().unwrap();
    asked.component = source(&format!("{STREAMED}fan_out: {{churn_risk: risk.parquet}}\n"), &folder.path(""));
    let (beside, _) = send(&mut client, beside, pieces.clone()).await.unwrap();
    assert!(!folder.path("risk.parquet").exists(), "published nowhere");
    let warnings = &beside.report.as_ref().unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("fan_out (churn_risk) is left out")), "{warnings:?}");
    let output = &result.outputs[0];
    assert_eq!((output.path.as_str(), output.uri.as_str(), output.rows), ("", "", 3_000));

    let (result, table) = send(&mut client, start(&folder, &BOTH, Delivery::Publish), pieces.clone()).await.unwrap();
    assert!(table.is_empty());
    assert_eq!(scores(&read_parquet(&folder.path("out.parquet"))), expected);
    assert_eq!(result.outputs[0].path, folder.path("out.parquet").display().to_string());

    let both = start(&folder, &BOTH, Delivery::PublishAndStream);
    let (_, table) = send(&mut client, both, pieces).await.unwrap();
    assert_eq!(received(&table), read_parquet(&folder.path("out.parquet")));
    drop(client);
    cleared(&temp).await;
    running.stop().await;
}

#[tokio::test]
async fn a_streamed_input_goes_with_one_that_is_read_by_path() {
    let (folder, (running, temp)) = (Folder::new(), server(1 << 30).await);
    folder.parquet("u.parquet", &usage(5));
    let mut asked = start(&folder, &BOTH[..1], Delivery::Publish);
    let request = asked.request.as_mut().unwrap();
    request.inputs =
        vec![InputOverride { input: Input::Usage.into(), path: "u.parquet".to_owned(), ..Default::default() }];
    let pieces: Vec<_> = chunks(Input::Customer, &ipc(&customers(10), 4)).collect();
    let mut client = running.client().await;
    let (result, _) = send(&mut client, asked.clone(), pieces.clone()).await.unwrap();
    let inputs = result.report.unwrap().inputs;
    assert_eq!(inputs.iter().map(|input| input.rows_read).collect::<Vec<_>>(), [10, 5]);

    asked.request.as_mut().unwrap().inputs[0].input = Input::Customer.into();
    let error = send(&mut client, asked, pieces).await.unwrap_err();
    assert!(error.message.contains("`customer` is given twice"), "{error}");
    drop(client);
    cleared(&temp).await;
    running.stop().await;
}

#[tokio::test]
async fn a_cut_or_confused_upload_is_refused_and_publishes_nothing() {
    let (folder, (running, temp)) = (Folder::new(), server(100_000).await);
    let mut client = running.client().await;
    let good = ipc(&customers(200), 50);
    let piece = |data: &[u8], last: bool| InputChunk { input: Input::Customer.into(), data: data.to_vec(), last };
    let stranger = InputChunk { input: Input::Support.into(), data: vec![1], last: false };
    let cases = [
        (vec![piece(&good, false)], ErrorKind::InvalidComponent, "`customer` is not complete"),
        (vec![], ErrorKind::InvalidComponent, "`customer` is not complete"),
        (vec![piece(&good, true), piece(&good, true)], ErrorKind::InvalidComponent, "behind its last one"),
        (vec![piece(&good, true), stranger], ErrorKind::InvalidComponent, "does not announce"),
        (vec![piece(&good[..good.len() - 20], true)], ErrorKind::InvalidInput, "mid-message"),
        (vec![piece(b"", true)], ErrorKind::InvalidInput, "the stream is empty"),
        (vec![piece(b"PAR1PAR1PAR1", true)], ErrorKind::InvalidInput, "not an Arrow IPC stream"),
        (vec![piece(&vec![0; 100_001], false)], ErrorKind::ResourceExhausted, "--max-upload"),
    ];
    folder.text("out.parquet", "the old table");
    for (pieces, kind, words) in cases {
        let error = send(&mut client, start(&folder, &BOTH[..1], Delivery::Publish), pieces).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words) && error.message.contains("hint: "), "{words}: {error}");
        cleared(&temp).await;
    }
    assert_eq!(fs::read_to_string(folder.path("out.parquet")).unwrap(), "the old table");
    // And what was taken for a refused upload was given back.
    let pieces = chunks(Input::Customer, &good).collect();
    send(&mut client, start(&folder, &BOTH[..1], Delivery::Stream), pieces).await.unwrap();
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn the_first_message_must_be_the_start_and_only_the_first() {
    let (folder, (running, _temp)) = (Folder::new(), server(1 << 20).await);
    let mut client = running.raw().await;
    let begin = Part::Start(start(&folder, &BOTH[..1], Delivery::Publish));
    let chunk = Part::Chunk(InputChunk { input: Input::Customer.into(), data: vec![], last: true });
    let cases = [
        (vec![], "the first message is no start"),
        (vec![Some(chunk)], "the first message is no start"),
        (vec![Some(begin.clone()), Some(begin.clone())], "a second start"),
        (vec![Some(begin), None], "neither start nor chunk"),
    ];
    for (parts, words) in cases {
        let parts: Vec<_> = parts.into_iter().map(|part| MaterializeStreamRequest { part }).collect();
        let mut events = client.materialize_stream(stream::iter(parts)).await.unwrap().into_inner();
        let status = events.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(words), "{}", status.message());
    }
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_caller_that_goes_in_mid_upload_leaves_nothing() {
    let (folder, (running, temp)) = (Folder::new(), server(1 << 30).await);
    let mut client = running.client().await;
    let pieces = stream::iter(small(Input::Customer, &ipc(&customers(1_000), 100)).into_iter().take(5));
    let forever = futures::StreamExt::chain(pieces, stream::pending());
    let call = client.materialize_stream(start(&folder, &BOTH[..1], Delivery::Publish), forever, |_| ());
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    assert!(!folder.path("out.parquet").exists());
    drop(client);
    cleared(&temp).await;
    running.stop().await;
}
