//! One carrier (WebSocket or EventSource) and its timeouts.

use super::Millis;
use app::live::Transport;

/// A carrier that does not open within this time is closed.
const OPENING: Millis = 10_000;
/// A carrier that opens and delivers no frame within this time is closed: the server sends its first frame immediately,
/// so a proxy holds it back.
const SILENT_START: Millis = 5_000;
/// A working carrier that is silent for this long is closed. The server sends a heartbeat at least every 15 s.
const SILENCE: Millis = 40_000;
/// The maximum time that messages wait for a carrier to catch up, because a busy channel may never be caught up.
const SETTLING: Millis = 2_000;

/// What the page received after a reconnect.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Catching {
    /// How long the page was disconnected.
    pub(super) away: Millis,
    /// The number of messages received while catching up.
    pub(super) messages: u32,
    /// Whether the server no longer has some of the missed messages.
    pub(super) partly: bool,
}

/// A WebSocket or EventSource, as the machine knows it.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    pub(super) generation: u32,
    pub(super) transport: Transport,
    pub(super) started: Millis,
    pub(super) opened: Option<Millis>,
    /// When its first frame arrived. Only a frame proves that the carrier works.
    pub(super) proven: Option<Millis>,
    /// When it last delivered anything.
    pub(super) heard: Millis,
    /// Whether it has delivered everything that was stored when it opened.
    pub(super) current: bool,
    /// Whether the next cursor is the opening cursor, which does not end catching up.
    pub(super) opening: bool,
    /// Set if it continues a connection that was lost.
    pub(super) catching: Option<Catching>,
}

impl Carrier {
    pub(super) fn new(generation: u32, transport: Transport, now: Millis) -> Self {
        Self {
            generation,
            transport,
            started: now,
            opened: None,
            proven: None,
            heard: now,
            current: false,
            opening: false,
            catching: None,
        }
    }

    /// Returns when the carrier is closed if it delivers nothing.
    pub(super) fn deadline(&self) -> Millis {
        match (self.proven, self.opened) {
            (Some(_), _) => self.heard + SILENCE,
            (None, Some(opened)) => opened + SILENT_START,
            (None, None) => self.started + OPENING,
        }
    }

    /// Returns when messages may be sent even if the carrier is still catching up.
    pub(super) fn settled_at(&self) -> Option<Millis> {
        self.proven.map(|proven| proven + SETTLING)
    }

    /// Returns whether messages may be sent: the carrier has caught up, or catching up takes too long.
    pub(super) fn is_ready(&self, now: Millis) -> bool {
        self.current || self.settled_at().is_some_and(|at| now >= at)
    }
}
