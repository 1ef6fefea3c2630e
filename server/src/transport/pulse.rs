use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// When a byte last moved on a connection, in a way that proves that somebody is there: one came in, or one went
/// out that had to wait for room. What merely fits the kernel's buffer proves nothing.
#[derive(Debug)]
pub struct Pulse {
    start: Instant,
    /// Milliseconds after `start`.
    moved: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { start: Instant::now(), moved: AtomicU64::new(0) }
    }
}

impl Pulse {
    /// A byte moved.
    pub fn beat(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(millis, Ordering::Relaxed);
    }

    /// When one last did.
    pub fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }
}
