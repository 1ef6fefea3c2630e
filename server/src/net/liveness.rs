//! Whether the peer of a connection is still there.

use crate::limits::{HEARTBEAT, SILENCE};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// When a byte last moved on a connection in a way that proves that the peer is there: a byte came in, or one went out
/// that had to wait for room. A byte that merely fits the kernel's buffer proves nothing.
#[derive(Debug)]
pub(super) struct LastActivity {
    start: Instant,
    /// Milliseconds after `start`.
    moved: AtomicU64,
}

impl Default for LastActivity {
    fn default() -> Self {
        Self { start: Instant::now(), moved: AtomicU64::new(0) }
    }
}

impl LastActivity {
    /// Records that a byte moved.
    pub(super) fn touch(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(millis, Ordering::Relaxed);
    }

    /// When a byte last moved.
    pub(super) fn at(&self) -> Instant {
        self.start + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }
}

/// What is known of a peer that has to answer each heartbeat, as a WebSocket answers pings.
#[derive(Default)]
pub(super) struct Probe {
    /// The peer has to answer.
    pub(super) enabled: bool,
    /// Since when a question is not answered.
    asked: Option<Instant>,
    /// The question has waited for so long that a timer runs from here on.
    suspect: bool,
}

impl Probe {
    /// Records that a heartbeat goes out. Returns whether the peer may still be there.
    pub(super) fn ask(&mut self, activity: &LastActivity) -> bool {
        if !self.enabled {
            return true;
        }
        let now = Instant::now();
        if self.asked.is_none_or(|asked| activity.at() > asked) {
            self.asked = Some(now);
        }
        self.suspect = now.duration_since(activity.at()) >= SILENCE - HEARTBEAT;
        !self.suspect
    }

    /// When a suspect peer counts as gone, unless it was heard of since it was asked.
    pub(super) fn gives_up_at(&mut self, activity: &LastActivity) -> Option<Instant> {
        let asked = self.asked.filter(|asked| self.suspect && activity.at() <= *asked);
        self.suspect = asked.is_some();
        Some((activity.at() + SILENCE).max(asked? + (SILENCE - HEARTBEAT)))
    }
}
