//! The outgoing packets of a connection, passed to Engine.IO one window at a time.

use super::backpressure::Backpressure;
use crate::{
    limits::{OUTBOUND_BYTES, OUTBOUND_PACKETS},
    lock::Lock,
    net::Disconnected,
};
use bytes::Bytes;
use engineioxide::{DisconnectReason, Socket, TransportType};
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

/// One outgoing packet of Engine.IO.
#[derive(Debug)]
pub(super) enum Out {
    /// A text packet.
    Text(String),
    /// A binary packet.
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

/// The outgoing packets of a connection. Engine.IO's own queue drops packets that do not fit, and does not tell when it
/// has space again. It therefore gets one window of packets, and the next window after it has sent the first.
pub(super) struct Outbound {
    socket: Weak<Socket<()>>,
    backpressure: Arc<Backpressure>,
    /// The number of packets in one window.
    window: usize,
    state: Lock<Window>,
}

#[derive(Default)]
struct Window {
    /// Packets that Engine.IO did not get yet. At most one chunk per namespace, because a namespace with waiting
    /// packets leaves its lane.
    waiting: VecDeque<Out>,
    /// Packets in the present window: those that Engine.IO got since its queue was last nearly empty.
    packets: usize,
    /// Bytes of these packets.
    bytes: usize,
}

impl Outbound {
    /// With `few`, a window has at most [`FEW_PACKETS`] packets.
    pub(super) fn new(socket: &Arc<Socket<()>>, backpressure: Arc<Backpressure>, few: bool) -> Self {
        let window = if few { FEW_PACKETS } else { OUTBOUND_PACKETS };
        Self { socket: Arc::downgrade(socket), backpressure, window, state: Lock::default() }
    }

    pub(super) fn backpressure(&self) -> &Arc<Backpressure> {
        &self.backpressure
    }

    fn socket(&self) -> Result<Arc<Socket<()>>, Disconnected> {
        self.socket.upgrade().filter(|socket| !socket.is_closed()).ok_or(Disconnected)
    }

    /// Sends as many packets as fit into the window and keeps the rest. Returns whether nothing is left.
    pub(super) fn put(&self, all: impl IntoIterator<Item = Out>) -> bool {
        let mut state = self.state.lock();
        state.waiting.extend(all);
        // If the session is closed, `drain` reports it.
        self.socket().is_ok_and(|socket| state.flush(&socket, self.window))
    }

    /// Resolves when nothing is left to send.
    pub(super) async fn drain(&self) -> Result<(), Disconnected> {
        let mut outcome = Ok(());
        self.backpressure
            .until(|| match self.socket() {
                Ok(socket) => self.state.lock().flush(&socket, self.window),
                Err(gone) => {
                    outcome = Err(gone);
                    true
                }
            })
            .await;
        outcome
    }

    /// Resolves when Engine.IO's queue is empty, too. Only for a session that ends: the check reserves the whole queue
    /// for a moment, and a ping that finds no space ends the session.
    pub(super) async fn emptied(&self) -> Result<(), Disconnected> {
        self.drain().await?;
        self.backpressure
            .until(|| self.socket().is_err() || self.socket().is_ok_and(|socket| waits_at_most(&socket, 0)))
            .await;
        Ok(())
    }

    /// Whether the connection uses this transport.
    pub(super) fn is_on(&self, transport: TransportType) -> bool {
        self.socket.upgrade().is_some_and(|socket| socket.transport_type() == transport)
    }

    /// Closes the connection. The client reconnects by itself.
    pub(super) fn close(&self, reason: DisconnectReason) {
        if let Some(socket) = self.socket.upgrade() {
            socket.close(reason);
        }
    }
}

/// Packets of a window that may be unsent when the next window begins. As many places in the queue stay free for
/// Engine.IO's own packets, because a ping that finds no space ends the session.
const SPARE: usize = 8;
/// The capacity of Engine.IO's queue in packets.
pub(super) const CAPACITY: usize = OUTBOUND_PACKETS + 2 * SPARE;

/// The window for python-engineio, which disconnects from a server that sends more than 16 packets in one payload. The
/// window, [`SPARE`] packets left of the previous window and a ping make 16.
const FEW_PACKETS: usize = 15 - SPARE;

/// Whether at most `packets` packets wait in Engine.IO's queue.
fn waits_at_most(socket: &Socket<()>, packets: usize) -> bool {
    let permits: Result<Vec<_>, _> = (0..CAPACITY - packets).map(|_| socket.reserve()).collect();
    permits.is_ok()
}

impl Window {
    fn flush(&mut self, socket: &Socket<()>, window: usize) -> bool {
        while let Some(next) = self.waiting.front() {
            let fits = self.packets < window && self.bytes + next.len() <= OUTBOUND_BYTES;
            // A packet that is larger than a whole window is sent alone.
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
