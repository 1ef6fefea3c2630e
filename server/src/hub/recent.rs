//! The dispatcher: keeps the recent messages in memory and wakes the watchers of their channels.

use super::rate::Rate;
use crate::{
    engine::{Dispatch, Offset, Stored},
    limits::{BATCH_MESSAGES, RATE_CHANNELS, RECENT_BYTES, RECENT_MESSAGES},
    lock::Lock,
    map::Map,
};
use app::wire::{ChannelName, Time};
use std::{
    collections::{BTreeSet, VecDeque},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// Is woken when one of its channels has something new.
pub(super) trait Watcher: Send + Sync {
    /// Whether to wake it for changes of presence.
    fn wants_presence(&self) -> bool;
    /// Called when one of its channels has something new. Must not block.
    fn wake(self: Arc<Self>);
}

/// The dispatcher, with the recent messages of all channels in memory.
pub(super) struct RecentLog {
    /// Locked while a batch is added and while a reader takes its share. Nothing waits while the lock is held.
    state: Lock<State>,
    /// The last offset dispatched. It is atomic, so that reading it takes no lock. It is set after the messages are in
    /// `state` and before watchers are woken, so that a reader that first watches and then reads it misses nothing.
    head: AtomicU64,
    /// Notified when the head moves.
    moved: Notify,
    bounds: Bounds,
}

/// How much is kept in memory, and how much a reader takes at once.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) batch: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { messages: RECENT_MESSAGES, bytes: RECENT_BYTES, batch: BATCH_MESSAGES }
    }
}

#[derive(Default)]
struct State {
    channels: Map<ChannelName, RecentChannel>,
    /// The offsets of all messages in memory, in order, and of some that are already dropped. The oldest message of all
    /// channels is dropped first.
    order: VecDeque<(Offset, ChannelName)>,
    bytes: usize,
    rates: Map<ChannelName, Rate>,
}

/// The recent messages of one channel.
#[derive(Default)]
struct RecentChannel {
    messages: VecDeque<Arc<Stored>>,
    /// Every message of this channel past this offset is in `messages`.
    complete_after: Offset,
    watchers: Vec<Arc<dyn Watcher>>,
}

/// What a reader may take from memory.
pub(super) enum Share {
    /// The channel's messages past the reader's cursor, from memory.
    Memory(Vec<Arc<Stored>>),
    /// Memory does not reach back that far: read the store.
    Store,
}

impl RecentChannel {
    fn is_unused(&self) -> bool {
        self.messages.is_empty() && self.watchers.is_empty()
    }
}

