use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    task::coop::has_budget_remaining,
    time::{Instant, Sleep, sleep_until},
};

/// A timer for what one task waits for often, and seldom to its end: set anew for later, it costs nothing until it would
/// have rung before.
pub struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// When it rings; here, because the timer lies elsewhere. The clock does not go back: once it has rung, it is later.
    rings_at: Instant,
    /// The task is woken when it rings.
    is_set: bool,
}

impl Default for Alarm {
    fn default() -> Self {
        let now = Instant::now();
        Self { sleep: Box::pin(sleep_until(now)), rings_at: now, is_set: false }
    }
}

impl Alarm {
    /// Resolves at this time.
    pub async fn at(&mut self, until: Instant) {
        poll_fn(|cx| self.poll_at(until, cx)).await;
    }

    /// The same, to be polled by the one task it wakes.
    pub fn poll_at(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.rings_at > until {
            self.set(until);
        }
        loop {
            if self.is_set && Instant::now() < self.rings_at {
                return Poll::Pending;
            }
            // Without budget the timer does not even look at who asks.
            self.is_set = has_budget_remaining();
            ready!(self.sleep.as_mut().poll(cx));
            if self.rings_at >= until {
                return Poll::Ready(());
            }
            self.set(until);
        }
    }

    fn set(&mut self, until: Instant) {
        self.sleep.as_mut().reset(until);
        self.rings_at = until;
        self.is_set = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_it_was_last_asked_to() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut alarm = Alarm::default();
        // Given up before it rang, for later, for sooner, and for a time that is over.
        assert!(timeout(Duration::from_secs(5), alarm.at(after(15))).await.is_err());
        alarm.at(after(30)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
        assert!(timeout(Duration::from_secs(5), alarm.at(after(90))).await.is_err());
        alarm.at(after(50)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(50));
        alarm.at(after(40)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(50));
    }

    /// A task that has done too much already asks once more: then it has to be heard.
    #[tokio::test(start_paused = true)]
    async fn it_rings_for_a_task_without_budget() {
        let mut alarm = Alarm::default();
        let begun = Instant::now();
        let until = begun + Duration::from_secs(5);
        let mut is_first = true;
        let waits = tokio::spawn(poll_fn(move |cx| {
            if std::mem::take(&mut is_first) {
                let spent = (0..1_000).any(|_| !has_budget_remaining() || use_some(cx).is_pending());
                assert!(spent, "a task has a budget");
            }
            alarm.poll_at(until, cx)
        }));
        timeout(Duration::from_secs(60), waits).await.unwrap().unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    /// Uses some of the task's budget.
    fn use_some(cx: &mut Context<'_>) -> Poll<()> {
        std::pin::pin!(tokio::task::coop::consume_budget()).poll(cx)
    }
}
