//! Google and Azure by their own protocols, as far as a server that answers like them can tell.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use customer_health::engine::{Engine, EngineConfig, RunRequest, StoreOptions};
use tokio::net::TcpListener;

use crate::stores::component;
use crate::support::{Folder, silent};

/// Has one object, `in/c.csv` in `bucket`, and takes any.
fn answer(request: &Request, writes: &Mutex<Vec<String>>) -> Response<Body> {
    // Google's client encodes all marks of a key.
    let path = request.uri().path().replace("%2F", "/").replace("%2E", ".");
    let method = request.method().as_str();
    let query = request.uri().query().unwrap_or_default();
    let kind = ["uploads", "partNumber", "uploadId", "comp=blocklist", "comp=block"];
    let kind = kind.into_iter().find(|kind| query.contains(kind)).unwrap_or_default();
    if !matches!(method, "GET" | "HEAD") {
        writes.lock().unwrap().push(format!("{method} {path} {kind}"));
    }
    let (status, body) = match (method, kind) {
        ("GET" | "HEAD", _) if path == "/bucket/in/c.csv" => (StatusCode::OK, "customer_id,active_days\na,3\nb,30\n"),
        ("GET" | "HEAD", _) => (StatusCode::NOT_FOUND, ""),
        ("POST", "uploads") => {
            (StatusCode::OK, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        }
        ("POST", _) => {
            (StatusCode::OK, "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>")
        }
        ("PUT", "partNumber") => (StatusCode::OK, ""),
        _ => (StatusCode::CREATED, ""),
    };
    let response = Response::builder().status(status).header("etag", "\"tag\"");
    let response = response.header("last-modified", "Mon, 30 Jun 2025 00:00:00 GMT");
    response.header("content-length", body.len()).body(Body::from(body)).unwrap()
}

async fn run(input: &str, output: &str, settings: &[(&str, &str)]) -> Vec<String> {
    let writes = Arc::new(Mutex::new(Vec::new()));
    let heard = writes.clone();
    let router = Router::new().fallback(move |request: Request| {
        let answered = answer(&request, &heard);
        async { answered }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), value.replace("ADDRESS", &address)));
    let config = EngineConfig { store_options: StoreOptions(settings.collect()), ..EngineConfig::default() };
    let component = component(&Folder::new(), &format!("inputs: {{customer: \"{input}\"}}\noutput: \"{output}\"\n"));
    let report = Engine::new(config).unwrap().materialize(&component, &RunRequest::new(), &silent()).await;
    assert_eq!(report.unwrap_or_else(|error| panic!("{error}")).customers, 2);
    serving.abort();
    Arc::try_unwrap(writes).map_or_else(|writes| writes.lock().unwrap().clone(), |writes| writes.into_inner().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn google_is_read_and_written() {
    let key = "{\"private_key\": \"none\", \"private_key_id\": \"none\", \"client_email\": \"none\", \"disable_oauth\": true}";
    let settings = [("google_base_url", "ADDRESS"), ("google_service_account_key", key), ("google_allow_http", "true")];
    let writes = run("gs://bucket/in/c.csv", "gs://bucket/out/o.parquet", &settings).await;
    let path = "/bucket/out/o.parquet";
    assert_eq!(
        writes,
        [format!("POST {path} uploads"), format!("PUT {path} partNumber"), format!("POST {path} uploadId")]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_is_read_and_written_by_each_of_its_schemes() {
    let settings = [
        ("azure_storage_endpoint", "ADDRESS"),
        ("azure_storage_account_name", "account"),
        ("azure_skip_signature", "true"),
        ("azure_allow_http", "true"),
    ];
    for base in ["az://bucket", "abfs://bucket", "abfss://bucket@account.dfs.core.windows.net"] {
        let writes = run(&format!("{base}/in/c.csv"), &format!("{base}/out/o.parquet"), &settings).await;
        let path = "/bucket/out/o.parquet";
        assert_eq!(writes, [format!("PUT {path} comp=block"), format!("PUT {path} comp=blocklist")], "{base}");
    }
}
