//! How many connections there may be at once, how long each lasts, and what may come through one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt, future, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;

use crate::app::connection::tls::Tls;

/// How long to wait after a connection could not be accepted, mostly for want of file descriptors.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Most connections at once, where there may be enough open files.
const MAX_CONNECTIONS: usize = 1024;

/// Files that this process may have open, where the system tells.
fn read_open_file_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
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

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_message_size: 4 << 20,
            max_connections: read_open_file_limit()
                .map_or(MAX_CONNECTIONS, |files| (files / 2).clamp(1, MAX_CONNECTIONS)),
            max_streams: 128,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            max_age: Some(Duration::from_secs(60 * 60)),
        }
    }
}

/// Accepts the connections of a listener, never more at once than there may be.
pub fn accept_connections(
    listener: TcpListener,
    limits: ConnectionLimits,
) -> impl Stream<Item = io::Result<Connection>> {
    let most = limits.max_connections;
    let places = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
    let full = Arc::new(AtomicBool::new(false));
    stream::poll_fn(move |context| listener.poll_accept(context).map(Some)).filter_map(move |accepted| {
        let (places, full) = (places.clone(), full.clone());
        async move {
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    sleep(RETRY_DELAY).await;
                    return Some(Err(error));
                }
            };
            // Answers are small, and each is waited for.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::warn!("error trying to set TCP_NODELAY: {error}");
            }
            match places.try_acquire_owned() {
                Ok(place) => {
                    full.store(false, Ordering::Relaxed);
                    Some(Ok(Connection::new(stream, place)))
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

/// Encrypts connections, each with the certificate of the moment; those whose handshake fails are closed.
pub fn encrypt_connections(
    accepted: impl Stream<Item = io::Result<Connection>>,
    tls: Tls,
    limits: ConnectionLimits,
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
    // One more than there are places, so that a silent caller keeps no other waiting.
    handshakes.buffer_unordered(limits.max_connections.saturating_add(1)).filter_map(future::ready)
}

/// A connection that holds a place among those that may be open.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// A connection that holds this place until it is dropped.
    pub fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self { stream, _place: place }
    }

    /// The socket, for its addresses.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
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
