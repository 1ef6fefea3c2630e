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
