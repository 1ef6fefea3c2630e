//! Clocks. Wall time is for people only; what must be right goes by the steady clock.

use app::wire::Time;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// The time of day in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the wall clock")]
pub(crate) fn now() -> Time {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(millis(elapsed))
}

/// The two clocks an engine goes by; tests turn their hands.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> Time + Send + Sync>,
    steady: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// The wall when this clock was made.
    begun: Time,
}

impl Default for Clock {
    /// The system's.
    fn default() -> Self {
        let start = Instant::now();
        Self::of(now, move || start.elapsed())
    }
}

impl Clock {
    /// A clock of these hands.
    pub(crate) fn of(
        wall: impl Fn() -> Time + Send + Sync + 'static,
        steady: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { begun: wall(), wall: Arc::new(wall), steady: Arc::new(steady) }
    }

    /// What to write on a message, for people.
    pub(crate) fn wall(&self) -> Time {
        (self.wall)()
    }

    /// Time since this clock was made; does not jump.
    pub(crate) fn steady(&self) -> Duration {
        (self.steady)()
    }

    /// The time from which ages count: the wall at the start, moved on by the steady clock. Setting the wall
    /// clock forward must not make a server drop its history.
    pub(crate) fn for_ages(&self) -> Time {
        Time(self.begun.0.saturating_add(millis(self.steady())))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("begun", &self.begun).finish_non_exhaustive()
    }
}

/// Whole milliseconds as the signed number stores keep.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
