//! Who is in a channel and who is typing there: leases on the steady clock, in memory, never stored.
//!
//! A connection holds a lease while it lives; a poll renews one. A sender without a lease is gone five seconds later, so
//! that a reconnect is no leave. Changes are numbered and some of them kept: a reader is told what it has not heard yet
//! or, when that is too long ago, how things stand.
//!
//! - `state`: all of it, without lock and clock. `channel`: one channel of it.
//! - This file: the lock around it, and the task that ends leases in time.

mod channel;
mod state;

use super::delivery::Delivery;
use crate::{
    limits::{LEAVE_GRACE, PRESENCE_PACE},
    lock::Lock,
};
use app::wire::{ChannelName, PresenceUpdate, Sender, limits::TYPING_SECONDS};
use state::State;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

/// Who is where.
#[derive(Default)]
pub(super) struct Presence {
    /// Held to look and to change; nothing waits while it is held.
    state: Lock<State>,
    /// The state's version: whether a reader has to look at all.
    version: AtomicU64,
    /// Senders that are typing, anywhere: publishing looks no further when there are none.
    typers: AtomicUsize,
    /// Something changed, or a lease ends sooner than the keeper knows.
    changed: Notify,
}

/// One connection's presence in its channels; it ends when this is dropped.
pub(super) struct Lease {
    presence: Arc<Presence>,
    sender: Arc<Sender>,
    channels: Arc<[ChannelName]>,
}

impl Lease {
    /// Moves to other channels. A sender that is in old and new ones never left.
    pub(super) fn replace(&mut self, channels: Arc<[ChannelName]>) {
        // Enters first and leaves afterwards, when the old lease is dropped.
        *self = self.presence.enter(channels, Arc::clone(&self.sender));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let until = Instant::now() + LEAVE_GRACE;
        self.presence.change(|state| state.leave(&self.channels, &self.sender.id, until));
    }
}

impl Presence {
    fn change<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let before = state.progress();
        let done = work(&mut state);
        let changed = state.progress() != before;
        self.version.store(state.version(), Ordering::Release);
        self.typers.store(state.typers(), Ordering::Release);
        drop(state);
        if changed {
            self.changed.notify_one();
        }
        done
    }

    /// A connection of `sender` enters these channels.
    pub(super) fn enter(self: &Arc<Self>, channels: Arc<[ChannelName]>, sender: Arc<Sender>) -> Lease {
        self.change(|state| state.enter(&channels, &sender));
        Lease { presence: Arc::clone(self), sender, channels }
    }

    /// A poll of `sender`: it is there for so long, unless it polls again.
    pub(super) fn renew(&self, channels: &[ChannelName], sender: &Sender, lasts: Duration) {
        let until = Instant::now() + lasts;
        self.change(|state| state.renew(channels, sender, until));
    }

    /// Whether anybody types, anywhere.
    pub(super) fn has_typers(&self) -> bool {
        self.typers.load(Ordering::Acquire) > 0
    }

    /// A sender types, or stops.
    pub(super) fn typing(&self, channel: &ChannelName, sender: &Sender, on: bool) {
        if on {
            let until = Instant::now() + Duration::from_secs(TYPING_SECONDS);
            self.change(|state| state.begin_typing(channel, sender, until));
        } else if self.has_typers() {
            self.change(|state| state.end_typing(channel, sender));
        }
    }

    /// Whether a reader that was told up to `seen` knows everything.
    pub(super) fn is_known(&self, seen: Option<u64>) -> bool {
        seen == Some(self.version.load(Ordering::Acquire))
    }

    /// Tells a reader that is present in these channels itself what it does not know: what changed since `seen`, or how
    /// things stand.
    pub(super) fn tell(&self, channels: &[ChannelName], seen: &mut Option<u64>, out: &mut Vec<Delivery>) {
        if self.is_known(*seen) {
            return;
        }
        let state = self.state.lock();
        let (updates, typing) = state.news(channels, *seen);
        out.extend(updates.into_iter().map(Delivery::Presence));
        out.extend(typing.into_iter().map(Delivery::Typing));
        *seen = Some(state.version());
    }

    /// How things stand in a channel.
    pub(super) fn whole(&self, channel: &ChannelName) -> Option<PresenceUpdate> {
        self.state.lock().whole(channel)
    }

    /// How many visitors and programs are in a channel.
    pub(super) fn here(&self, channel: &ChannelName) -> u32 {
        self.state.lock().here(channel)
    }

    /// Ends leases in time and wakes the readers of channels that changed, at most every [`PRESENCE_PACE`].
    pub(super) async fn keep(&self, wake: impl Fn(&BTreeSet<ChannelName>)) {
        loop {
            let next = self.state.lock().next_end();
            match next {
                Some(at) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(at) => {}
                },
                None => self.changed.notified().await,
            }
            let changed = self.change(|state| state.end_leases(Instant::now()));
            if !changed.is_empty() {
                wake(&changed);
            }
            sleep(PRESENCE_PACE).await;
        }
    }
}
