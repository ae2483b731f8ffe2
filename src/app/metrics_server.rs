//! The metrics over HTTP: `GET /metrics`, on few connections at once and none for long.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::app::connection::accept::Connection;
use crate::app::connection::time_limit::TimeLimited;
use crate::app::metrics::Metrics;

/// Media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Connections at once; what comes on top waits.
const MAX_CONNECTIONS: usize = 32;

/// How long a connection may take.
const MAX_TIME: Duration = Duration::from_secs(30);

/// Answers `GET /metrics`, for ever.
///
/// # Errors
/// Where connections can no longer be accepted.
pub async fn serve_metrics(listener: TcpListener, metrics: Metrics) -> io::Result<()> {
    let answer = move || {
        let text = metrics.text();
        async move { ([(CONTENT_TYPE, OPEN_METRICS)], text) }
    };
    axum::serve(MetricsListener::new(listener), Router::new().route("/metrics", get(answer))).await
}

struct MetricsListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl MetricsListener {
    fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }
}

impl Listener for MetricsListener {
    type Io = TimeLimited<Connection>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            // Fails only where the semaphore is closed, which no code does.
            let Ok(place) = self.places.clone().acquire_owned().await else { continue };
            let (stream, address) = Listener::accept(&mut self.listener).await;
            return (TimeLimited::limit_whole(Connection::new(stream, place), MAX_TIME), address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
