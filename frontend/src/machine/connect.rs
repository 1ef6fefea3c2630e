//! Opens, replaces and closes carriers: first try, fallback, upgrade, watchdog and reconnect.

use super::{
    Effect, Machine, Millis, Source,
    carrier::{Carrier, Catching},
};
use app::live::{Entry, Transport};

const BACKOFF_BASE: Millis = 500;
const BACKOFF_MOST: Millis = 20_000;
/// The minimum delay of a retry without a network, when only a server on the same machine can answer.
const OFFLINE_WAIT: Millis = 5_000;
/// The minimum delay of a retry, whatever number is drawn: the server needs a short pause.
const BREATH: Millis = 100;
const UPGRADE_FIRST: Millis = 30_000;
const UPGRADE_MOST: Millis = 300_000;
/// The delay of an upgrade if a WebSocket worked on this page before: the cause of the fallback was probably temporary,
/// such as a server that was just starting.
const UPGRADE_SOON: Millis = 2_000;
/// A carrier that worked for less than this ended early and does not reset the backoff.
const LIVED: Millis = 5_000;
/// A WebSocket that worked for this long proves that WebSockets work on this network.
const LIVED_WELL: Millis = 60_000;
/// After this many WebSockets that ended early or went silent, SSE is preferred.
const FLAKY: u32 = 2;
/// After this long without a frame, a page that becomes visible reconnects without waiting for the watchdog.
const STALE: Millis = 20_000;
/// After this many failed tries the pill says that the server does not answer.
pub(super) const DOWN_AFTER: u32 = 3;
/// The maximum reconnect delay that a server can ask for.
const RETRY_MOST: Millis = 300_000;

/// Why a working carrier is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The carrier ended.
    Closed,
    /// The watchdog expired: the carrier was silent for too long.
    Silent,
    /// The page or the server asked for it, so the carrier is not to blame.
    Asked,
}

/// The carriers and the plan for the next try.
pub(super) struct Net {
    pub(super) started: Option<Millis>,
    pub(super) online: bool,
    pub(super) offline_at: Option<Millis>,
    pub(super) visible: bool,
    /// Whether the browser has left the page (`pagehide`).
    pub(super) hidden: bool,
    generation: u32,
    pub(super) main: Option<Carrier>,
    /// A WebSocket that is tried while the main carrier is an SSE stream.
    candidate: Option<Carrier>,
    prefer: Transport,
    other_tried: bool,
    pub(super) retry_at: Option<Millis>,
    /// The number of failed tries since a carrier worked.
    pub(super) fails: u32,
    backoff: u32,
    upgrade_at: Option<Millis>,
    upgrade_wait: Millis,
    socket_worked: bool,
    flaky: u32,
    /// When the connection was lost, if the page was connected before.
    pub(super) lost_at: Option<Millis>,
    /// Whether a person asked for this try: then the pill shows the try instead of the failure.
    pub(super) by_hand: bool,
}

impl Net {
    pub(super) fn new(prefer: Transport) -> Self {
        Self {
            started: None,
            online: true,
            offline_at: None,
            visible: true,
            hidden: false,
            generation: 0,
            main: None,
            candidate: None,
            prefer,
            other_tried: false,
            retry_at: None,
            fails: 0,
            backoff: 0,
            upgrade_at: None,
            upgrade_wait: UPGRADE_FIRST,
            socket_worked: false,
            flaky: 0,
            lost_at: None,
            by_hand: false,
        }
    }

    /// Returns the main carrier if it is proven to work.
    pub(super) fn working(&self) -> Option<&Carrier> {
        self.main.as_ref().filter(|main| main.proven.is_some())
    }

    /// Returns `Some(true)` for the main carrier, `Some(false)` for the candidate and `None` for a closed carrier.
    pub(super) fn is_main(&self, generation: u32) -> Option<bool> {
        let is = |carrier: &Option<Carrier>| carrier.as_ref().is_some_and(|carrier| carrier.generation == generation);
        if is(&self.main) { Some(true) } else { is(&self.candidate).then_some(false) }
    }
}

impl Machine {
    pub(super) fn begin_try(&mut self) {
        self.drop_carriers();
        self.net.retry_at = None;
        self.net.other_tried = false;
        self.net.main = Some(self.open(self.net.prefer));
    }

