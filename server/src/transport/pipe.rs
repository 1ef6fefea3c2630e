use super::Pulse;
use crate::{
    hub::{Chunk, Outlet, Then},
    limits::{HEARTBEAT, READ_BUFFER, SEND_BUFFER, SILENCE, UNACKNOWLEDGED},
};
use bytes::{Buf, Bytes};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use socket2::SockRef;
use std::{
    cell::RefCell,
    collections::VecDeque,
    future::{pending, poll_fn},
    hint::black_box,
    io::{self, IoSlice},
    net::Shutdown,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::{
    io::Interest,
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};

/// Slices handed to the kernel in one write.
const SLICES: usize = 16;

thread_local! {
    /// One for all connections of a thread: nothing waits while it is in use.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER]);
}

/// The other side is gone: nothing more can be said.
#[derive(Debug)]
pub struct Gone;

/// One connection's line to its peer.
///
/// What is pushed to a reader that is up to date is written here and then, by whoever pushes; what the kernel does not
/// take is kept, and goes out before anything else. Until a transport takes the connection over, hyper writes through it
/// ([`super::Guarded`]).
pub struct Pipe {
    stream: TcpStream,
    out: Mutex<Out>,
    pulse: Pulse,
    /// One of the connections there may be.
    _place: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Out {
    /// What the kernel did not take yet. Bounded: whoever has something here gets no more pushed than one chunk.
    rest: VecDeque<Bytes>,
    /// Bytes the kernel took.
    written: u64,
    /// A write failed.
    broken: bool,
    /// Nothing that hyper was given waits in its own buffers.
    flushed: bool,
    /// The peer has to show that it is there when it gets a heartbeat.
    answers: bool,
    /// Since when it is asked to and did not.
    asked: Option<Instant>,
    /// It has not for so long that from here on a timer runs.
    suspect: bool,
}

impl Pipe {
    /// Takes over an accepted connection; `place` is given back with it.
    pub fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Arc<Self> {
        // A message is a small write; gathering them would be a delay.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let pulse = Pulse::default();
        let this = Self { stream, out: Mutex::new(Out { flushed: true, ..Out::default() }), pulse, _place: place };
        this.let_kernel_judge(true);
        Arc::new(this)
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a byte last moved.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Whether the kernel gives up on a peer that acknowledges nothing. Where the option does not exist the kernel's
    /// own, longer, patience is what there is.
    pub(super) fn let_kernel_judge(&self, judge: bool) {
        let _ = SockRef::from(&self.stream).set_tcp_user_timeout(judge.then_some(UNACKNOWLEDGED));
    }

    /// Asks the peer to answer heartbeats.
    pub(super) fn expect_answers(&self) {
        self.out().answers = true;
    }

    /// Resolves when the peer, asked again and again, has said nothing for [`SILENCE`]; never, and without a timer,
    /// while nothing speaks for that.
    pub(super) async fn silent(&self) {
        loop {
            let until = self.out().silent_at(&self.pulse);
            match until {
                None => pending().await,
                Some(until) if until <= Instant::now() => return,
                Some(until) => Box::pin(sleep_until(until)).await,
            }
        }
    }

    /// Writes what fits now and keeps the rest; whether nothing is left.
    pub(super) fn put(&self, bytes: &Bytes) -> bool {
        self.out().put(&self.stream, bytes)
    }

    /// Resolves when nothing waits to be written. A peer that does not read is waited for as long as a byte moves now
    /// and then.
    pub(super) async fn drain(&self) -> Result<(), Gone> {
        if self.out().flush(&self.stream)? {
            return Ok(());
        }
        // In a box: a connection that keeps up has no room for waiting.
        Box::pin(self.drain_slowly()).await
    }

    async fn drain_slowly(&self) -> Result<(), Gone> {
        self.let_kernel_judge(false);
        let mut until = Instant::now() + SILENCE;
        loop {
            tokio::select! {
                room = self.stream.writable() => room.map_err(|_| Gone)?,
                () = sleep_until(until) => {
                    until = self.pulse.last() + SILENCE;
                    if until <= Instant::now() {
                        return Err(Gone);
                    }
                    continue;
                }
            }
            self.pulse.beat();
            if self.out().flush(&self.stream)? {
                self.let_kernel_judge(true);
                return Ok(());
            }
        }
    }

    /// hyper has nothing left to write.
    pub fn is_flushed(&self) -> bool {
        self.out().flushed
    }

    /// Bytes the kernel took so far.
    pub(super) fn written(&self) -> u64 {
        self.out().written
    }

    /// Whether hyper has something left to write.
    pub(super) fn set_flushed(&self, flushed: bool) {
        self.out().flushed = flushed;
    }

    /// Resolves when there may be something to read.
    pub(super) async fn readable(&self) -> Result<(), Gone> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// The same. There is one who reads, so one waker is enough; and it takes the place of hyper's, which would keep the
    /// memory of hyper's task.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.stream.poll_read_ready(cx).map_err(|_| Gone)
    }

    /// Resolves when the peer is gone; whatever it says is passed over.
    pub(super) async fn gone(&self) {
        while self.readable().await.is_ok() && self.skip().is_ok() {}
    }

    fn skip(&self) -> Result<(), Gone> {
        self.read(&mut [0; 512]).map(drop)
    }

    /// Waits until the peer says something, and hands on what it says, as much as is read in one go.
    ///
    /// # Errors
    /// The peer is gone.
    pub async fn hear_with<T>(&self, with: impl FnOnce(&[u8]) -> T) -> Result<T, Gone> {
        let mut with = Some(with);
        loop {
            self.readable().await?;
            let heard = self.read_with(|bytes| with.take_if(|_| !bytes.is_empty()).map(|with| with(bytes)))?;
            if let Some(heard) = heard {
                return Ok(heard);
            }
        }
    }

    /// Reads what is there into a buffer that is nobody's, and hands it on.
    pub(super) fn read_with<T>(&self, with: impl FnOnce(&[u8]) -> T) -> Result<T, Gone> {
        SCRATCH.with_borrow_mut(|scratch| {
            let read = self.read(scratch)?;
            Ok(with(&scratch[..read]))
        })
    }

    /// Reads what is there; 0 when nothing is.
    pub(super) fn read(&self, into: &mut [u8]) -> Result<usize, Gone> {
        match self.receive(into) {
            Ok(0) => Err(Gone),
            Ok(read) => {
                self.pulse.beat();
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(Gone),
        }
    }

    /// Reads what is there. When it was all of it, the next look waits until more comes, instead of asking the kernel once
    /// more: tokio is told so about the readiness this read began with. Told after the read, it could forget what came in
    /// between. A peer that has closed is not forgotten by it.
    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        let outcome = self.stream.try_io(Interest::READABLE, || {
            (read, _) = recv(&self.stream, &mut *into, RecvFlags::empty())?;
            if 0 < read && read < into.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(read) }
        });
        if read > 0 { Ok(read) } else { outcome }
    }

    /// Says that nothing more comes.
    pub(super) fn shut_down(&self) -> io::Result<()> {
        SockRef::from(&self.stream).shutdown(Shutdown::Write)
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut tokio::io::ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.receive(buf.initialize_unfilled()) {
                Ok(read) => {
                    if read > 0 {
                        self.pulse.beat();
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
            let mut out = self.out();
            match out.flush(&self.stream) {
                Ok(true) => match self.stream.try_write_vectored(bufs) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => {
                        out.written += done.as_ref().map_or(0, |written| *written as u64);
                        return Poll::Ready(done);
                    }
                },
                Ok(false) => {}
                Err(Gone) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
            drop(out);
            ready!(self.stream.poll_write_ready(cx))?;
        }
    }
}

impl Out {
    /// Whether nothing is left.
    ///
    /// The kernel is asked without a look at what tokio knows of the socket: it nearly always takes a message, and what
    /// tokio knows would have to be fetched for each reader. When it does not, [`Self::flush`] tells tokio so.
    fn put(&mut self, stream: &TcpStream, bytes: &Bytes) -> bool {
        let mut written = 0;
        if self.rest.is_empty() && !self.broken {
            match send(stream, bytes, SendFlags::NOSIGNAL) {
                Ok(taken) => written = taken,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => self.broken = true,
            }
            self.written += written as u64;
            if written == bytes.len() {
                return true;
            }
        }
        if !self.broken {
            self.rest.push_back(bytes.slice(written..));
        }
        false
    }

    /// Writes what was kept; whether nothing is left.
    fn flush(&mut self, stream: &TcpStream) -> Result<bool, Gone> {
        while !self.rest.is_empty() && !self.broken {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.rest.iter().zip(&mut slices).map(|(bytes, slice)| *slice = IoSlice::new(bytes)).count();
            match stream.try_write_vectored(&slices[..filled]) {
                Ok(written) => self.written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(_) => self.broken = true,
            }
        }
        if self.broken {
            self.rest = VecDeque::new();
            return Err(Gone);
        }
        // A connection that kept up again keeps no buffer.
        if self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
        Ok(true)
    }

    fn written(&mut self, mut written: usize) {
        self.written += written as u64;
        while let Some(first) = self.rest.front_mut() {
            if first.len() > written {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.rest.pop_front();
        }
    }

    /// The peer is asked to show that it is there; whether it may still be.
    fn ask(&mut self, pulse: &Pulse) -> bool {
        let now = Instant::now();
        if self.asked.is_none_or(|asked| pulse.last() > asked) {
            self.asked = Some(now);
        }
        self.suspect = now.duration_since(pulse.last()) >= SILENCE - HEARTBEAT;
        !self.suspect
    }

    /// When a suspect has been silent for too long, unless it was heard of.
    fn silent_at(&mut self, pulse: &Pulse) -> Option<Instant> {
        let asked = self.asked.filter(|asked| self.suspect && pulse.last() <= *asked);
        self.suspect = asked.is_some();
        Some((pulse.last() + SILENCE).max(asked? + (SILENCE - HEARTBEAT)))
    }
}

impl Outlet for Pipe {
    fn push(&self, chunk: &Chunk) -> Then {
        if self.out().put(&self.stream, &chunk.bytes) { Then::Stays } else { Then::Leaves }
    }

    fn look(&self) {
        black_box((self.out.is_poisoned(), self.stream.as_raw_fd()));
    }

    fn beat(&self, bytes: &Bytes) -> Then {
        let mut out = self.out();
        let there = !out.answers || out.ask(&self.pulse);
        if out.put(&self.stream, bytes) && there { Then::Stays } else { Then::Leaves }
    }
}
