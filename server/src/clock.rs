//! Wall time, for people only. Nothing that must be right is computed from it.

use app::wire::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time of day in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the wall clock")]
pub(crate) fn now() -> Time {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
