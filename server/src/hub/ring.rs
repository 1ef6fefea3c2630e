use super::pace::Pace;
use crate::{
    engine::{Offset, Stored, Tail},
    limits::{BATCH_MESSAGES, PACE_CHANNELS, RING_BYTES, RING_MESSAGES},
};
use app::wire::{ChannelName, Time};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, watch};

/// The dispatcher, and the recent end of the log in memory.
pub(super) struct Ring {
    /// Held while a batch is added and while a reader takes its share; nothing waits in it.
    state: Mutex<State>,
    /// The last offset dispatched. Sent after the messages are in `state` and before readers are woken,
    /// so that whoever registers first and asks second misses nothing.
    head: watch::Sender<Offset>,
    bounds: Bounds,
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
    channels: HashMap<ChannelName, Recent>,
    /// The places of all messages held, in order, and of some forgotten since: the oldest go first, whatever
    /// their channel.
    order: VecDeque<(Offset, ChannelName)>,
    bytes: usize,
    pace: HashMap<ChannelName, Pace>,
    next_watcher: u64,
}

/// The recent end of one channel.
#[derive(Default)]
struct Recent {
    messages: VecDeque<Arc<Stored>>,
    /// Everything of this channel past this offset is in `messages`.
    complete_after: Offset,
    watchers: Vec<(u64, Arc<Notify>)>,
}

/// What a reader may take from memory.
pub(super) enum Share {
    /// The channel's messages past the reader's cursor, from memory.
    Memory(Vec<Arc<Stored>>),
    /// Memory does not reach back that far.
    Store,
}

impl Ring {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { state: Mutex::default(), head: watch::Sender::new(0), bounds }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn batch(&self) -> usize {
        self.bounds.batch
    }

    pub(super) fn heads(&self) -> watch::Receiver<Offset> {
        self.head.subscribe()
    }

    /// Registers a reader; it is woken for every message of these channels from now on.
    pub(super) fn watch(self: &Arc<Self>, channels: &[ChannelName]) -> Watch {
        let notify = Arc::new(Notify::new());
        let mut state = self.state();
        let id = state.next_watcher;
        state.next_watcher += 1;
        // Past the last dispatched message an empty memory is complete.
        let head = *self.head.borrow();
        for channel in channels {
            let recent = state
                .channels
                .entry(channel.clone())
                .or_insert_with(|| Recent { complete_after: head, ..Recent::default() });
            recent.watchers.push((id, Arc::clone(&notify)));
        }
        Watch { ring: Arc::clone(self), id, notify, channels: channels.to_vec() }
    }

    /// A channel's messages in `(after, up_to]`, at most `limit`, if memory reaches back that far.
    pub(super) fn share(&self, channel: &ChannelName, after: Offset, up_to: Offset, limit: usize) -> Share {
        let state = self.state();
        match state.channels.get(channel) {
            Some(recent) if after >= recent.complete_after => {
                let from = recent.messages.partition_point(|stored| stored.offset() <= after);
                let found = recent.messages.iter().skip(from).take(limit).take_while(|stored| stored.offset() <= up_to);
                Share::Memory(found.cloned().collect())
            }
            _ => Share::Store,
        }
    }

    /// Wakes the readers of these channels for something that is no message.
    pub(super) fn wake(&self, channels: &BTreeSet<ChannelName>) {
        let state = self.state();
        let watchers = channels.iter().filter_map(|channel| state.channels.get(channel)).flat_map(|c| &c.watchers);
        let wake: Vec<_> = watchers.map(|(_, notify)| Arc::clone(notify)).collect();
        drop(state);
        for notify in wake {
            notify.notify_one();
        }
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
        self.head.send_replace(head);
    }

    fn dispatch(&self, batch: &[Arc<Stored>]) {
        let Some(last) = batch.last() else { return };
        let mut wake = Vec::new();
        let mut state = self.state();
        for stored in batch {
            state.push(stored, self.bounds, &mut wake);
        }
        self.head.send_replace(last.offset());
        drop(state);
        for notify in wake {
            notify.notify_one();
        }
    }

    fn forget(&self, channel: &ChannelName, floor: Offset) {
        self.state().drop_up_to(channel, floor);
    }
}

impl State {
    fn push(&mut self, stored: &Arc<Stored>, bounds: Bounds, wake: &mut Vec<Arc<Notify>>) {
        let channel = &stored.message.channel;
        self.count(channel, stored.message.time);
        let recent = self.channels.entry(channel.clone()).or_insert_with(|| Recent {
            complete_after: stored.message.prev.map_or(0, |prev| prev.offset),
            ..Recent::default()
        });
        recent.messages.push_back(Arc::clone(stored));
        wake.extend(recent.watchers.iter().map(|(_, notify)| Arc::clone(notify)));
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
        if recent.messages.is_empty() && recent.watchers.is_empty() {
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

/// A registered reader; unregisters when dropped.
pub(super) struct Watch {
    ring: Arc<Ring>,
    id: u64,
    notify: Arc<Notify>,
    channels: Vec<ChannelName>,
}

impl Watch {
    /// Resolves when something was dispatched since the last time it resolved.
    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.ring.state();
        for channel in &self.channels {
            if let Some(recent) = state.channels.get_mut(channel) {
                recent.watchers.retain(|(id, _)| *id != self.id);
                if recent.messages.is_empty() && recent.watchers.is_empty() {
                    state.channels.remove(channel);
                }
            }
        }
    }
}
