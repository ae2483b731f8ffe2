//! How many connections there may be at once, how long each lasts, and what may come through one.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use futures::{Stream, StreamExt, future};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use crate::app::connection::time_limit::Timed;
use crate::app::connection::tls::Tls;

/// How long to wait after a connection could not be accepted, which mostly is for want of file descriptors.
const AFTER_FAULT: Duration = Duration::from_millis(100);

/// Most connections at once, where there may be enough open files.
const MOST: usize = 1024;

/// Connections to the metrics at once; what comes on top waits.
const METRICS_AT_ONCE: usize = 32;

/// How long a connection to the metrics may take.
const METRICS_TIME: Duration = Duration::from_secs(30);

/// Files that this process may have open, where the system tells.
fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Largest message that is taken, in bytes.
    pub max_message_size: usize,
    /// Most connections at once; what comes on top is closed at once. By default no more than half of the files that the
    /// process may have open, as runs need files too.
    pub max_connections: usize,
    /// Most calls at once on one connection; what comes on top waits in the caller.
    pub max_streams: u32,
    /// How often a silent connection is asked for a sign of life: a caller that vanished must not keep its run going.
    pub keepalive_interval: Duration,
    /// How long the sign of life may take, and the beginning of a new connection: HTTP/2's preface and first frame.
    pub keepalive_timeout: Duration,
    /// After which a connection takes no new calls and ends with those that it has.
    pub max_age: Option<Duration>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            max_message_size: 4 << 20,
            max_connections: open_files().map_or(MOST, |files| (files / 2).clamp(1, MOST)),
            max_streams: 128,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            max_age: Some(Duration::from_secs(60 * 60)),
        }
    }
}

/// The connections of a listener, never more at once than there may be.
pub fn accepted(listener: TcpListener, limits: Connections) -> impl Stream<Item = io::Result<Connection>> {
    let most = limits.max_connections;
    let places = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
    let full = Arc::new(AtomicBool::new(false));
    TcpIncoming::from(listener).with_nodelay(Some(true)).filter_map(move |accepted| {
        let (places, full) = (places.clone(), full.clone());
        async move {
            let stream = match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    sleep(AFTER_FAULT).await;
                    return Some(Err(error));
                }
            };
            match places.try_acquire_owned() {
                Ok(place) => {
                    full.store(false, Ordering::Relaxed);
                    Some(Ok(Connection { stream, _place: place }))
                }
                Err(_) => {
                    // Once for all that are refused in a row.
                    if !full.swap(true, Ordering::Relaxed) {
                        tracing::warn!(
                            "{most} connections are open, more are closed at once; `serve --max-connections` allows more"
                        );
                    }
                    None
                }
            }
        }
    })
}

/// The same connections, encrypted, each with the certificate of the moment; those whose handshake fails are closed.
pub fn encrypted(
    accepted: impl Stream<Item = io::Result<Connection>>,
    tls: Tls,
    limits: Connections,
) -> impl Stream<Item = io::Result<TlsStream<Connection>>> {
    let handshakes = accepted.map(move |connection| {
        let tls = tls.clone();
        async move {
            match connection {
                Ok(connection) => tls.accept(connection).await.map(Ok),
                Err(error) => Some(Err(error)),
            }
        }
    });
    // One more than there are places: a silent one keeps nobody waiting.
    handshakes.buffer_unordered(limits.max_connections.saturating_add(1)).filter_map(future::ready)
}

/// Connections to the metrics: few at once, none for long.
pub struct Brief {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Brief {
    /// Those of a listener.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(METRICS_AT_ONCE)) }
    }
}

impl Listener for Brief {
    type Io = Timed<Connection>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            // Fails only once it is closed, which nobody does.
            let Ok(place) = self.places.clone().acquire_owned().await else { continue };
            let (stream, address) = Listener::accept(&mut self.listener).await;
            return (Timed::whole(Connection { stream, _place: place }, METRICS_TIME), address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that holds a place among those that may be open.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
