//! Connections with a time limit: a caller that sends nothing, or a byte now and then, keeps no place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Bytes of HTTP/2's connection preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// Bytes of a frame's head (RFC 9113, section 4.1), whose first three are the length of what follows.
const FRAME_HEAD: usize = 9;

/// What has to be done in time.
#[derive(Debug)]
enum Goal {
    /// The handshake: the preface and the whole first frame, which is the caller's SETTINGS.
    FirstFrame {
        /// Bytes read so far.
        seen: usize,
        /// Bytes behind the frame's head, as far as it was read.
        length: usize,
    },
    /// The whole exchange.
    End,
}

/// A connection with a time limit on its HTTP/2 handshake, or on all of it.
#[derive(Debug)]
pub struct TimeLimited<C> {
    stream: C,
    limit: Option<(Pin<Box<Sleep>>, Goal)>,
}

impl<C> TimeLimited<C> {
    /// The connection itself.
    pub fn inner(&self) -> &C {
        &self.stream
    }

    /// Limits the time of the HTTP/2 handshake; with TLS, `stream` is the decrypted one.
    pub fn limit_handshake(stream: C, within: Duration) -> Self {
        let goal = Goal::FirstFrame { seen: 0, length: 0 };
        Self { stream, limit: Some((Box::pin(sleep(within)), goal)) }
    }

    /// Limits the time of the whole connection.
    pub fn limit_whole(stream: C, within: Duration) -> Self {
        Self { stream, limit: Some((Box::pin(sleep(within)), Goal::End)) }
    }
}

impl Goal {
    /// Whether the goal is reached with these bytes, which follow those of earlier calls.
    fn is_reached(&mut self, bytes: &[u8]) -> bool {
        let Self::FirstFrame { seen, length } = self else { return false };
        for byte in bytes {
            if (PREFACE..PREFACE + 3).contains(seen) {
                *length = *length << 8 | usize::from(*byte);
            }
            *seen += 1;
        }
        *seen >= PREFACE + FRAME_HEAD + *length
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for TimeLimited<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, limit } = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(context, buffer);
        let Some((timer, goal)) = limit else { return read };
        if read.is_ready() {
            if goal.is_reached(&buffer.filled()[before..]) {
                *limit = None;
            }
            return read;
        }
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for TimeLimited<C> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, limit } = &mut *self;
        let written = Pin::new(stream).poll_write(context, bytes);
        // A caller that does not take its answer has no more time either.
        let Some((timer, Goal::End)) = limit else { return written };
        if written.is_ready() {
            return written;
        }
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_the_preface_and_the_whole_first_frame() {
        for (length, pieces) in [(0_u8, 1), (12, 1), (12, 5), (200, 33)] {
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            assert_eq!(bytes.len(), PREFACE);
            bytes.extend([0, 0, length, 4, 0, 0, 0, 0, 0]);
            bytes.extend(vec![0; usize::from(length)]);
            let mut goal = Goal::FirstFrame { seen: 0, length: 0 };
            let (last, before) = bytes.split_last().unwrap();
            assert!(before.chunks(before.len().div_ceil(pieces)).all(|piece| !goal.is_reached(piece)), "{length}");
            assert!(goal.is_reached(&[*last]), "{length}");
        }
    }
}
