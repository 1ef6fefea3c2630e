use super::Millis;
use app::live::Transport;

/// A carrier that does not open is given up.
const OPENING: Millis = 10_000;
/// Opened, and then nothing: the server's first frame comes at once, so something in between holds it back.
const SILENT_START: Millis = 5_000;
/// The server's heartbeat comes every 15 s at least.
const SILENCE: Millis = 40_000;
/// Catching up is told as such only so long; a channel may be busy for ever.
const SETTLING: Millis = 2_000;

/// What a reconnect brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Catching {
    /// How long the page was away.
    pub(super) away: Millis,
    /// Messages that came meanwhile.
    pub(super) messages: u32,
    /// Older ones are gone.
    pub(super) partly: bool,
}

/// One WebSocket or EventSource.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    pub(super) generation: u32,
    pub(super) transport: Transport,
    pub(super) started: Millis,
    pub(super) opened: Option<Millis>,
    /// When its first frame came. Only that proves that it works.
    pub(super) proven: Option<Millis>,
    /// When something came last.
    pub(super) heard: Millis,
    /// It has handed out everything that was there when it opened.
    pub(super) current: bool,
    /// The opening cursor came.
    pub(super) opening: bool,
    /// Set when it continues a connection that was lost.
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

    /// When it is to be given up, if nothing comes.
    pub(super) fn deadline(&self) -> Millis {
        match (self.proven, self.opened) {
            (Some(_), _) => self.heard + SILENCE,
            (None, Some(opened)) => opened + SILENT_START,
            (None, None) => self.started + OPENING,
        }
    }

    /// When it may carry messages out even if it still catches up.
    pub(super) fn settled_at(&self) -> Option<Millis> {
        self.proven.map(|proven| proven + SETTLING)
    }

    /// Messages of the page may go out: what was lost on the last carrier has come, or it takes long.
    pub(super) fn is_ready(&self, now: Millis) -> bool {
        self.current || self.settled_at().is_some_and(|at| now >= at)
    }
}
