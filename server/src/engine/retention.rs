use crate::{
    clock::{self, Clock},
    limits::{KEEP_BYTES, KEEP_MESSAGES, KEEP_TOTAL_BYTES, ROW_BYTES},
};
use app::wire::{ChannelName, Message, Time};
use std::time::Duration;

/// What is kept of the log. Whatever goes, goes oldest first.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Messages of one channel.
    pub messages: u64,
    /// Bytes of one channel, see [`kept_bytes`].
    pub bytes: u64,
    /// How old a message may become; `None`: as old as it likes.
    pub age: Option<Duration>,
    /// Bytes of all channels together.
    pub total_bytes: u64,
    /// Channels whose messages may not become as old.
    pub shorter: Vec<(ChannelName, Duration)>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            messages: KEEP_MESSAGES,
            bytes: KEEP_BYTES,
            age: None,
            total_bytes: KEEP_TOTAL_BYTES,
            shorter: Vec::new(),
        }
    }
}

impl Retention {
    /// Whether a channel holds more than it may.
    pub(super) fn is_over(&self, messages: u64, bytes: u64) -> bool {
        messages > self.messages || bytes > self.bytes
    }

    /// What was stored before it is too old.
    pub(super) fn too_old(&self, clock: &Clock) -> Option<Time> {
        self.age.map(|age| ago(clock, age))
    }

    /// Channels with an age of their own, and what is too old there.
    pub(super) fn too_old_here(&self, clock: &Clock) -> Vec<(ChannelName, Time)> {
        self.shorter.iter().map(|(channel, age)| (channel.clone(), ago(clock, *age))).collect()
    }
}

fn ago(clock: &Clock, age: Duration) -> Time {
    Time(clock.for_ages().0.saturating_sub(clock::millis(age)))
}

/// What a message counts for: about what it takes in the store. Must agree with the store's own sum.
pub(super) fn kept_bytes(message: &Message) -> u64 {
    message.body.as_bytes().len() as u64 + ROW_BYTES
}
