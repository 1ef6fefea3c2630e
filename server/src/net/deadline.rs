//! A timer that one task moves often and that rarely fires.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    task::coop::has_budget_remaining,
    time::{Instant, Sleep, sleep_until},
};

/// A timer of one task. Moving it to a later time costs nothing until the earlier time is reached.
pub struct Deadline {
    sleep: Pin<Box<Sleep>>,
    /// When the timer fires. Kept here because the timer itself is in other memory. The clock never goes back, so a
    /// timer that has fired stays in the past.
    fires_at: Instant,
    /// Whether the timer wakes the task when it fires.
    is_set: bool,
}

impl Default for Deadline {
    fn default() -> Self {
        let now = Instant::now();
        Self { sleep: Box::pin(sleep_until(now)), fires_at: now, is_set: false }
    }
}

impl Deadline {
    /// Resolves at this time.
    pub async fn at(&mut self, until: Instant) {
        poll_fn(|cx| self.poll_at(until, cx)).await;
    }

    /// Polls [`Self::at`]. Only the one task that the timer wakes may call it.
    pub fn poll_at(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.fires_at > until {
            self.set(until);
        }
        loop {
            if self.is_set && Instant::now() < self.fires_at {
                return Poll::Pending;
            }
            // Without budget (tokio limits the work of a task per poll) the timer does not register the waker.
            self.is_set = has_budget_remaining();
            ready!(self.sleep.as_mut().poll(cx));
            if self.fires_at >= until {
                return Poll::Ready(());
            }
            self.set(until);
        }
    }

    fn set(&mut self, until: Instant) {
        self.sleep.as_mut().reset(until);
        self.fires_at = until;
        self.is_set = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn it_fires_when_it_was_last_asked_to() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut deadline = Deadline::default();
        // Dropped before it fires, then set to a later time, an earlier time, and a time in the past.
        assert!(timeout(Duration::from_secs(5), deadline.at(after(15))).await.is_err());
        deadline.at(after(30)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
        assert!(timeout(Duration::from_secs(5), deadline.at(after(90))).await.is_err());
        deadline.at(after(50)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(50));
        deadline.at(after(40)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(50));
    }

    /// A task without budget is polled again later. The timer must register the waker of that poll.
    #[tokio::test(start_paused = true)]
    async fn it_fires_for_a_task_without_budget() {
        let mut deadline = Deadline::default();
        let begun = Instant::now();
        let until = begun + Duration::from_secs(5);
        let mut is_first = true;
        let waits = tokio::spawn(poll_fn(move |cx| {
            if std::mem::take(&mut is_first) {
                let spent = (0..1_000).any(|_| !has_budget_remaining() || use_some(cx).is_pending());
                assert!(spent, "a task has a budget");
            }
            deadline.poll_at(until, cx)
        }));
        timeout(Duration::from_secs(60), waits).await.unwrap().unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    /// Uses some of the task's budget.
    fn use_some(cx: &mut Context<'_>) -> Poll<()> {
        std::pin::pin!(tokio::task::coop::consume_budget()).poll(cx)
    }
}