    fn open(&mut self, transport: Transport) -> Carrier {
        self.net.generation += 1;
        let generation = self.net.generation;
        let path = self.path(transport);
        self.emit(Effect::Open { generation, transport, path });
        Carrier::new(generation, transport, self.now)
    }

    fn drop_carriers(&mut self) {
        let both = [self.net.main.take(), self.net.candidate.take()];
        for carrier in both.into_iter().flatten() {
            self.emit(Effect::Close { generation: carrier.generation });
        }
        self.net.upgrade_at = None;
    }

    pub(super) fn opened(&mut self, generation: u32) {
        for carrier in [&mut self.net.main, &mut self.net.candidate].into_iter().flatten() {
            if carrier.generation == generation && carrier.opened.is_none() {
                carrier.opened = Some(self.now);
            }
        }
    }

    pub(super) fn closed(&mut self, generation: u32) {
        match self.net.is_main(generation) {
            Some(true) if self.net.working().is_some() => self.lose(Loss::Closed, self.now, None),
            Some(true) => self.fail_try(),
            Some(false) => self.fail_upgrade(),
            None => {}
        }
    }

    /// After the first failure the other transport is tried; after the second the machine waits.
    fn fail_try(&mut self) {
        self.drop_carriers();
        if !self.net.other_tried && matches!(self.source, Source::Channel(_)) {
            self.net.other_tried = true;
            let other = match self.net.prefer {
                Transport::WebSocket => Transport::Sse,
                Transport::Sse => Transport::WebSocket,
            };
            self.net.main = Some(self.open(other));
            return;
        }
        self.net.fails += 1;
        self.net.backoff += 1;
        self.net.by_hand = false;
        self.schedule(0);
    }

    /// Closes the working carrier. `since` is when it was last known to work.
    pub(super) fn lose(&mut self, loss: Loss, since: Millis, wait: Option<Millis>) {
        if let Some(main) = self.net.working().cloned() {
            self.net.lost_at.get_or_insert(since);
            let lived = since.saturating_sub(main.proven.unwrap_or(since));
            self.net.backoff = if lived >= LIVED { 0 } else { self.net.backoff + 1 };
            if main.transport == Transport::WebSocket {
                self.judge_socket(loss, lived);
            }
            self.outbox.carrier_lost(main.generation);
        }
        self.drop_carriers();
        self.trips.clear();
        self.schedule(wait.unwrap_or(0).min(RETRY_MOST));
    }

    /// Prefers SSE on a network that lets WebSockets open but soon breaks them.
    fn judge_socket(&mut self, loss: Loss, lived: Millis) {
        if lived >= LIVED_WELL {
            self.net.flaky = 0;
            self.net.upgrade_wait = UPGRADE_FIRST;
        }
        let blamed = loss == Loss::Silent || (loss == Loss::Closed && lived < LIVED);
        if blamed {
            self.net.flaky += 1;
        }
        if self.net.flaky >= FLAKY {
            self.net.flaky = 0;
            self.net.prefer = Transport::Sse;
            self.net.socket_worked = false;
        }
    }

    /// Full jitter spreads the reconnects, so that the readers of a restarted server do not all return at once.
    fn schedule(&mut self, at_least: Millis) {
        let most = BACKOFF_BASE.saturating_mul(1 << self.net.backoff.min(6)).min(BACKOFF_MOST);
        let floor = if self.net.online { BREATH } else { OFFLINE_WAIT };
        self.net.retry_at = Some(self.now + at_least + floor + self.random.up_to(most - BREATH));
    }

    /// Reconnects immediately instead of waiting for the next retry.
    pub(super) fn reconnect(&mut self, since: Millis) {
        if self.net.hidden {
            return;
        }
        if self.net.working().is_some() {
            self.lose(Loss::Asked, since, None);
        }
        self.net.backoff = 0;
        self.begin_try();
    }

    /// Handles the first frame of a carrier, which proves that the carrier works.
    pub(super) fn prove(&mut self, generation: u32) {
        if self.net.is_main(generation) == Some(false) {
            self.change_over();
        }
        let lost_at = self.net.lost_at.take();
        let now = self.now;
        let Some(main) = &mut self.net.main else { return };
        main.proven = Some(now);
        main.catching = lost_at.map(|lost| Catching { away: now.saturating_sub(lost), ..Catching::default() });
        let (transport, away) = (main.transport, main.catching.map_or(0, |catching| catching.away));
        self.net.fails = 0;
        self.net.by_hand = false;
        self.trips.clear();
        self.plan_upgrade(transport);
        if away >= 2_000 && matches!(self.source, Source::Channel(_)) {
            let key = self.next_entry_key();
            let seconds = u32::try_from((away + 500) / 1000).unwrap_or(u32::MAX);
            self.push_entry(Entry::Away { key, seconds });
        }
    }

