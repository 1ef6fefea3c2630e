//! Chooses the connection state that the pill shows, and when it changes without an event.

use super::{Effect, Machine, Millis, carrier::Catching, connect::DOWN_AFTER};
use app::live::{Link, Transport, Update};

/// Most connections are ready before a person could read *Connecting*.
const CONNECTING_AFTER: Millis = 300;
/// Shorter interruptions are not shown.
const BREAK_SHOWN_AFTER: Millis = 1_000;
const CAUGHT_UP_FOR: Millis = 4_000;

/// The state that is shown, and the *caught up* state with the time at which it ends.
#[derive(Default)]
pub(super) struct Pill {
    shown: Option<Link>,
    caught: Option<(Millis, Link)>,
}

impl Pill {
    pub(super) fn caught_up(&mut self, now: Millis, transport: Transport, catching: Catching) {
        // The interruption was not shown and nothing was missed.
        if catching.away < BREAK_SHOWN_AFTER && catching.messages == 0 && !catching.partly {
            return;
        }
        let Catching { messages, partly, .. } = catching;
        self.caught = Some((now + CAUGHT_UP_FOR, Link::CaughtUp { transport, messages, partly }));
    }
}

impl Machine {
    pub(super) fn show_pill(&mut self) {
        if self.net.started.is_none() {
            return;
        }
        let (link, _) = self.link();
        if self.pill.shown != Some(link) {
            self.pill.shown = Some(link);
            self.emit(Effect::Update(Update::Link(link)));
        }
    }

    pub(super) fn pill_due(&self) -> Option<Millis> {
        self.link().1
    }

    /// Returns the state to show now, and when to check again.
    fn link(&self) -> (Link, Option<Millis>) {
        if self.net.working().is_some() { self.link_while_working() } else { self.link_while_away() }
    }

    fn link_while_working(&self) -> (Link, Option<Millis>) {
        let Some(main) = self.net.working() else { return (self.shown(), None) };
        let mut again = None;
        if let Some(offline) = self.net.offline_at.filter(|offline| main.heard <= *offline) {
            let at = offline + BREAK_SHOWN_AFTER;
            if self.now >= at {
                return (Link::Offline, None);
            }
            again = Some(at);
        }
        let earliest = |at: Millis| Some(again.map_or(at, |again: Millis| again.min(at)));
        let settled = main.proven.map_or(0, |proven| proven + BREAK_SHOWN_AFTER);
        if main.catching.is_some() && !main.current && self.now < settled {
            return (self.shown(), earliest(settled));
        }
        if let Some((until, link)) = self.pill.caught.filter(|(until, _)| self.now < *until) {
            return (link, earliest(until));
        }
        (Link::Live { transport: main.transport, round_trip_ms: self.trips.median() }, again)
    }

    fn link_while_away(&self) -> (Link, Option<Millis>) {
        let (since, wait) = match self.net.lost_at {
            Some(lost) => (lost, BREAK_SHOWN_AFTER),
            None => (self.net.started.unwrap_or(self.now), CONNECTING_AFTER),
        };
        if self.now < since + wait {
            return (self.shown(), Some(since + wait));
        }
        if !self.net.online {
            return (Link::Offline, None);
        }
        if self.net.fails >= DOWN_AFTER && !self.net.by_hand {
            return (Link::ServerDown, None);
        }
        if self.net.lost_at.is_none() {
            return (Link::Connecting, None);
        }
        let Some(left) = self.net.retry_at.map(|at| at.saturating_sub(self.now)).filter(|left| *left > 0) else {
            return (Link::Reconnecting { seconds: 0 }, None);
        };
        let seconds = left.div_ceil(1000);
        let next = self.now + left - (seconds - 1) * 1000;
        (Link::Reconnecting { seconds: u32::try_from(seconds).unwrap_or(u32::MAX) }, Some(next))
    }

    fn shown(&self) -> Link {
        self.pill.shown.unwrap_or(Link::Snapshot)
    }
}
