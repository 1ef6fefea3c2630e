//! How much of the log is kept: the limits by number, size and age, shared by all engines.

use crate::{
    clock::{self, Clock},
    limits::{KEEP_BYTES, KEEP_MESSAGES, KEEP_TOTAL_BYTES, ROW_BYTES},
};
use app::wire::{ChannelName, Message, Time};
use std::time::Duration;

/// How much of the log is kept. The oldest messages are deleted first.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Messages kept per channel.
    pub messages: u64,
    /// Bytes kept per channel, see [`kept_bytes`].
    pub bytes: u64,
    /// Age after which a message is deleted; `None` disables the limit.
    pub age: Option<Duration>,
    /// Bytes kept in all channels together.
    pub total_bytes: u64,
    /// Channels with an age limit of their own, shorter than `age`.
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
    /// Whether a channel with this many messages and bytes exceeds its limits.
    pub(super) fn is_over(&self, messages: u64, bytes: u64) -> bool {
        messages > self.messages || bytes > self.bytes
    }

    /// Messages stored before this time are too old; `None` if there is no age limit.
    pub(super) fn too_old(&self, clock: &Clock) -> Option<Time> {
        self.age.map(|age| ago(clock, age))
    }

    /// Channels with an age limit of their own, each with the time before which its messages are too old.
    pub(super) fn too_old_here(&self, clock: &Clock) -> Vec<(ChannelName, Time)> {
        self.shorter.iter().map(|(channel, age)| (channel.clone(), ago(clock, *age))).collect()
    }
}

fn ago(clock: &Clock, age: Duration) -> Time {
    Time(clock.for_ages().0.saturating_sub(clock::millis(age)))
}

/// The bytes a message is counted with, about its size in the store. Must equal the sum that the store's SQL computes.
pub(super) fn kept_bytes(message: &Message) -> u64 {
    message.body.as_bytes().len() as u64 + ROW_BYTES
}