    fn plan_upgrade(&mut self, transport: Transport) {
        self.net.prefer = transport;
        self.net.upgrade_at = None;
        if transport == Transport::WebSocket {
            self.net.socket_worked = true;
        } else if matches!(self.source, Source::Channel(_)) {
            let wait = if std::mem::take(&mut self.net.socket_worked) { UPGRADE_SOON } else { self.net.upgrade_wait };
            self.net.upgrade_at = Some(self.now + wait);
        }
    }

    /// Replaces the SSE stream with the WebSocket that was tried in parallel. The WebSocket may repeat messages that
    /// the stream has delivered; the reader drops them by their ids.
    fn change_over(&mut self) {
        if let Some(old) = self.net.main.take() {
            self.emit(Effect::Close { generation: old.generation });
        }
        self.net.main = self.net.candidate.take();
    }

    fn fail_upgrade(&mut self) {
        let Some(candidate) = self.net.candidate.take() else { return };
        self.emit(Effect::Close { generation: candidate.generation });
        self.net.upgrade_wait = (self.net.upgrade_wait * 2).min(UPGRADE_MOST);
        self.net.upgrade_at = Some(self.now + self.net.upgrade_wait);
    }

    /// Handles every carrier timeout, retry and upgrade that is due.
    pub(super) fn check_carriers(&mut self) {
        if self.net.hidden {
            return;
        }
        if self.net.main.as_ref().is_some_and(|main| self.now >= main.deadline()) {
            match self.net.working().map(|main| main.heard) {
                Some(heard) => self.lose(Loss::Silent, heard, None),
                None => self.fail_try(),
            }
        }
        if self.net.candidate.as_ref().is_some_and(|candidate| self.now >= candidate.deadline()) {
            self.fail_upgrade();
        }
        if self.net.retry_at.is_some_and(|at| self.now >= at) {
            self.begin_try();
        }
        if self.net.upgrade_at.is_some_and(|at| self.now >= at) {
            self.net.upgrade_at = None;
            self.net.candidate = Some(self.open(Transport::WebSocket));
        }
    }

    pub(super) fn carriers_due(&self) -> Option<Millis> {
        let carriers = [&self.net.main, &self.net.candidate];
        let deadlines = carriers.into_iter().flatten().map(Carrier::deadline);
        deadlines.chain(self.net.retry_at).chain(self.net.upgrade_at).min()
    }

    pub(super) fn online(&mut self, online: bool) {
        self.net.online = online;
        if !online {
            self.net.offline_at.get_or_insert(self.now);
            // A server on the same machine still answers, so measure the round trip before showing a problem.
            self.trips.hurry();
            return;
        }
        let since = self.net.offline_at.take();
        match self.net.working().map(|main| main.heard) {
            // The network may be another one: a connection from the previous network can be dead without an error.
            Some(heard) if since.is_some_and(|since| heard <= since) => self.reconnect(heard),
            Some(_) if self.net.upgrade_at.is_some() => self.net.upgrade_at = Some(self.now + UPGRADE_SOON),
            Some(_) => {}
            None => self.reconnect(self.now),
        }
    }

    pub(super) fn visible(&mut self, visible: bool) {
        self.net.visible = visible;
        if !visible {
            return;
        }
        self.trips.hurry();
        match self.net.working().map(|main| main.heard) {
            Some(heard) if self.now < heard + STALE => {}
            Some(heard) => self.reconnect(heard),
            None => self.reconnect(self.now),
        }
    }

    /// Closes everything, because browsers keep only pages without open connections in the back/forward cache.
    pub(super) fn hide(&mut self) {
        if self.net.working().is_some() {
            self.lose(Loss::Asked, self.now, None);
        }
        self.drop_carriers();
        self.net.retry_at = None;
        self.net.hidden = true;
    }

    pub(super) fn show(&mut self) {
        if std::mem::take(&mut self.net.hidden) {
            self.reconnect(self.now);
        }
    }
}
