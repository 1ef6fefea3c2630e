use super::{lane::Lane, pace::Pace, pump::Lanes};
use crate::{
    engine::{Offset, Stored, Tail},
    limits::{BATCH_MESSAGES, PACE_CHANNELS, RING_BYTES, RING_MESSAGES},
    map::Map,
};
use app::wire::{ChannelName, Time};
use std::{
    collections::{BTreeSet, VecDeque},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// The dispatcher, and the recent end of the log in memory.
pub(super) struct Ring {
    /// Held while a batch is added and while a reader takes its share; nothing waits in it.
    state: Mutex<State>,
    /// The last offset dispatched. Set after the messages are in `state` and before readers are woken,
    /// so that whoever registers first and asks second misses nothing. In one order with what else tells of news, here
    /// and in [`Lane`]: who does not find the other's mark has left one that the other finds.
    head: AtomicU64,
    /// The head has moved.
    moved: Notify,
    bounds: Bounds,
    lanes: Arc<Lanes>,
}

/// How much is kept in memory, and handed out in one go.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) batch: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { messages: RING_MESSAGES, bytes: RING_BYTES, batch: BATCH_MESSAGES }
    }
}

#[derive(Default)]
struct State {
    channels: Map<ChannelName, Recent>,
    /// The places of all messages held, in order, and of some forgotten since: the oldest go first, whatever
    /// their channel.
    order: VecDeque<(Offset, ChannelName)>,
    bytes: usize,
    pace: Map<ChannelName, Pace>,
}

/// The recent end of one channel.
#[derive(Default)]
struct Recent {
    messages: VecDeque<Arc<Stored>>,
    /// Everything of this channel past this offset is in `messages`.
    complete_after: Offset,
    /// Lanes of readers of this channel.
    lanes: Vec<Arc<Lane>>,
}

/// What a reader may take from memory.
pub(super) enum Share {
    /// The channel's messages past the reader's cursor, from memory.
    Memory(Vec<Arc<Stored>>),
    /// Memory does not reach back that far.
    Store,
}

impl Ring {
    pub(super) fn new(bounds: Bounds, lanes: Arc<Lanes>) -> Self {
        Self { state: Mutex::default(), head: AtomicU64::new(0), moved: Notify::new(), bounds, lanes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

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

    /// Waits until the head is past an offset.
    pub(super) async fn passed(&self, offset: Offset) {
        loop {
            let mut moved = pin!(self.moved.notified());
            // Before the look: a head that moves after it is told.
            moved.as_mut().enable();
            if self.head() > offset {
                return;
            }
            moved.await;
        }
    }

    /// Registers a lane; it is touched for every message of its channels from now on.
    pub(super) fn watch(&self, lane: &Arc<Lane>) {
        let mut state = self.state();
        // Past the last dispatched message an empty memory is complete.
        let head = self.head();
        for channel in &*lane.key.channels {
            let recent = state
                .channels
                .entry(channel.clone())
                .or_insert_with(|| Recent { complete_after: head, ..Recent::default() });
            recent.lanes.push(Arc::clone(lane));
        }
    }

    /// Forgets a lane.
    pub(super) fn unwatch(&self, lane: &Arc<Lane>) {
        let mut state = self.state();
        for channel in &*lane.key.channels {
            if let Some(recent) = state.channels.get_mut(channel) {
                recent.lanes.retain(|known| !Arc::ptr_eq(known, lane));
                if recent.messages.is_empty() && recent.lanes.is_empty() {
                    state.channels.remove(channel);
                }
            }
        }
    }

    /// The messages of some channels in `(after, up_to]`, in order, as many as fit, and up to where they are all;
    /// `None` if memory does not reach back that far.
    pub(super) fn recent(
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
        let state = self.state();
        match state.channels.get(channel) {
            Some(recent) if after >= recent.complete_after => {
                let from = first_after(&recent.messages, after);
                let found = recent.messages.iter().skip(from).take(limit).take_while(|stored| stored.offset() <= up_to);
                Share::Memory(found.cloned().collect())
            }
            _ => Share::Store,
        }
    }

    /// Who is in these channels has changed.
    pub(super) fn wake(&self, channels: &BTreeSet<ChannelName>) {
        let state = self.state();
        let lanes = channels.iter().filter_map(|channel| state.channels.get(channel)).flat_map(|c| &c.lanes);
        let told: Vec<_> = lanes.filter(|lane| lane.key.presence).cloned().collect();
        drop(state);
        self.lanes.touch(&told);
    }

    /// Messages per minute of the past hour.
    pub(super) fn pace(&self, channel: &ChannelName, now: Time) -> Vec<u32> {
        self.state().pace.get(channel).map_or_else(|| vec![0; 60], |pace| pace.hour(now))
    }
}

impl Tail for Ring {
    fn begin(&self, head: Offset, recent: Vec<(ChannelName, Time)>) {
        let mut state = self.state();
        for (channel, time) in recent.into_iter().rev() {
            state.count(&channel, time);
        }
        drop(state);
        self.move_head(head);
    }

    fn dispatch(&self, batch: &[Arc<Stored>]) {
        let Some(last) = batch.last() else { return };
        let mut wake = Vec::new();
        let mut state = self.state();
        for stored in batch {
            state.push(stored, self.bounds, &mut wake);
        }
        self.move_head(last.offset());
        drop(state);
        self.lanes.touch(&wake);
    }

    fn forget(&self, channel: &ChannelName, floor: Offset) {
        self.state().drop_up_to(channel, floor);
    }
}

impl State {
    fn push(&mut self, stored: &Arc<Stored>, bounds: Bounds, wake: &mut Vec<Arc<Lane>>) {
        let channel = &stored.message.channel;
        self.count(channel, stored.message.time);
        let recent = self.channels.entry(channel.clone()).or_insert_with(|| Recent {
            complete_after: stored.message.prev.map_or(0, |prev| prev.offset),
            ..Recent::default()
        });
        recent.messages.push_back(Arc::clone(stored));
        wake.extend(recent.lanes.iter().cloned());
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

    /// Drops a channel's messages at or below an offset, if it still holds any.
    fn drop_up_to(&mut self, channel: &ChannelName, offset: Offset) {
        let Some(recent) = self.channels.get_mut(channel) else { return };
        while let Some(oldest) = recent.messages.pop_front_if(|oldest| oldest.offset() <= offset) {
            self.bytes -= oldest.weight();
        }
        recent.complete_after = recent.complete_after.max(offset);
        if recent.messages.is_empty() && recent.lanes.is_empty() {
            self.channels.remove(channel);
        }
    }

    fn count(&mut self, channel: &ChannelName, time: Time) {
        if let Some(pace) = self.pace.get_mut(channel) {
            pace.count(time);
            return;
        }
        if self.pace.len() >= PACE_CHANNELS
            && let Some(silent) = self.pace.iter().min_by_key(|(_, pace)| pace.newest()).map(|(name, _)| name.clone())
        {
            self.pace.remove(&silent);
        }
        self.pace.entry(channel.clone()).or_default().count(time);
    }
}

/// Where the messages past an offset begin. Looked for from the end: there is where readers are that keep up.
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

/// The first of these messages up to `complete`, in order, and how far they reach.
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

/// How many of these fit: at least one.
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
