//! Backpressure of a Socket.IO connection: reading waits until events are handled, and senders wait until bytes were
//! written.

use crate::{
    limits::EVENTS_IN_FLIGHT,
    net::{HyperIo, OnClose, Upgraded},
    transport::websocket::NO_CLOSE,
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

/// Returns the sender of a client's messages, given the name that the client chose. It knows the request that opened
/// the connection.
pub type Introduce = Arc<dyn Fn(Option<String>) -> Sender + Send + Sync>;

/// Makes both directions of a connection wait. Without it Engine.IO's queues would have no bounds.
pub(super) struct Backpressure {
    /// Received events that are not handled yet.
    queued: AtomicUsize,
    /// The task that reads the WebSocket, while too many events are unhandled.
    reader: AtomicWaker,
    /// Notified when bytes were written or an event was handled, so that waiters check their condition again.
    moved: Notify,
    /// A WebSocket was opened for the session, and frames pass through it.
    upgrading: AtomicBool,
    /// The Engine.IO session, once it is open.
    socket: OnceLock<Weak<Socket<()>>>,
    /// Whether a poll waits for packets.
    polled: AtomicBool,
    introduce: Introduce,
    /// Counts the session against the limit: between two polls it has no connection that could be counted.
    _place: OwnedSemaphorePermit,
}

impl Backpressure {
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

    /// The sender with this name, or the sender of a client that gave no name.
    pub(super) fn sender(&self, name: Option<String>) -> Sender {
        (self.introduce)(name)
    }

    /// Marks the session as upgrading to a WebSocket. Returns whether it was not marked before.
    pub(super) fn upgrades(&self) -> bool {
        !self.upgrading.swap(true, Ordering::AcqRel)
    }

    /// Sets the Engine.IO session.
    pub(super) fn belongs_to(&self, socket: &Arc<Socket<()>>) {
        let _ = self.socket.set(Arc::downgrade(socket));
    }

    /// Closes the session because its WebSocket ended. Engine.IO would otherwise keep waiting for a session that did
    /// not complete its upgrade.
    fn gone(&self) {
        if let Some(socket) = self.socket.get().and_then(Weak::upgrade) {
            socket.close(DisconnectReason::TransportClose);
        }
    }

    /// The number of received events that are not handled yet.
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    pub(super) fn is_upgrading(&self) -> bool {
        self.upgrading.load(Ordering::Acquire)
    }

    /// Sets whether a poll waits for packets.
    pub(super) fn set_polled(&self, polled: bool) {
        self.polled.store(polled, Ordering::Release);
        self.moved.notify_waiters();
    }

    pub(super) fn is_polled(&self) -> bool {
        self.polled.load(Ordering::Acquire)
    }

    /// Counts a received event until the returned guard is dropped.
    pub(super) fn taken(self: &Arc<Self>) -> EventGuard {
        self.queued.fetch_add(1, Ordering::AcqRel);
        EventGuard(Arc::clone(self))
    }

    fn has_room(&self) -> bool {
        self.queued.load(Ordering::Acquire) < EVENTS_IN_FLIGHT
    }

    /// Whether the WebSocket may be read. During an upgrade it always may: events that arrived in polls may be answered
    /// only through the WebSocket, so waiting for them would block the upgrade.
    fn may_be_read(&self) -> bool {
        let socket = self.socket.get().and_then(Weak::upgrade);
        let is_there = socket.is_some_and(|socket| socket.transport_type() == TransportType::Websocket);
        !is_there || self.has_room()
    }

    /// Wakes the waiters after bytes were written.
    pub(super) fn went_out(&self) {
        self.moved.notify_waiters();
    }

    /// Waits until `done` returns true. It is checked again after each notification.
    pub(super) async fn until(&self, mut done: impl FnMut() -> bool) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Registered before the check, so that a notification in between is not missed.
            moved.as_mut().enable();
            if done() {
                return;
            }
            moved.await;
        }
    }

    /// Waits until another event may be received.
    pub(super) async fn room(&self) {
        self.until(|| self.has_room()).await;
    }
}

/// Counts one event until it is handled.
pub(super) struct EventGuard(Arc<Backpressure>);

impl Drop for EventGuard {
    fn drop(&mut self) {
        if self.0.queued.fetch_sub(1, Ordering::AcqRel) == EVENTS_IN_FLIGHT {
            self.0.reader.wake();
            self.0.moved.notify_waiters();
        }
    }
}

/// The state of a WebSocket that opens a session of Engine.IO 4. engineioxide sends its first ping at once, not after
/// the interval that it announces. The ping is withheld and answered on behalf of the client, and nothing from the
/// client is read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// engineioxide has not sent the ping yet.
    BeforePing,
    /// The ping was withheld, and engineioxide has not read the answer yet.
    Answering,
    /// All bytes pass between engineioxide and the client.
    Over,
}

/// A ping as a complete frame of a server, and its answer as a complete frame of a client.
const PING: [u8; 3] = [0x81, 1, b'2'];
const PONG: [u8; 7] = [0x81, 0x81, 0, 0, 0, 0, b'3'];

/// The connection as Engine.IO's WebSocket reads and writes it. It is read only while few events are unhandled, and
/// each write wakes the waiters. One read returns at most Engine.IO's read buffer.
pub(super) struct WatchedIo {
    io: HyperIo,
    backpressure: Arc<Backpressure>,
    beginning: Beginning,
    /// The task that reads before the ping was withheld.
    early: Option<Waker>,
    on_close: OnClose,
}

impl WatchedIo {
    pub(super) fn new(upgraded: Upgraded, backpressure: Arc<Backpressure>, beginning: Beginning) -> Box<Self> {
        let Upgraded { connection, received, mut on_close } = upgraded;
        // `poll_shutdown` replaces this code after an orderly close.
        on_close.set_code(NO_CLOSE);
        // Copied, because the original would keep the large buffer of hyper alive.
        let io = HyperIo::new(connection, Bytes::copy_from_slice(&received));
        // Boxed, because Engine.IO's task reserves space for it several times.
        Box::new(Self { io, backpressure, beginning, early: None, on_close })
    }
}

impl Drop for WatchedIo {
    fn drop(&mut self) {
        self.backpressure.went_out();
        self.backpressure.gone();
    }
}

impl AsyncRead for WatchedIo {
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
        if !self.backpressure.may_be_read() {
            self.backpressure.reader.register(cx.waker());
            // An event may have been handled before the waker was registered.
            if !self.backpressure.may_be_read() {
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for WatchedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // Nothing else is sent before the client is read, so the ping arrives alone.
        if self.beginning == Beginning::BeforePing && buf.starts_with(&PING) {
            self.beginning = Beginning::Answering;
            if let Some(early) = self.early.take() {
                early.wake();
            }
            return Poll::Ready(Ok(PING.len()));
        }
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        self.backpressure.went_out();
        Poll::Ready(written)
    }

    /// Engine.IO flushes when its queue is empty, so the waiters can continue.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.backpressure.went_out();
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.on_close.set_code(CloseCode::Normal.into());
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
