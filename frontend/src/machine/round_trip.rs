//! Measures the round trip to the server: by a ping over WebSocket, or by a request for `/healthz` with SSE.

use super::{Effect, Machine, Millis};
use app::{live::Transport, wire::Command};
use std::collections::VecDeque;

const SAMPLES: usize = 5;
/// A ping or probe without an answer for this long is replaced by a new one.
const GIVEN_UP: Millis = 30_000;

/// The last round-trip times in milliseconds, and the ping or probe that waits for its answer.
#[derive(Default)]
pub(super) struct RoundTrips {
    samples: VecDeque<u32>,
    asked: Option<(u64, Millis)>,
    next_at: Millis,
}

impl RoundTrips {
    /// Forgets all times, because they do not apply to another carrier.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Measures at the next step instead of after the usual interval.
    pub(super) fn hurry(&mut self) {
        self.next_at = 0;
    }

    /// Records an answer. Returns `false` if `id` is not the ping or probe that waits.
    pub(super) fn answered(&mut self, id: u64, now: Millis) -> bool {
        let Some((_, at)) = self.asked.take_if(|(asked, _)| *asked == id) else { return false };
        let sample = u32::try_from(now.saturating_sub(at)).unwrap_or(u32::MAX).max(1);
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        true
    }

    /// Returns the median of the last times, in milliseconds.
    pub(super) fn median(&self) -> Option<u32> {
        let mut sorted: Vec<u32> = self.samples.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

impl Machine {
    pub(super) fn check_round_trip(&mut self) {
        if self.round_trip_due().is_none_or(|at| self.now < at) {
            return;
        }
        let Some((generation, transport)) = self.net.working().map(|main| (main.generation, main.transport)) else {
            return;
        };
        self.trips.next_at = self.now + self.ask_every(transport);
        if self.trips.asked.is_some_and(|(_, at)| self.now < at + GIVEN_UP) {
            return;
        }
        let id = self.next_reference();
        self.trips.asked = Some((id, self.now));
        match transport {
            Transport::WebSocket => {
                let text = Command::Ping { reference: Some(id.into()) }.to_json();
                self.emit(Effect::Send { generation, text });
            }
            Transport::Sse => self.emit(Effect::Probe { id }),
        }
    }

    fn ask_every(&self, transport: Transport) -> Millis {
        match (transport, self.net.visible) {
            (Transport::WebSocket, true) => 5_000,
            (Transport::WebSocket, false) => 25_000,
            (Transport::Sse, true) => 15_000,
            (Transport::Sse, false) => 60_000,
        }
    }

    pub(super) fn round_trip_due(&self) -> Option<Millis> {
        self.net.working().map(|_| self.trips.next_at)
    }

    pub(super) fn probed(&mut self, id: u64, ok: bool) {
        if !ok {
            self.trips.asked.take_if(|(asked, _)| *asked == id);
        } else if self.trips.answered(id, self.now) {
            // The server answers although the browser is offline, so it runs on the same machine.
            self.net.offline_at = None;
        }
    }
}
