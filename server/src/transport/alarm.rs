use std::pin::Pin;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for what is waited for often and seldom comes to its end: set anew for later, it costs nothing until it
/// would have rung before.
pub struct Alarm(Pin<Box<Sleep>>);

impl Default for Alarm {
    fn default() -> Self {
        Self(Box::pin(sleep_until(Instant::now())))
    }
}

impl Alarm {
    /// Resolves at this time.
    pub async fn at(&mut self, until: Instant) {
        if self.0.deadline() > until {
            self.0.as_mut().reset(until);
        }
        loop {
            self.0.as_mut().await;
            if self.0.deadline() >= until {
                return;
            }
            self.0.as_mut().reset(until);
        }
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
}
