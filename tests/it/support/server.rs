//! A real server on a free port, and requests for it.

use std::net::SocketAddr;
use std::path::Path;

use customer_health::client::Client;
use customer_health::grpc::{self, ServeError, ServerConfig};
use customer_health::proto::component_source::Source;
use customer_health::proto::customer_health_service_client::CustomerHealthServiceClient;
use customer_health::proto::{ComponentSource, MaterializeSyncRequest};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

/// A server that runs until it is stopped or dropped.
pub struct Running {
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub server: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub async fn start() -> Self {
        Self::with(ServerConfig::default()).await
    }

    pub async fn with(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let server = tokio::spawn(grpc::serve(listener, shutdown, config));
        Self { address, stop, server }
    }

    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(self.uri()).unwrap().connect().await.unwrap()
    }

    /// The typed client.
    pub async fn client(&self) -> Client {
        Client::connect(&self.uri()).await.unwrap()
    }

    /// The generated client, which shows status and metadata as they are.
    pub async fn raw(&self) -> CustomerHealthServiceClient<Channel> {
        CustomerHealthServiceClient::new(self.channel().await)
    }

    pub async fn stop(self) {
        drop(self.stop);
        self.server.await.unwrap().unwrap();
    }
}

/// A component as text, its paths starting from a folder.
pub fn source(text: &str, base_dir: &Path) -> Option<ComponentSource> {
    let source = Some(Source::Text(text.to_owned()));
    Some(ComponentSource { source, base_dir: base_dir.display().to_string(), ..Default::default() })
}

/// A request for a run and its summary.
pub fn asking(text: &str, base_dir: &Path) -> MaterializeSyncRequest {
    MaterializeSyncRequest { component: source(text, base_dir), ..Default::default() }
}
