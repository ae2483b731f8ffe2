//! Who may call a server: certificates, tokens, what strangers can reach, and how much may come through.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use customer_health::app::ConnectionLimits;
use customer_health::client::{Client, ClientOptions};
use customer_health::error::ErrorKind;
use customer_health::grpc::ServerConfig;
use customer_health::proto::customer_health_service_client::CustomerHealthServiceClient;
use customer_health::proto::{Input, ListScorecardsRequest, REASON, StreamStart, StreamedInput};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_types::StatusExt;

use crate::support::{Folder, Running, Served, asking, block_on, serve};

const OLD: &str = "old-token-4711-4711";
const NEW: &str = "new-token-0815-0815";

/// A CA, and certificates of it for a server on loopback and for a caller, as files.
pub fn certificates() -> (Folder, CertifiedIssuer<'static, KeyPair>) {
    let folder = Folder::new();
    let ca = authority();
    folder.text("ca.pem", &ca.pem());
    folder.text("other-ca.pem", &authority().pem());
    for name in ["server", "caller"] {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        folder.text(&format!("{name}.pem"), &cert.pem());
        folder.text(&format!("{name}.key"), &key.serialize_pem());
    }
    (folder, ca)
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

const TLS: [&str; 4] = ["--tls-cert", "server.pem", "--tls-key", "server.key"];

fn text(folder: &Folder, name: &str) -> Option<String> {
    Some(std::fs::read_to_string(folder.path(name)).unwrap())
}

/// The kind and the words of a call's failure, if it fails.
async fn call(uri: &str, options: &ClientOptions) -> Result<usize, (ErrorKind, String)> {
    let told = |error: customer_health::client::ClientError| (error.kind, error.message);
    let mut client = Client::connect_with(uri, options).await.map_err(told)?;
    client.list_scorecards().await.map(|cards| cards.len()).map_err(told)
}

#[test]
fn calls_are_encrypted_and_the_servers_certificate_is_checked() {
    let (folder, _) = certificates();
    let server = Served::start(&folder, &TLS);
    assert!(server.uri.starts_with("https://127.0.0.1:"), "{}", server.uri);
    let with = |ca: &str| ClientOptions { tls_ca: text(&folder, ca), ..ClientOptions::default() };
    assert!(block_on(call(&server.uri, &with("ca.pem"))).unwrap() > 0);
    for wrong in [with("other-ca.pem"), ClientOptions::default()] {
        let (kind, message) = block_on(call(&server.uri, &wrong)).unwrap_err();
        assert_eq!(kind, ErrorKind::Unavailable);
        assert!(message.contains("hint: the server's certificate") && message.contains("--tls-ca"), "{message}");
    }
    let named = |domain: &str| ClientOptions { domain: Some(domain.to_owned()), ..with("ca.pem") };
    assert!(block_on(call(&server.uri, &named("localhost"))).is_ok());
    let (_, message) = block_on(call(&server.uri, &named("example.com"))).unwrap_err();
    assert!(message.contains("for another name"), "{message}");
    let (kind, message) = block_on(call(&server.uri.replace("https", "http"), &ClientOptions::default())).unwrap_err();
    assert_eq!(kind, ErrorKind::Unavailable, "{message}");
    let plain = server.uri.replace("https", "http");
    let (_, message) = block_on(call(&plain, &with("ca.pem"))).unwrap_err();
    assert!(message.contains("which is not encrypted"), "{message}");
}

#[test]
fn mutual_tls_wants_a_certificate_of_its_own_ca() {
    let (folder, _) = certificates();
    let server = Served::start(&folder, &[&TLS[..], &["--tls-client-ca", "ca.pem"]].concat());
    let stranger = ClientOptions { tls_ca: text(&folder, "ca.pem"), ..ClientOptions::default() };
    let (cert, key) = (text(&folder, "caller.pem"), text(&folder, "caller.key"));
    let known = ClientOptions { client_cert: cert.clone(), client_key: key, ..stranger.clone() };
    assert!(block_on(call(&server.uri, &known)).is_ok());
    let (kind, message) = block_on(call(&server.uri, &stranger)).unwrap_err();
    assert_eq!(kind, ErrorKind::Unavailable);
    // The alert may be lost where the connection is closed right behind it.
    assert!(message.contains("asks for a certificate"), "{message}");
    let (_, message) =
        block_on(call(&server.uri, &ClientOptions { client_cert: cert, ..stranger.clone() })).unwrap_err();
    assert!(message.contains("a certificate and its key come together"), "{message}");
    let other = authority();
    let key = KeyPair::generate().unwrap();
    let forged = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &other).unwrap();
    let forged = ClientOptions { client_cert: Some(forged.pem()), client_key: Some(key.serialize_pem()), ..stranger };
    let (kind, message) = block_on(call(&server.uri, &forged)).unwrap_err();
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(message.contains("certificate") && message.contains("trust"), "{message}");
}

