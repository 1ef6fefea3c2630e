//! Decides when the feed is drawn: immediately while few messages arrive, four times a second while many arrive.

use super::super::machine::Millis;
use std::collections::VecDeque;

/// More messages than this within a second are a stream, which is drawn less often.
const HANDFUL: usize = 5;
const SECOND: Millis = 1_000;
/// The interval between two draws of a stream.
const COMMIT_EVERY: Millis = 250;

/// The recent arrivals and the last draw of the feed.
#[derive(Default)]
pub(super) struct Pace {
    arrivals: VecDeque<Millis>,
    committed: Option<Millis>,
}

impl Pace {
    /// Records a message and returns the milliseconds to wait before drawing it. 0 means the next frame.
    pub(super) fn arrived(&mut self, now: Millis) -> Millis {
        self.arrivals.push_back(now);
        if self.arrivals.len() > HANDFUL + 1 {
            self.arrivals.pop_front();
        }
        let busy = self.arrivals.len() > HANDFUL && self.arrivals.front().is_some_and(|first| now < first + SECOND);
        match self.committed {
            Some(committed) if busy => (committed + COMMIT_EVERY).saturating_sub(now),
            _ => 0,
        }
    }

    pub(super) fn committed(&mut self, now: Millis) {
        self.committed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_after_quiet_is_not_held_back() {
        let mut pace = Pace::default();
        assert_eq!(pace.arrived(0), 0);
        pace.committed(10);
        assert_eq!(pace.arrived(5_000), 0);
    }

    #[test]
    fn a_stream_is_drawn_four_times_a_second() {
        let mut pace = Pace::default();
        let mut commits = 0;
        let mut due = None;
        for now in 0..10_000 {
            if due.is_some_and(|due| now >= due) {
                due = None;
                commits += 1;
                pace.committed(now);
            }
            let wait = pace.arrived(now);
            due.get_or_insert(now + wait.max(16));
        }
        assert!((35..=50).contains(&commits), "{commits}");
    }
}
