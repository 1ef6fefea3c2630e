use super::Pipe;
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

/// hyper's end of a [`Pipe`]: a connection that ends when nobody is there any more, whatever the transport above it.
///
/// - A peer that is gone acknowledges nothing: the kernel gives up after [`crate::limits::UNACKNOWLEDGED`].
/// - A peer that is there and does not read is waited for: the kernel must not give up on it, we do, after
///   [`SILENCE`] without a byte moved either way. The timer exists only while a write waits.
pub struct Guarded {
    pipe: Arc<Pipe>,
    /// What was read before, by whoever had the connection.
    received: Bytes,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    /// hyper's end of this pipe, on which this came already.
    pub fn new(pipe: Arc<Pipe>, received: Bytes) -> Self {
        Self { pipe, received, waiting: None }
    }

    /// What came and was not used, `read` having been taken from here.
    pub fn with_received(self, read: Bytes) -> Bytes {
        if self.received.is_empty() { read } else { [read, self.received].concat().into() }
    }

    /// Watches over the outcome of a write.
    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.pipe.set_flushed(false);
        if outcome.is_ready() {
            if self.waiting.take().is_some() {
                self.pipe.pulse().beat();
                self.pipe.let_kernel_judge(true);
            }
            return outcome;
        }
        if self.waiting.is_none() {
            self.pipe.let_kernel_judge(false);
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(SILENCE)));
        while waiting.as_mut().poll(cx).is_ready() {
            let until = self.pipe.pulse().last() + SILENCE;
            if until <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            waiting.as_mut().reset(until);
        }
        Poll::Pending
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.received.is_empty() {
            let length = self.received.len().min(buf.remaining());
            buf.put_slice(&self.received.split_to(length));
            return Poll::Ready(Ok(()));
        }
        self.pipe.poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = self.pipe.poll_write(cx, bufs);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes when it has handed over everything it had to write.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.set_flushed(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.pipe.shut_down())
    }
}