impl RecentLog {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { state: Lock::default(), head: AtomicU64::new(0), moved: Notify::new(), bounds }
    }

    /// Messages that one reader takes at once.
    pub(super) fn batch(&self) -> usize {
        self.bounds.batch
    }

    /// The last offset dispatched.
    pub(super) fn head(&self) -> Offset {
        self.head.load(Ordering::SeqCst)
    }

    fn move_head(&self, head: Offset) {
        self.head.store(head, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// Resolves when the head is past an offset.
    pub(super) async fn passed(&self, offset: Offset) {
        loop {
            let mut moved = pin!(self.moved.notified());
            // Registered before the check, so that a move after the check is noticed.
            moved.as_mut().enable();
            if self.head() > offset {
                return;
            }
            moved.await;
        }
    }

    /// Wakes the watcher for every new message of these channels.
    pub(super) fn watch(&self, channels: &[ChannelName], watcher: &Arc<dyn Watcher>) {
        let mut state = self.state.lock();
        // No message exists past the last dispatched one, so an empty memory is complete from there.
        let head = self.head();
        for channel in channels {
            let recent = state
                .channels
                .entry(channel.clone())
                .or_insert_with(|| RecentChannel { complete_after: head, ..RecentChannel::default() });
            recent.watchers.push(Arc::clone(watcher));
        }
    }

    /// Stops waking the watcher for these channels.
    pub(super) fn unwatch(&self, channels: &[ChannelName], watcher: &Arc<dyn Watcher>) {
        let mut state = self.state.lock();
        for channel in channels {
            if let Some(recent) = state.channels.get_mut(channel) {
                recent.watchers.retain(|known| !std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(watcher)));
                if recent.is_unused() {
                    state.channels.remove(channel);
                }
            }
        }
    }

    /// The messages of these channels in `(after, up_to]`, in order and as many as fit. Also returns the offset up to
    /// which no message is left out. `None` if memory does not reach back that far.
    pub(super) fn range(
        &self,
        channels: &[ChannelName],
        after: Offset,
        up_to: Offset,
        bytes: usize,
    ) -> Option<(Vec<Arc<Stored>>, Offset)> {
        let limit = self.bounds.batch;
        let mut all = Vec::new();
        let mut complete = up_to;
        for channel in channels {
            let Share::Memory(found) = self.share(channel, after, up_to, limit) else { return None };
            if let (true, Some(last)) = (found.len() == limit, found.last()) {
                complete = complete.min(last.offset());
            }
            if all.is_empty() {
                all = found;
            } else {
                all.extend(found);
            }
        }
        Some(in_order(all, complete, limit, bytes))
    }

    /// A channel's messages in `(after, up_to]`, at most `limit`, if memory reaches back that far.
    pub(super) fn share(&self, channel: &ChannelName, after: Offset, up_to: Offset, limit: usize) -> Share {
        let state = self.state.lock();
        match state.channels.get(channel) {
            Some(recent) if after >= recent.complete_after => {
                let from = first_after(&recent.messages, after);
                let found = recent.messages.iter().skip(from).take(limit).take_while(|stored| stored.offset() <= up_to);
                Share::Memory(found.cloned().collect())
            }
            _ => Share::Store,
        }
    }

    /// Wakes the watchers that want changes of presence in these channels.
    pub(super) fn wake_for_presence(&self, channels: &BTreeSet<ChannelName>) {
        let state = self.state.lock();
        let watchers = channels.iter().filter_map(|channel| state.channels.get(channel)).flat_map(|c| &c.watchers);
        let told: Vec<_> = watchers.filter(|watcher| watcher.wants_presence()).cloned().collect();
        drop(state);
        told.into_iter().for_each(Watcher::wake);
    }

    /// Messages of a channel in each minute of the past hour.
    pub(super) fn rate(&self, channel: &ChannelName, now: Time) -> Vec<u32> {
        self.state.lock().rates.get(channel).map_or_else(|| vec![0; 60], |rate| rate.hour(now))
    }
}

impl Dispatch for RecentLog {
    fn begin(&self, head: Offset, recent: Vec<(ChannelName, Time)>) {
        let mut state = self.state.lock();
        for (channel, time) in recent.into_iter().rev() {
            state.count(&channel, time);
        }
        drop(state);
        self.move_head(head);
    }

    fn stored(&self, batch: &[Arc<Stored>]) {
        let Some(last) = batch.last() else { return };
        let mut woken = Vec::new();
        let mut state = self.state.lock();
        for stored in batch {
            state.push(stored, self.bounds, &mut woken);
        }
        self.move_head(last.offset());
        drop(state);
        woken.into_iter().for_each(Watcher::wake);
    }

    fn trimmed(&self, channel: &ChannelName, floor: Offset) {
        self.state.lock().drop_up_to(channel, floor);
    }
}

