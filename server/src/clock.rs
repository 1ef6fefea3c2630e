//! Clocks. The wall clock is only for times shown to people; decisions that must be correct use the monotonic clock.

use app::wire::Time;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// The wall time in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the wall clock")]
pub(crate) fn now() -> Time {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(millis(elapsed))
}

/// The two clocks that an engine uses. Tests replace them to control the time.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> Time + Send + Sync>,
    steady: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// The wall time at which this clock was created.
    begun: Time,
}

impl Default for Clock {
    /// The clocks of the system.
    fn default() -> Self {
        let start = Instant::now();
        Self::of(now, move || start.elapsed())
    }
}

impl Clock {
    /// A clock that takes its times from these functions.
    pub(crate) fn of(
        wall: impl Fn() -> Time + Send + Sync + 'static,
        steady: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { begun: wall(), wall: Arc::new(wall), steady: Arc::new(steady) }
    }

    /// The wall time of a message, which is shown to people.
    pub(crate) fn wall(&self) -> Time {
        (self.wall)()
    }

    /// The monotonic time since this clock was created.
    pub(crate) fn steady(&self) -> Duration {
        (self.steady)()
    }

    /// The time for computing the age of messages: the wall time at the start plus the monotonic time since then.
    /// Setting the wall clock forward must not make a server drop its history.
    pub(crate) fn for_ages(&self) -> Time {
        Time(self.begun.0.saturating_add(millis(self.steady())))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("begun", &self.begun).finish_non_exhaustive()
    }
}

/// Whole milliseconds as the signed number that stores keep.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
