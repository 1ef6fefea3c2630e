use super::{Gone, edge::Edge};
use crate::limits::{OUTBOUND_BYTES, OUTBOUND_PACKETS};
use bytes::Bytes;
use engineioxide::{DisconnectReason, Socket, TransportType};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// What goes out as one packet of Engine.IO.
#[derive(Debug)]
pub(super) enum Out {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Out {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// What a connection has to say. Engine.IO's own queue drops what does not fit and does not say when there is room: it
/// gets no more than a window of packets, and the next ones when it has sent those.
pub(super) struct Outbound {
    socket: Weak<Socket<()>>,
    edge: Arc<Edge>,
    /// Packets of one window.
    window: usize,
    state: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    /// What Engine.IO did not get yet. Bounded: a room that has something here leaves its lane, so that it is a chunk of each
    /// at most.
    waiting: VecDeque<Out>,
    /// What it got since its queue was last seen empty enough.
    packets: usize,
    bytes: usize,
}

impl Outbound {
    /// `few`: the client takes no more than [`FEW_PACKETS`] at once.
    pub(super) fn new(socket: &Arc<Socket<()>>, edge: Arc<Edge>, few: bool) -> Self {
        let window = if few { FEW_PACKETS } else { OUTBOUND_PACKETS };
        Self { socket: Arc::downgrade(socket), edge, window, state: Mutex::default() }
    }

    pub(super) fn edge(&self) -> &Arc<Edge> {
        &self.edge
    }

    fn state(&self) -> MutexGuard<'_, Window> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn socket(&self) -> Result<Arc<Socket<()>>, Gone> {
        self.socket.upgrade().filter(|socket| !socket.is_closed()).ok_or(Gone)
    }

    /// Sends what there is room for and keeps the rest; whether nothing is left.
    pub(super) fn put(&self, all: impl IntoIterator<Item = Out>) -> bool {
        let mut state = self.state();
        state.waiting.extend(all);
        // Who is gone hears of it when it drains.
        self.socket().is_ok_and(|socket| state.flush(&socket, self.window))
    }

    /// Resolves when nothing is left to send.
    pub(super) async fn drain(&self) -> Result<(), Gone> {
        let mut outcome = Ok(());
        self.edge
            .until(|| match self.socket() {
                Ok(socket) => self.state().flush(&socket, self.window),
                Err(gone) => {
                    outcome = Err(gone);
                    true
                }
            })
            .await;
        outcome
    }

    /// Resolves when what was sent has left Engine.IO's queue, too. Not for a session that goes on: it takes all the room, so
    /// that a ping may find none.
    pub(super) async fn emptied(&self) -> Result<(), Gone> {
        self.drain().await?;
        self.edge.until(|| self.socket().is_err() || self.socket().is_ok_and(|socket| waits_at_most(&socket, 0))).await;
        Ok(())
    }

    /// Whether the connection is on this transport.
    pub(super) fn is_on(&self, transport: TransportType) -> bool {
        self.socket.upgrade().is_some_and(|socket| socket.transport_type() == transport)
    }

    /// Ends the connection; a client comes back by itself.
    pub(super) fn close(&self, reason: DisconnectReason) {
        if let Some(socket) = self.socket.upgrade() {
            socket.close(reason);
        }
    }
}

/// Packets that may be left of a window when the next one is filled; and room, never taken by ours, for those of Engine.IO's
/// own: a ping that finds none ends the session.
const SPARE: usize = 8;
/// Packets Engine.IO's queue has room for.
pub(super) const CAPACITY: usize = OUTBOUND_PACKETS + 2 * SPARE;

/// A window for python-engineio, which lets a server go that sends it more than 16 packets in a payload: with what is left of
/// the window before, and a ping, it is as many.
const FEW_PACKETS: usize = 15 - SPARE;

/// Whether no more than so many packets wait in Engine.IO's queue.
fn waits_at_most(socket: &Socket<()>, packets: usize) -> bool {
    let permits: Result<Vec<_>, _> = (0..CAPACITY - packets).map(|_| socket.reserve()).collect();
    permits.is_ok()
}

impl Window {
    fn flush(&mut self, socket: &Socket<()>, window: usize) -> bool {
        while let Some(next) = self.waiting.front() {
            let fits = self.packets < window && self.bytes + next.len() <= OUTBOUND_BYTES;
            // One that is larger than all there may be goes alone.
            if !fits && self.packets > 0 {
                if !waits_at_most(socket, SPARE) {
                    return false;
                }
                (self.packets, self.bytes) = (0, 0);
            }
            self.packets += 1;
            self.bytes += next.len();
            let sent = match self.waiting.pop_front() {
                Some(Out::Text(text)) => socket.emit(text).map_err(|refused| Out::Text(refused.into_inner().into())),
                Some(Out::Binary(bytes)) => {
                    socket.emit_binary(bytes).map_err(|refused| Out::Binary(refused.into_inner()))
                }
                None => Ok(()),
            };
            if let Err(refused) = sent {
                self.waiting.push_front(refused);
                return false;
            }
        }
        true
    }
}