/// Exit code and words of a server that does not start.
fn refused(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String) {
    let output = serve(folder, arguments).env("RUST_LOG", "warn").output().unwrap();
    assert!(output.stdout.is_empty(), "{arguments:?} listens");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn files_that_cannot_be_used_are_told_with_flag_and_file() {
    let (folder, _) = certificates();
    folder.text("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    folder.text("not.pem", "hello\n");
    folder.text("empty", "# nobody\n");
    let tls = |cert, key| vec!["--tls-cert", cert, "--tls-key", key];
    let ca = |ca| [&TLS[..], &["--tls-client-ca", ca]].concat();
    for (arguments, code, told) in [
        (tls("gone.pem", "server.key"), 5, "cannot read --tls-cert gone.pem: No such file"),
        (tls("server.pem", "gone.key"), 5, "cannot read --tls-key gone.key: "),
        (tls("not.pem", "server.key"), 2, "--tls-cert not.pem has no PEM section `CERTIFICATE`"),
        (tls("garbage.pem", "server.key"), 2, "--tls-cert garbage.pem is no certificate that can be used"),
        (
            tls("server.key", "server.pem"),
            2,
            "--tls-cert server.key has no PEM section `CERTIFICATE`, but `PRIVATE KEY`",
        ),
        (tls("server.pem", "server.pem"), 2, "--tls-key server.pem has no PEM section `PRIVATE KEY`"),
        (tls("server.pem", "caller.key"), 2, "--tls-key caller.key is no key that goes with the certificate"),
        (ca("not.pem"), 2, "--tls-client-ca not.pem has no PEM section"),
        (ca("garbage.pem"), 2, "--tls-client-ca garbage.pem has no CA that can be used"),
        (vec!["--token-file", "gone"], 5, "cannot read --token-file gone: "),
        (vec!["--token-file", "empty"], 2, "--token-file empty has no token"),
    ] {
        let (found, message) = refused(&folder, &arguments);
        assert_eq!(found, Some(code), "{message}");
        assert!(message.contains(told) && message.contains("\nhint: "), "{told} in {message}");
        assert!(!message.contains("BEGIN PRIVATE"), "{message}");
    }
    for half in [vec!["--tls-cert", "server.pem"], vec!["--tls-key", "server.key"], vec!["--tls-client-ca", "ca.pem"]] {
        let (code, message) = refused(&folder, &half);
        assert_eq!(code, Some(2));
        assert!(message.contains("--tls-"), "{message}");
    }
}

#[test]
fn what_strangers_can_reach_needs_encryption_and_known_callers() {
    let (folder, _) = certificates();
    folder.text("tokens", OLD);
    let open = |more: &[&'static str]| [&["--listen", "0.0.0.0:0"], more].concat();
    let token: [&str; 2] = ["--token-file", "tokens"];
    for half in [vec![], TLS.to_vec(), token.to_vec()] {
        let (code, message) = refused(&folder, &open(&half));
        assert_eq!(code, Some(2), "{message}");
        for word in ["is no loopback address", "--tls-cert", "--token-file", "--insecure"] {
            assert!(message.contains(word), "{word} in {message}");
        }
    }
    for whole in [[&TLS[..], &token[..]].concat(), [&TLS[..], &["--tls-client-ca", "ca.pem"]].concat()] {
        let server = Served::start(&folder, &open(&whole));
        assert!(server.uri.starts_with("https://0.0.0.0:"), "{}", server.uri);
    }
    let server = Served::start(&folder, &open(&["--insecure"]));
    server.wait_for("can be reached from other machines");
}

async fn list(channel: &Channel, header: Option<&str>) -> Result<(), Status> {
    let mut request = Request::new(ListScorecardsRequest {});
    if let Some(header) = header {
        request.metadata_mut().insert("authorization", header.parse().unwrap());
    }
    CustomerHealthServiceClient::new(channel.clone()).list_scorecards(request).await.map(drop)
}

#[test]
fn tokens_open_the_service_and_are_changed_without_a_restart() {
    let folder = Folder::new();
    folder.text("tokens", &format!("# nightly\n{OLD}\n\n# dashboard\nsecond-of-several\n"));
    let server = Served::start(&folder, &["--token-file", "tokens"]);
    let wrong = "wrong-token-1234567";
    block_on(async {
        let channel = Channel::from_shared(server.uri.clone()).unwrap().connect().await.unwrap();
        let bearer = |token: &str| format!("Bearer {token}");
        for header in [None, Some(bearer(wrong)), Some(OLD.to_owned()), Some(format!("Basic {OLD}"))] {
            let status = list(&channel, header.as_deref()).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated);
            assert_eq!(status.metadata().get(REASON).unwrap(), "UNAUTHENTICATED");
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().reason, "UNAUTHENTICATED");
            assert!(details.retry_info().is_none());
            assert!(status.message().contains("\nhint: ") && !status.message().contains(wrong), "{status}");
        }
        list(&channel, Some(&bearer(OLD))).await.unwrap();
        list(&channel, Some(&bearer("second-of-several"))).await.unwrap();
        // Whoever asks whether the server lives needs no token, whoever wants to know what it can do does.
        let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
        health.unwrap();
        let asked = tokio_stream::iter([ServerReflectionRequest::default()]);
        let answer = ServerReflectionClient::new(channel.clone()).server_reflection_info(asked).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);

        let fresh = ClientOptions { token: Some(NEW.to_owned()), ..ClientOptions::default() };
        assert_eq!(call(&server.uri, &fresh).await.unwrap_err().0, ErrorKind::Unauthenticated);
        folder.text("tokens", &format!("{NEW}\n"));
        let start = Instant::now();
        while call(&server.uri, &fresh).await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "the new token is not known");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(list(&channel, Some(&bearer(OLD))).await.is_err(), "the old one is still known");
        folder.text("tokens", "");
        server.wait_for("the last good tokens are kept");
        assert!(call(&server.uri, &fresh).await.is_ok());
    });
    let log = server.stop();
    assert!(log.contains("--token-file tokens has no token"), "{log}");
    for token in [OLD, NEW, wrong, "second-of-several"] {
        assert!(!log.contains(token), "a token is in the log");
    }
}