impl State {
    fn push(&mut self, stored: &Arc<Stored>, bounds: Bounds, woken: &mut Vec<Arc<dyn Watcher>>) {
        let channel = &stored.message.channel;
        self.count(channel, stored.message.time);
        let recent = self.channels.entry(channel.clone()).or_insert_with(|| RecentChannel {
            complete_after: stored.message.prev.map_or(0, |prev| prev.offset),
            ..RecentChannel::default()
        });
        recent.messages.push_back(Arc::clone(stored));
        woken.extend(recent.watchers.iter().cloned());
        self.bytes += stored.weight();
        self.order.push_back((stored.offset(), channel.clone()));
        while self.bytes > bounds.bytes || self.order.len() > bounds.messages {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((offset, channel)) = self.order.pop_front() {
            self.drop_up_to(&channel, offset);
        }
    }

    /// Drops a channel's messages at or below an offset.
    fn drop_up_to(&mut self, channel: &ChannelName, offset: Offset) {
        let Some(recent) = self.channels.get_mut(channel) else { return };
        while let Some(oldest) = recent.messages.pop_front_if(|oldest| oldest.offset() <= offset) {
            self.bytes -= oldest.weight();
        }
        recent.complete_after = recent.complete_after.max(offset);
        if recent.is_unused() {
            self.channels.remove(channel);
        }
    }

    fn count(&mut self, channel: &ChannelName, time: Time) {
        if let Some(rate) = self.rates.get_mut(channel) {
            rate.count(time);
            return;
        }
        if self.rates.len() >= RATE_CHANNELS
            && let Some(silent) = self.rates.iter().min_by_key(|(_, rate)| rate.newest()).map(|(name, _)| name.clone())
        {
            self.rates.remove(&silent);
        }
        self.rates.entry(channel.clone()).or_default().count(time);
    }
}

/// The index of the first message past an offset. Searches from the end, where readers that keep up are.
fn first_after(messages: &VecDeque<Arc<Stored>>, after: Offset) -> usize {
    let is_past = |index: usize| messages[index].offset() > after;
    let (mut low, mut high, mut step) = (messages.len(), messages.len(), 1);
    while low > 0 && is_past(low - 1) {
        high = low - 1;
        low = high.saturating_sub(step);
        step *= 2;
    }
    while low < high {
        let middle = low.midpoint(high);
        if is_past(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Sorts these messages, and keeps as many up to `complete` as fit. Also returns the offset up to which no message is
/// left out.
pub(super) fn in_order(
    mut messages: Vec<Arc<Stored>>,
    complete: Offset,
    limit: usize,
    bytes: usize,
) -> (Vec<Arc<Stored>>, Offset) {
    messages.sort_unstable_by_key(|stored| stored.offset());
    messages.retain(|stored| stored.offset() <= complete);
    let fits = fitting(&messages, limit, bytes);
    let reaches = if fits < messages.len() { messages[fits - 1].offset() } else { complete };
    messages.truncate(fits);
    (messages, reaches)
}

/// How many of these messages fit. The first one always fits.
fn fitting(messages: &[Arc<Stored>], limit: usize, bytes: usize) -> usize {
    let mut room = bytes;
    for (count, stored) in messages.iter().enumerate() {
        if count == limit || (count > 0 && stored.weight() > room) {
            return count;
        }
        room = room.saturating_sub(stored.weight());
    }
    messages.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::wire::{Body, Kind, Message, Sender};
    use proptest::prelude::*;

    fn stored(offset: Offset) -> Arc<Stored> {
        Stored::new(Message {
            id: format!("k3.{offset}").parse().unwrap(),
            prev: None,
            channel: "a".parse().unwrap(),
            time: Time(0),
            from: Sender { id: "p".into(), name: "p".into(), kind: Kind::Program },
            body: Body::Text(String::new()),
            key: None,
        })
    }

    proptest! {
        #[test]
        fn the_search_from_the_end_finds_what_any_search_finds(
            offsets in prop::collection::btree_set(1u64..200, 0..60), after in 0u64..210,
        ) {
            let messages: VecDeque<_> = offsets.into_iter().map(stored).collect();
            prop_assert_eq!(
                first_after(&messages, after), messages.partition_point(|stored| stored.offset() <= after)
            );
        }
    }
}
