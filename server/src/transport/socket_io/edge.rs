use crate::{
    limits::EVENTS_IN_FLIGHT,
    transport::{Farewell, Guarded, Line, websocket::NO_CLOSE},
};
use app::wire::Sender;
use bytes::Bytes;
use engineioxide::{DisconnectReason, Socket, TransportType};
use futures::task::AtomicWaker;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{Notify, OwnedSemaphorePermit},
};
use tungstenite::protocol::frame::coding::CloseCode;

/// Who speaks, by the request that opened the connection and the name it gives itself.
pub type Introduce = Arc<dyn Fn(Option<String>) -> Sender + Send + Sync>;

/// Where a connection's bytes come in and go out: Engine.IO's queues have bounds only because both ends wait here.
pub(super) struct Edge {
    /// Events that were taken in and are not handled yet.
    queued: AtomicUsize,
    /// Whoever reads the WebSocket while there is no room for more.
    reader: AtomicWaker,
    /// Something went out, or was handled: look again.
    moved: Notify,
    /// A WebSocket has come for the session, and frames come through it.
    upgrading: AtomicBool,
    /// The session, when there is one.
    socket: OnceLock<Weak<Socket<()>>>,
    /// A poll waits for something to be said.
    polled: AtomicBool,
    introduce: Introduce,
    /// One of the sessions there may be: between two polls one has no connection to be counted by.
    _place: OwnedSemaphorePermit,
}

impl Edge {
    pub(super) fn new(introduce: Introduce, place: OwnedSemaphorePermit) -> Arc<Self> {
        Arc::new(Self {
            queued: AtomicUsize::new(0),
            reader: AtomicWaker::new(),
            moved: Notify::new(),
            upgrading: AtomicBool::new(false),
            socket: OnceLock::new(),
            polled: AtomicBool::new(false),
            introduce,
            _place: place,
        })
    }

    /// Who speaks under this name, or without one.
    pub(super) fn sender(&self, name: Option<String>) -> Sender {
        (self.introduce)(name)
    }

    /// The session begins to go over to a WebSocket; whether it does so for the first time.
    pub(super) fn upgrades(&self) -> bool {
        !self.upgrading.swap(true, Ordering::AcqRel)
    }

    /// The session is this one.
    pub(super) fn belongs_to(&self, socket: &Arc<Socket<()>>) {
        let _ = self.socket.set(Arc::downgrade(socket));
    }

    /// The session's WebSocket is gone, and so is the session: also one that did not get as far as to know it, for which
    /// Engine.IO would wait.
    fn gone(&self) {
        if let Some(socket) = self.socket.get().and_then(Weak::upgrade) {
            socket.close(DisconnectReason::TransportClose);
        }
    }

    /// Events that are not handled yet.
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    pub(super) fn is_upgrading(&self) -> bool {
        self.upgrading.load(Ordering::Acquire)
    }

    /// A poll waits, or does no more.
    pub(super) fn set_polled(&self, polled: bool) {
        self.polled.store(polled, Ordering::Release);
        self.moved.notify_waiters();
    }

    pub(super) fn is_polled(&self) -> bool {
        self.polled.load(Ordering::Acquire)
    }

    /// An event was taken in; it is handled when what this returns is dropped.
    pub(super) fn taken(self: &Arc<Self>) -> Taken {
        self.queued.fetch_add(1, Ordering::AcqRel);
        Taken(Arc::clone(self))
    }

    fn has_room(&self) -> bool {
        self.queued.load(Ordering::Acquire) < EVENTS_IN_FLIGHT
    }

    /// Whether a WebSocket is read. While a session goes over to it, it is: what it said in polls waits until it can be
    /// answered here.
    fn may_be_read(&self) -> bool {
        let socket = self.socket.get().and_then(Weak::upgrade);
        let is_there = socket.is_some_and(|socket| socket.transport_type() == TransportType::Websocket);
        !is_there || self.has_room()
    }

    /// Something went out.
    pub(super) fn went_out(&self) {
        self.moved.notify_waiters();
    }

    /// Waits until `done` says so; it is asked again whenever something moved.
    pub(super) async fn until(&self, mut done: impl FnMut() -> bool) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Listening before looking: what moves in between is not missed.
            moved.as_mut().enable();
            if done() {
                return;
            }
            moved.await;
        }
    }

    /// Waits until another event may be taken in.
    pub(super) async fn room(&self) {
        self.until(|| self.has_room()).await;
    }
}

/// An event that is not handled yet.
pub(super) struct Taken(Arc<Edge>);

impl Drop for Taken {
    fn drop(&mut self) {
        if self.0.queued.fetch_sub(1, Ordering::AcqRel) == EVENTS_IN_FLIGHT {
            self.0.reader.wake();
            self.0.moved.notify_waiters();
        }
    }
}

/// How a WebSocket that opens a session of Engine.IO 4 begins. engineioxide sends its first ping at once, not after the
/// interval it announces: it is kept here and answered for the client, which is not heard before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The ping has not come.
    BeforePing,
    /// It was kept; the answer is to be read.
    Answering,
    /// All is the client's.
    Over,
}

/// A ping as a whole frame of the server, and its answer as one of a client.
const PING: [u8; 3] = [0x81, 1, b'2'];
const PONG: [u8; 7] = [0x81, 0x81, 0, 0, 0, 0, b'3'];

/// A connection as Engine.IO's WebSocket sees it: it is read only while there is room for what comes, and whoever waits
/// for what goes out is told. What one read brings is at most its read buffer.
pub(super) struct Watched {
    guarded: Guarded,
    edge: Arc<Edge>,
    beginning: Beginning,
    /// Whoever reads before the beginning is over.
    early: Option<Waker>,
    farewell: Farewell,
}

impl Watched {
    pub(super) fn new(line: Line, edge: Arc<Edge>, beginning: Beginning) -> Box<Self> {
        let Line { pipe, received, mut farewell, .. } = line;
        // Unless it is shut down in good order.
        farewell.closes_with(NO_CLOSE);
        // A copy: what was received lies in a buffer of hyper's, which is larger than all the rest.
        let guarded = Guarded::new(pipe, Bytes::copy_from_slice(&received));
        // In a box: Engine.IO's task has room for it several times over.
        Box::new(Self { guarded, edge, beginning, early: None, farewell })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.edge.went_out();
        self.edge.gone();
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.beginning {
            Beginning::BeforePing => {
                self.early = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Beginning::Answering => {
                self.beginning = Beginning::Over;
                buf.put_slice(&PONG);
                return Poll::Ready(Ok(()));
            }
            Beginning::Over => {}
        }
        if !self.edge.may_be_read() {
            self.edge.reader.register(cx.waker());
            // It may have become free before the waker was there.
            if !self.edge.may_be_read() {
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.guarded).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // Nothing else is sent before the client is heard, so the ping comes alone.
        if self.beginning == Beginning::BeforePing && buf.starts_with(&PING) {
            self.beginning = Beginning::Answering;
            if let Some(early) = self.early.take() {
                early.wake();
            }
            return Poll::Ready(Ok(PING.len()));
        }
        let written = ready!(Pin::new(&mut self.guarded).poll_write(cx, buf));
        self.edge.went_out();
        Poll::Ready(written)
    }

    /// Engine.IO flushes when its queue is empty.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.edge.went_out();
        Pin::new(&mut self.guarded).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.farewell.closes_with(CloseCode::Normal.into());
        Pin::new(&mut self.guarded).poll_shutdown(cx)
    }
}
