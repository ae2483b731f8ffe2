//! Callers that say nothing, or not enough, keep nobody else from calling.

use std::sync::Arc;
use std::time::{Duration, Instant};

use customer_health::client::{Client, ClientOptions};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::secure::certificates;
use crate::support::{Folder, Served};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn connected(address: &str, ca: Option<&str>) -> Box<dyn Stream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let Some(ca) = ca else { return Box::new(stream) };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols.push(b"h2".to_vec());
    let name = ServerName::try_from("localhost").unwrap();
    Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
}

/// Fills all places with callers that begin so and then wait, and calls as somebody else.
async fn somebody_else_gets_in(folder: &Folder, tls: bool, beginnings: [&[u8]; 4]) {
    let mut arguments = vec!["--max-connections", "4", "--keepalive-timeout", "1"];
    if tls {
        arguments.extend(["--tls-cert", "server.pem", "--tls-key", "server.key"]);
    }
    let server = Served::start(folder, &arguments);
    let ca = tls.then(|| std::fs::read_to_string(folder.path("ca.pem")).unwrap());
    let address = server.uri.split_once("://").unwrap().1.to_owned();
    let mut silent = Vec::new();
    for beginning in beginnings {
        let mut stream = connected(&address, ca.as_deref()).await;
        stream.write_all(beginning).await.unwrap();
        stream.flush().await.unwrap();
        silent.push(stream);
    }
    let options = ClientOptions { tls_ca: ca, ..ClientOptions::default() };
    let start = Instant::now();
    loop {
        if let Ok(mut client) = Client::connect_with(&server.uri, &options).await
            && client.list_scorecards().await.is_ok()
        {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "tls {tls}: they have their places for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_begin_and_fall_silent_lose_their_places() {
    let (folder, _) = certificates();
    let cut = [PREFACE, b"\0\0\x06\x04\0\0\0\0\0\0"].concat();
    for tls in [false, true] {
        somebody_else_gets_in(&folder, tls, [b"", b"P", PREFACE, &cut]).await;
    }
}