#[test]
fn a_certificate_is_changed_without_a_restart() {
    let (folder, ca) = certificates();
    let other = authority();
    let server = Served::start(&folder, &[&TLS[..], &["--tls-client-ca", "ca.pem"]].concat());
    let caller = |signed: &CertifiedIssuer<'static, KeyPair>, ca: &CertifiedIssuer<'static, KeyPair>| {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, signed).unwrap().pem();
        (
            cert.clone(),
            key.serialize_pem(),
            ClientOptions {
                tls_ca: Some(ca.pem()),
                client_cert: Some(cert),
                client_key: Some(key.serialize_pem()),
                ..ClientOptions::default()
            },
        )
    };
    let ((.., old), (cert, key, new)) = (caller(&ca, &ca), caller(&other, &other));
    block_on(async {
        let mut open = Client::connect_with(&server.uri, &old).await.unwrap();
        assert!(call(&server.uri, &new).await.is_err());
        // One file after the other, as a shell does it.
        folder.text("server.pem", &cert);
        server.wait_for("the last good certificate is kept: --tls-key server.key is no key that goes with");
        assert!(call(&server.uri, &old).await.is_ok(), "what was good does not stay");
        folder.text("server.key", &key);
        server.wait_for("the certificate was read anew");
        let half = ClientOptions { tls_ca: new.tls_ca.clone(), ..old.clone() };
        assert!(call(&server.uri, &half).await.is_ok() && call(&server.uri, &old).await.is_err());
        folder.text("ca.pem", &other.pem());
        let start = Instant::now();
        while call(&server.uri, &new).await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "the new CA is not known");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(call(&server.uri, &half).await.is_err(), "callers of the old CA still come in");
        open.list_scorecards().await.unwrap();
        std::fs::remove_file(folder.path("server.pem")).unwrap();
        server.wait_for("the last good certificate is kept: cannot read --tls-cert server.pem");
        assert!(call(&server.uri, &new).await.is_ok());
    });
    assert!(!server.stop().contains("PRIVATE KEY"));
}

