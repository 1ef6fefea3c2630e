//! The socket of one client, with the bytes that the kernel did not take yet.

use super::{
    liveness::{LastActivity, Probe},
    unsent::{Disconnected, Unsent},
};
use crate::{
    limits::{READ_BUFFER, SEND_BUFFER, SILENCE, UNACKNOWLEDGED},
    lock::Lock,
};
use bytes::Bytes;
use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use std::{
    cell::RefCell,
    future::{pending, poll_fn},
    hint::black_box,
    io::{self, IoSlice},
    net::Shutdown,
    os::fd::AsRawFd,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{Interest, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};

thread_local! {
    /// One read buffer for all connections of a thread: nothing waits while it is in use.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER]);
}

/// One connection.
///
/// The task that publishes writes to it directly ([`Self::write`]). What the kernel does not take is kept, and goes out
/// before anything else. Until a transport takes the connection over, hyper writes through it ([`super::HyperIo`]).
pub struct Connection {
    stream: TcpStream,
    /// Held for one system call at most; nothing waits while it is held.
    out: Lock<Out>,
    activity: LastActivity,
    /// One of the places that `--connections` allows; given back when the connection is dropped.
    _place: OwnedSemaphorePermit,
}

struct Out {
    unsent: Unsent,
    probe: Probe,
    /// hyper's own buffers hold nothing that it was given to write.
    hyper_flushed: bool,
}

impl Connection {
    /// Takes an accepted socket over.
    pub fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Arc<Self> {
        // A message is a small write; Nagle's algorithm would delay it.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let out = Out { unsent: Unsent::default(), probe: Probe::default(), hyper_flushed: true };
        let this = Self { stream, out: Lock::new(out), activity: LastActivity::default(), _place: place };
        this.limit_unacknowledged(true);
        Arc::new(this)
    }

    pub(super) fn activity(&self) -> &LastActivity {
        &self.activity
    }

    /// Sets whether the kernel gives up on a peer that acknowledges nothing for [`UNACKNOWLEDGED`]. Where the option does
    /// not exist, the kernel's own, longer, time applies.
    pub(super) fn limit_unacknowledged(&self, on: bool) {
        let _ = SockRef::from(&self.stream).set_tcp_user_timeout(on.then_some(UNACKNOWLEDGED));
    }

    /// From now on the peer has to answer heartbeats.
    pub fn expect_answers(&self) {
        self.out.lock().probe.enabled = true;
    }

    /// Resolves when the peer did not answer heartbeats for [`SILENCE`]. While nothing hints at that, it waits without a
    /// timer.
    pub async fn unresponsive(&self) {
        loop {
            let until = self.out.lock().probe.gives_up_at(&self.activity);
            match until {
                None => pending().await,
                Some(until) if until <= Instant::now() => return,
                Some(until) => Box::pin(sleep_until(until)).await,
            }
        }
    }

    /// Writes what the kernel takes now and keeps the rest. Returns whether nothing is left. A failed write shows in
    /// [`Self::flush`].
    pub fn write(&self, bytes: &Bytes) -> bool {
        self.out.lock().unsent.write(&self.stream, bytes)
    }

    /// Writes a heartbeat. Returns whether nothing is left to write and the peer may still be there.
    pub fn write_heartbeat(&self, bytes: &Bytes) -> bool {
        let mut out = self.out.lock();
        let may_be_there = out.probe.ask(&self.activity);
        out.unsent.write(&self.stream, bytes) && may_be_there
    }

    /// Reads what a write begins with, so that the processor fetches it.
    pub fn touch(&self) {
        black_box((self.out.is_poisoned(), self.stream.as_raw_fd()));
    }

    /// Resolves when nothing waits to be written.
    ///
    /// # Errors
    /// Returns an error if the peer is gone, or if no byte moved for [`SILENCE`].
    pub async fn flush(&self) -> Result<(), Disconnected> {
        if self.out.lock().unsent.flush(&self.stream)? {
            return Ok(());
        }
        // Boxed: a connection that keeps up needs no room for waiting.
        Box::pin(self.flush_slowly()).await
    }

    async fn flush_slowly(&self) -> Result<(), Disconnected> {
        // A peer that is there and does not read must not be given up by the kernel.
        self.limit_unacknowledged(false);
        let mut until = Instant::now() + SILENCE;
        loop {
            tokio::select! {
                room = self.stream.writable() => room.map_err(|_| Disconnected)?,
                () = sleep_until(until) => {
                    until = self.activity.at() + SILENCE;
                    if until <= Instant::now() {
                        return Err(Disconnected);
                    }
                    continue;
                }
            }
            self.activity.touch();
            if self.out.lock().unsent.flush(&self.stream)? {
                self.limit_unacknowledged(true);
                return Ok(());
            }
        }
    }

    /// Whether hyper has nothing left to write.
    pub(super) fn is_hyper_flushed(&self) -> bool {
        self.out.lock().hyper_flushed
    }

    pub(super) fn set_hyper_flushed(&self, flushed: bool) {
        self.out.lock().hyper_flushed = flushed;
    }

    /// Bytes that the kernel took so far.
    pub fn written(&self) -> u64 {
        self.out.lock().unsent.written
    }

    /// Resolves when there may be something to read.
    ///
    /// # Errors
    /// Returns an error if the peer is gone.
    pub async fn readable(&self) -> Result<(), Disconnected> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// The same, polled. One task reads, so one waker is enough; it replaces hyper's, which would keep the memory of
    /// hyper's task.
    ///
    /// # Errors
    /// Returns an error if the peer is gone.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        self.stream.poll_read_ready(cx).map_err(|_| Disconnected)
    }

    /// Resolves when the peer is gone; ignores what it sends.
    pub async fn closed(&self) {
        while self.readable().await.is_ok() && self.read(&mut [0; 512]).is_ok() {}
    }

    /// Waits until the peer sends something and passes it on, as much as one read returns.
    ///
    /// # Errors
    /// Returns an error if the peer is gone.
    pub async fn receive_with<T>(&self, with: impl FnOnce(&[u8]) -> T) -> Result<T, Disconnected> {
        let mut with = Some(with);
        loop {
            self.readable().await?;
            let received = self.read_with(|bytes| with.take_if(|_| !bytes.is_empty()).map(|with| with(bytes)))?;
            if let Some(received) = received {
                return Ok(received);
            }
        }
    }

    /// Reads what is there into the thread's buffer and passes it on.
    ///
    /// # Errors
    /// Returns an error if the peer is gone.
    pub fn read_with<T>(&self, with: impl FnOnce(&[u8]) -> T) -> Result<T, Disconnected> {
        SCRATCH.with_borrow_mut(|scratch| {
            let read = self.read(scratch)?;
            Ok(with(&scratch[..read]))
        })
    }

    /// Reads what is there. Returns 0 if nothing is.
    ///
    /// # Errors
    /// Returns an error if the peer is gone.
    pub fn read(&self, into: &mut [u8]) -> Result<usize, Disconnected> {
        match self.try_read(into) {
            Ok(0) => Err(Disconnected),
            Ok(read) => {
                self.activity.touch();
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(Disconnected),
        }
    }

    /// Reads what is there. When it was everything, tokio is told so about the readiness with which this read began; the
    /// next read then waits instead of asking the kernel once more. Told after the read, tokio could forget what came in
    /// between. It does not forget a peer that has closed.
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        let outcome = self.stream.try_io(Interest::READABLE, || {
            (read, _) = recv(&self.stream, &mut *into, RecvFlags::empty())?;
            if 0 < read && read < into.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(read) }
        });
        if read > 0 { Ok(read) } else { outcome }
    }

    /// Tells the peer that nothing more comes.
    ///
    /// # Errors
    /// Returns an error if the socket is not connected any more.
    pub fn shutdown(&self) -> io::Result<()> {
        SockRef::from(&self.stream).shutdown(Shutdown::Write)
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    if read > 0 {
                        self.activity.touch();
                        buf.advance(read);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let mut out = self.out.lock();
            match out.unsent.flush(&self.stream) {
                Ok(true) => match self.stream.try_write_vectored(bufs) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => {
                        out.unsent.written += done.as_ref().map_or(0, |written| *written as u64);
                        return Poll::Ready(done);
                    }
                },
                Ok(false) => {}
                Err(Disconnected) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
            drop(out);
            ready!(self.stream.poll_write_ready(cx))?;
        }
    }
}
