//! A real S3 server on loopback over a temporary folder, which can be told to answer badly.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use customer_health::engine::{Engine, EngineConfig, StoreOptions};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const KEY: &str = "AKIATESTKEY";
pub const SECRET: &str = "do-not-tell-anybody";

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
}

impl Seen {
    /// Whether it belongs to an upload: its begin, its parts, its end, its removal.
    pub fn is_part(&self) -> bool {
        self.query.contains("partNumber=")
    }

    pub fn begins_upload(&self) -> bool {
        self.method == "POST" && self.query.starts_with("uploads")
    }

    pub fn completes(&self) -> bool {
        self.method == "POST" && self.query.contains("uploadId=")
    }
}

/// What is done with a request.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Pass,
    Status(u16),
    After(Duration),
    /// It is done, but the answer gets lost.
    DoneBut(u16),
}

type Fault = Box<dyn Fn(&Seen, usize) -> Answer + Send + Sync>;

#[derive(Default)]
struct Told {
    seen: Vec<Seen>,
    fault: Option<Fault>,
}

/// The server; dropping it stops it.
pub struct S3 {
    root: TempDir,
    pub address: String,
    told: Arc<Mutex<Told>>,
    serving: JoinHandle<()>,
}

impl S3 {
    /// A server with the bucket `bucket`.
    pub async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("bucket")).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let told = Arc::new(Mutex::new(Told::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heard = told.clone();
        let router = Router::new().fallback(move |request: Request| {
            let (service, told) = (service.clone(), heard.clone());
            async move {
                let status = |status| Response::builder().status(status).body(Body::from(SECRET)).unwrap();
                let answer = told.lock().unwrap().hear(&request);
                match answer {
                    Answer::Pass | Answer::DoneBut(_) => {}
                    Answer::Status(code) => return status(code),
                    Answer::After(delay) => tokio::time::sleep(delay).await,
                }
                let request = request.map(s3s::Body::http_body_unsync);
                match (service.call(request).await, answer) {
                    (_, Answer::DoneBut(code)) => status(code),
                    (Ok(response), _) => response.map(Body::new),
                    (Err(_), _) => status(StatusCode::IM_A_TEAPOT.as_u16()),
                }
            }
        });
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { root, address, told, serving }
    }

    /// Where an object is kept.
    pub fn file(&self, key: &str) -> PathBuf {
        let path = self.root.path().join("bucket").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Objects in the bucket, by key.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        below(&self.root.path().join("bucket"), "", &mut keys);
        keys.sort();
        keys
    }

    /// Uploads that were begun and are still there.
    pub fn uploads(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("upload")).collect()
    }

    /// From now on asks what to do with each request, which is the so-manieth (from 0) that was asked for.
    pub fn answer(&self, fault: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) {
        let mut told = self.told.lock().unwrap();
        told.seen.clear();
        told.fault = Some(Box::new(fault));
    }

    /// From now on answers as it should.
    pub fn behave(&self) {
        self.answer(|_, _| Answer::Pass);
    }

    /// Requests since the last change of mind.
    pub fn seen(&self) -> Vec<Seen> {
        self.told.lock().unwrap().seen.clone()
    }

    /// Settings with which an engine finds the server.
    pub fn config(&self) -> EngineConfig {
        let options = [
            ("aws_endpoint", self.address.as_str()),
            ("aws_allow_http", "true"),
            ("aws_access_key_id", KEY),
            ("aws_secret_access_key", SECRET),
            ("aws_region", "us-east-1"),
        ];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
        EngineConfig { store_options: StoreOptions(options.into()), ..EngineConfig::default() }
    }

    pub fn engine(&self) -> Engine {
        Engine::new(self.config()).unwrap()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Told {
    fn hear(&mut self, request: &Request) -> Answer {
        let seen = Seen {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
        };
        let answer = self.fault.as_ref().map_or(Answer::Pass, |fault| fault(&seen, self.seen.len()));
        self.seen.push(seen);
        answer
    }
}

fn below(folder: &std::path::Path, prefix: &str, keys: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        match entry.path().is_dir() {
            true => below(&entry.path(), &format!("{name}/"), keys),
            false => keys.push(name),
        }
    }
}
