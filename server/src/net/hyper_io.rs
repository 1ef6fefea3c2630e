//! The connection as hyper reads and writes it.

use super::Connection;
use crate::limits::SILENCE;
use bytes::Bytes;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// hyper's end of a [`Connection`], which ends when the peer is gone:
///
/// - The kernel gives up on a peer that acknowledges nothing for [`crate::limits::UNACKNOWLEDGED`].
/// - A peer that is there and does not read is waited for: the kernel must not give up on it. Baro does, after
///   [`SILENCE`] without a byte moved either way. The timer exists only while a write waits.
pub struct HyperIo {
    connection: Arc<Connection>,
    /// Bytes that the fast path had read before hyper got the connection.
    received: Bytes,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl HyperIo {
    /// hyper's end of this connection, with bytes that were read before.
    pub fn new(connection: Arc<Connection>, received: Bytes) -> Self {
        Self { connection, received, waiting: None }
    }

    /// The bytes that nobody used, given those that hyper read from here and did not use.
    pub(super) fn unused(self, read: Bytes) -> Bytes {
        if self.received.is_empty() { read } else { [read, self.received].concat().into() }
    }

    /// Watches over the outcome of a write.
    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.connection.set_hyper_flushed(false);
        if outcome.is_ready() {
            if self.waiting.take().is_some() {
                self.connection.activity().touch();
                self.connection.limit_unacknowledged(true);
            }
            return outcome;
        }
        if self.waiting.is_none() {
            self.connection.limit_unacknowledged(false);
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(SILENCE)));
        while waiting.as_mut().poll(cx).is_ready() {
            let until = self.connection.activity().at() + SILENCE;
            if until <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            waiting.as_mut().reset(until);
        }
        Poll::Pending
    }
}

impl AsyncRead for HyperIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.received.is_empty() {
            let length = self.received.len().min(buf.remaining());
            buf.put_slice(&self.received.split_to(length));
            return Poll::Ready(Ok(()));
        }
        self.connection.poll_read(cx, buf)
    }
}

impl AsyncWrite for HyperIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = self.connection.poll_write(cx, bufs);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes when it has handed over everything it had to write.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.set_hyper_flushed(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.connection.shutdown())
    }
}
