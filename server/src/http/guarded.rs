use crate::{
    limits::{SEND_BUFFER, SILENCE, UNACKNOWLEDGED},
    transport::Pulse,
};
use socket2::SockRef;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// A connection that ends when nobody is there any more, whatever the transport above it.
///
/// - A peer that is gone acknowledges nothing: the kernel gives up after [`UNACKNOWLEDGED`].
/// - A peer that is there and does not read is waited for: the kernel must not give up on it, we do, after
///   [`SILENCE`] without a byte moved either way. The timer exists only while a write waits.
pub(super) struct Guarded {
    stream: TcpStream,
    pulse: Pulse,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    pub(super) fn new(stream: TcpStream) -> Self {
        // A message is a small write; gathering them would be a delay.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let this = Self { stream, pulse: Pulse::default(), waiting: None };
        this.let_kernel_judge(true);
        this
    }

    pub(super) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    fn let_kernel_judge(&self, judge: bool) {
        // Where the option does not exist the kernel's own, longer, patience is what there is.
        let _ = SockRef::from(&self.stream).set_tcp_user_timeout(judge.then_some(UNACKNOWLEDGED));
    }

    /// Watches over the outcome of a write.
    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            if self.waiting.take().is_some() {
                self.pulse.beat();
                self.let_kernel_judge(true);
            }
            return outcome;
        }
        if self.waiting.is_none() {
            self.let_kernel_judge(false);
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(SILENCE)));
        while waiting.as_mut().poll(cx).is_ready() {
            let until = self.pulse.last() + SILENCE;
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
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pulse.beat();
        }
        outcome
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