#[test]
fn the_command_line_brings_certificate_and_token() {
    let (folder, _) = certificates();
    folder.text("tokens", &format!("# mine\n{OLD}\n"));
    folder.text("u.csv", "customer_id,session_count\na,1\n");
    folder.text("component.yaml", "inputs: {usage: u.csv}\noutput: o.parquet\n");
    let server = Served::start(&folder, &[&TLS[..], &["--tls-client-ca", "ca.pem", "--token-file", "tokens"]].concat());
    let ask = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_customer-health"));
        command.current_dir(folder.path("")).args([
            "materialize",
            "component.yaml",
            "--quiet",
            "--server",
            &server.uri,
        ]);
        let output = command.args(more).env("RUST_LOG", "trace").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let tls = ["--tls-ca", "ca.pem", "--tls-cert", "caller.pem", "--tls-key", "caller.key"];
    let (code, message) = ask(&[&tls[..], &["--token-file", "tokens"]].concat());
    assert_eq!(code, Some(0), "{message}");
    assert!(folder.path("o.parquet").exists() && !message.contains(OLD), "{message}");
    let (code, message) = ask(&tls);
    assert_eq!(code, Some(10), "{message}");
    assert!(message.contains("no token that the server knows"), "{message}");
    let (code, message) = ask(&["--tls-ca", "gone.pem"]);
    assert_eq!(code, Some(5), "{message}");
    assert!(message.contains("cannot read --tls-ca gone.pem"), "{message}");
}

fn limited(connections: ConnectionLimits) -> ServerConfig {
    ServerConfig { connections, ..ServerConfig::default() }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_told_as_such() {
    let limits = ConnectionLimits { max_message_size: 1 << 16, ..ConnectionLimits::default() };
    let (running, folder) = (Running::with(limited(limits)).await, Folder::new());
    let text = format!("# {}\n", "x".repeat(1 << 17));
    let status = running.raw().await.materialize_sync(asking(&text, &folder.path(""))).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(status.metadata().get(REASON).unwrap(), "MESSAGE_TOO_LARGE");
    let words = "a message is larger than the server takes: found 131";
    assert!(status.message().starts_with(words), "{status}");
    assert!(status.message().contains("the limit is: 65536 bytes\nhint: "), "{status}");
    let mut client = running.client().await;
    let error = client.materialize_sync(asking(&text, &folder.path(""))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::MessageTooLarge);
    let inputs = vec![StreamedInput { input: Input::Usage.into(), ..StreamedInput::default() }];
    let start = StreamStart { inputs, ..StreamStart::default() };
    let chunks: Vec<_> = customer_health::client::chunks(Input::Usage, &vec![0; 1 << 17]).collect();
    let error = client.materialize_stream(start, tokio_stream::iter(chunks), |_| {}).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::MessageTooLarge, "{error}");
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_until_one_is_free() {
    let limits = ConnectionLimits { max_connections: 1, ..ConnectionLimits::default() };
    let running = Running::with(limited(limits)).await;
    let mut first = running.client().await;
    first.list_scorecards().await.unwrap();
    let address = running.address;
    let read = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read(&mut [0; 1])
    });
    assert!(matches!(read.await.unwrap(), Ok(0)), "it is not closed");
    let (kind, message) = call(&running.uri(), &ClientOptions::default()).await.unwrap_err();
    assert_eq!(kind, ErrorKind::Unavailable, "{message}");
    first.list_scorecards().await.unwrap();
    drop(first);
    let start = Instant::now();
    while call(&running.uri(), &ClientOptions::default()).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the place was not given back");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_connection_that_gives_no_sign_of_life_is_closed() {
    let quick = Duration::from_millis(200);
    let limits =
        ConnectionLimits { keepalive_interval: quick, keepalive_timeout: quick, ..ConnectionLimits::default() };
    let running = Running::with(limited(limits)).await;
    let address = running.address;
    // One says nothing at all, the other begins as HTTP/2 wants it and then answers no ping.
    let settings: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for hello in [&[][..], settings] {
        let closed = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.write_all(hello).unwrap();
            stream.read_to_end(&mut Vec::new()).is_ok_and(|bytes| bytes > 0 || hello != settings)
        });
        assert!(closed.await.unwrap(), "it is left open");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_old_connection_ends_and_the_caller_notices_nothing() {
    let age = Duration::from_millis(200);
    let running = Running::with(limited(ConnectionLimits { max_age: Some(age), ..ConnectionLimits::default() })).await;
    let mut client = running.client().await;
    client.list_scorecards().await.unwrap();
    tokio::time::sleep(age * 3).await;
    client.list_scorecards().await.unwrap();
    drop(client);
    running.stop().await;
}
