//! Counts the messages of a channel in each minute of the past hour.

use app::wire::Time;

/// Minutes shown in the list of channels.
const MINUTES: usize = 60;

/// Messages per minute of the past hour.
pub(super) struct Rate {
    /// The count of minute `m` is at `m % 60`.
    counts: [u32; MINUTES],
    /// The newest minute counted, in minutes since 1970.
    minute: i64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { counts: [0; MINUTES], minute: i64::MIN / 2 }
    }
}

impl Rate {
    /// Counts a message. Wall clocks may jump, so a message that is older than an hour is ignored.
    pub(super) fn count(&mut self, time: Time) {
        let minute = time.0.div_euclid(60_000);
        self.advance(minute);
        if self.minute - minute < MINUTES as i64 {
            let count = &mut self.counts[slot(minute)];
            *count = count.saturating_add(1);
        }
    }

    /// The past hour, oldest first, ending with the minute of `now`.
    pub(super) fn hour(&self, now: Time) -> Vec<u32> {
        let end = now.0.div_euclid(60_000);
        (0..MINUTES as i64)
            .map(|ago| end - (MINUTES as i64 - 1) + ago)
            .map(|minute| {
                let known = minute <= self.minute && self.minute - minute < MINUTES as i64;
                if known { self.counts[slot(minute)] } else { 0 }
            })
            .collect()
    }

    /// The newest minute counted.
    pub(super) fn newest(&self) -> i64 {
        self.minute
    }

    fn advance(&mut self, minute: i64) {
        let steps = minute.saturating_sub(self.minute).clamp(0, MINUTES as i64);
        for step in 0..steps {
            self.counts[slot(minute - step)] = 0;
        }
        self.minute = self.minute.max(minute);
    }
}

fn slot(minute: i64) -> usize {
    usize::try_from(minute.rem_euclid(MINUTES as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_ends_now_and_forgets() {
        let at = |minute: i64| Time(minute * 60_000 + 5);
        let mut rate = Rate::default();
        for minute in [1000, 1000, 1001, 1058] {
            rate.count(at(minute));
        }
        rate.count(at(990)); // 68 minutes before the newest: no longer counted
        let hour = rate.hour(at(1059));
        assert_eq!((hour.len(), hour[0], hour[1], hour[58], hour[59]), (60, 2, 1, 1, 0));
        assert_eq!(rate.hour(at(1200)).iter().sum::<u32>(), 0);
        rate.count(at(1300));
        assert_eq!(rate.hour(at(1300)).iter().sum::<u32>(), 1);
    }
}
