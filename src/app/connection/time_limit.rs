//! Connections that have to get somewhere in time: a caller that says nothing, or a byte now and then, keeps no place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

/// Bytes of HTTP/2's connection preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// Bytes of a frame's head (RFC 9113, section 4.1), whose first three are the length of what follows.
const FRAME_HEAD: usize = 9;

/// What has to be done in time.
#[derive(Debug)]
enum Until {
    /// The preface and the whole first frame, which is the caller's SETTINGS.
    FirstFrame {
        /// Bytes read so far.
        seen: usize,
        /// Bytes behind the frame's head, as far as it was read.
        length: usize,
    },
    /// Everything.
    End,
}

/// A connection with a time limit on its beginning, or on all of it.
#[derive(Debug)]
pub struct Timed<C> {
    stream: C,
    limit: Option<(Pin<Box<Sleep>>, Until)>,
}

impl<C> Timed<C> {
    /// Its HTTP/2 has to have begun within this time; for TLS it is what is inside that counts.
    pub fn beginning(stream: C, within: Duration) -> Self {
        let until = Until::FirstFrame { seen: 0, length: 0 };
        Self { stream, limit: Some((Box::pin(sleep(within)), until)) }
    }

    /// It has to be over within this time.
    pub fn whole(stream: C, within: Duration) -> Self {
        Self { stream, limit: Some((Box::pin(sleep(within)), Until::End)) }
    }
}

impl Until {
    /// Whether what was to be read has been, with these bytes.
    fn reached(&mut self, bytes: &[u8]) -> bool {
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

impl<C: Connected> Connected for Timed<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> C::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Timed<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, limit } = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(context, buffer);
        let Some((timer, until)) = limit else { return read };
        if read.is_ready() {
            if until.reached(&buffer.filled()[before..]) {
                *limit = None;
            }
            return read;
        }
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Timed<C> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, limit } = &mut *self;
        let written = Pin::new(stream).poll_write(context, bytes);
        // One that does not take its answer is over as well.
        let Some((timer, Until::End)) = limit else { return written };
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
            let mut until = Until::FirstFrame { seen: 0, length: 0 };
            let (last, before) = bytes.split_last().unwrap();
            assert!(before.chunks(before.len().div_ceil(pieces)).all(|piece| !until.reached(piece)), "{length}");
            assert!(until.reached(&[*last]), "{length}");
        }
    }
}
