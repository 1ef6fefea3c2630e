//! The memory engine: keeps the log in memory only, for tests and for servers that do not need to keep messages.

use super::{
    AppendError, Appended, Dispatch, Draft, Engine, Lineage, Offset, Options, Query, ReadError, Slice, Stored,
    retention::kept_bytes,
};
use crate::{
    limits::{KEY_WINDOW, MEMORY_KEYS, MEMORY_MESSAGES, TRIM_SLICE},
    lock::Lock,
    map::Map,
};
use app::wire::{ChannelName, Message, Time};
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Range,
    sync::Arc,
    time::Duration,
};

/// A log in memory; it is lost when the process ends.
pub struct Memory {
    lineage: Lineage,
    options: Options,
    dispatcher: Arc<dyn Dispatch>,
    /// Locked while appending and dispatching, so that the dispatcher sees offset order. No code waits while holding
    /// it.
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    head: Offset,
    closed: bool,
    log: BTreeMap<Offset, Arc<Stored>>,
    bytes: u64,
    channels: Map<ChannelName, Channel>,
    /// Channels that exceed their limits.
    over: BTreeSet<ChannelName>,
    /// Clients choose these keys and there may be a million of them, so the map uses a collision-resistant hash.
    keys: HashMap<(ChannelName, String), Used>,
    /// The keys in the order of their use, to find the expired keys.
    used: VecDeque<(Duration, (ChannelName, String))>,
}

#[derive(Default)]
struct Channel {
    offsets: VecDeque<Offset>,
    bytes: u64,
    last: Option<Offset>,
    floor: Offset,
    floor_time: Option<Time>,
}

struct Used {
    digest: [u8; 32],
    appended: Appended,
}

impl Memory {
    /// Opens an empty log in a new epoch.
    pub fn open(options: Options, dispatcher: Arc<dyn Dispatch>) -> Self {
        dispatcher.begin(0, Vec::new());
        let lineage = Lineage::new(Vec::new(), super::fresh_epoch(), 0);
        Self { lineage, options, dispatcher, state: Lock::default() }
    }

    fn append_now(&self, draft: Draft) -> Result<Appended, AppendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        let now = self.options.clock.steady();
        state.forget_keys(now);
        // The digest is computed only for a draft with a key.
        let used_as = draft.key.clone().map(|key| ((draft.channel.clone(), key), draft.digest()));
        if let Some((key, digest)) = &used_as
            && let Some(used) = state.keys.get(key)
        {
            return if used.digest == *digest {
                Ok(Appended { duplicate: true, ..used.appended })
            } else {
                Err(AppendError::KeyConflict)
            };
        }
        let last = state.channels.get(&draft.channel).and_then(|channel| channel.last);
        let last = last.map(|offset| self.lineage.id(offset));
        if !draft.fits(last) {
            return Err(AppendError::NotLast(last));
        }
        let stored = state.store(draft, &self.lineage, &self.options, &*self.dispatcher);
        let appended = Appended { id: stored.message.id, time: stored.message.time, duplicate: false };
        if let Some((key, digest)) = used_as {
            state.used.push_back((now, key.clone()));
            state.keys.insert(key, Used { digest, appended });
        }
        self.dispatcher.stored(&[stored]);
        Ok(appended)
    }
}

impl State {
    fn forget_keys(&mut self, now: Duration) {
        while let Some((at, _)) = self.used.front()
            && (now.saturating_sub(*at) >= KEY_WINDOW || self.used.len() > MEMORY_KEYS)
        {
            if let Some((_, key)) = self.used.pop_front() {
                self.keys.remove(&key);
            }
        }
    }

    fn store(&mut self, draft: Draft, lineage: &Lineage, options: &Options, dispatcher: &dyn Dispatch) -> Arc<Stored> {
        let offset = self.head + 1;
        let channel = self.channels.entry(draft.channel.clone()).or_default();
        let stored = Stored::new(Message {
            id: lineage.id(offset),
            prev: channel.last.map(|last| lineage.id(last)),
            channel: draft.channel,
            time: options.clock.wall(),
            from: draft.from,
            body: draft.body,
            key: draft.key,
        });
        let bytes = kept_bytes(&stored.message);
        channel.last = Some(offset);
        channel.offsets.push_back(offset);
        channel.bytes += bytes;
        if options.retention.is_over(channel.offsets.len() as u64, channel.bytes) {
            self.over.insert(stored.message.channel.clone());
        }
        self.head = offset;
        self.bytes += bytes;
        self.log.insert(offset, Arc::clone(&stored));
        if self.log.len() > MEMORY_MESSAGES {
            let oldest = self.log.first_key_value().map(|(_, stored)| stored.message.channel.clone());
            if let Some(oldest) = oldest {
                self.drop_first(&oldest, dispatcher);
            }
        }
        stored
    }

    /// Deletes a channel's oldest message. The floor moves first (clause 7 of the contract).
    fn drop_first(&mut self, name: &ChannelName, dispatcher: &dyn Dispatch) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        let Some(stored) = channel.offsets.front().and_then(|offset| self.log.get(offset)).cloned() else { return };
        let bytes = kept_bytes(&stored.message);
        channel.floor = stored.offset();
        channel.floor_time = Some(stored.message.time);
        dispatcher.trimmed(name, stored.offset());
        channel.offsets.pop_front();
        channel.bytes -= bytes;
        self.bytes -= bytes;
        self.log.remove(&stored.offset());
    }

    /// The channel whose oldest message must be deleted next, if the limits are exceeded.
    fn next_to_drop(&mut self, options: &Options) -> Option<ChannelName> {
        let retention = &options.retention;
        while let Some(name) = self.over.first().cloned() {
            let channel = self.channels.get(&name);
            if channel.is_some_and(|channel| retention.is_over(channel.offsets.len() as u64, channel.bytes)) {
                return Some(name);
            }
            self.over.remove(&name);
        }
        let oldest = self.log.first_key_value().map(|(_, stored)| &stored.message);
        if let Some(message) = oldest
            && (self.bytes > retention.total_bytes
                || retention.too_old(&options.clock).is_some_and(|too_old| message.time < too_old))
        {
            return Some(message.channel.clone());
        }
        retention.too_old_here(&options.clock).into_iter().find_map(|(name, too_old)| {
            let first = self.channels.get(&name)?.offsets.front()?;
            (self.log.get(first)?.message.time < too_old).then_some(name)
        })
    }

    fn range(&self, channel: &ChannelName, after: Offset, up_to: Offset) -> Range<usize> {
        let Some(channel) = self.channels.get(channel) else { return 0..0 };
        let from = channel.offsets.partition_point(|offset| *offset <= after);
        let to = channel.offsets.partition_point(|offset| *offset <= up_to);
        from..to.max(from)
    }

    fn slice(&self, query: &Query) -> Slice {
        let Some(channel) = self.channels.get(&query.channel) else { return Slice::default() };
        let mut slice = Slice { floor: channel.floor, floor_time: channel.floor_time, ..Slice::default() };
        let mut room = query.bytes;
        for offset in channel.offsets.range(self.range(&query.channel, query.after, query.up_to)) {
            let stored = &self.log[offset];
            if slice.messages.len() == query.limit || (room < stored.weight() && !slice.messages.is_empty()) {
                slice.more = true;
                break;
            }
            room = room.saturating_sub(stored.weight());
            slice.messages.push(Arc::clone(stored));
        }
        slice
    }
}

impl Engine for Memory {
    fn append(&self, draft: Box<Draft>) -> BoxFuture<'_, Result<Appended, AppendError>> {
        async move { self.append_now(*draft) }.boxed()
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Slice, ReadError>> {
        async move { Ok(self.state.lock().slice(&query)) }.boxed()
    }

    fn offsets(
        &self,
        channel: ChannelName,
        up_to: Offset,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Offset>, ReadError>> {
        async move {
            let state = self.state.lock();
            let all = state.range(&channel, 0, up_to);
            let newest = all.end.saturating_sub(limit).max(all.start)..all.end;
            let channel = state.channels.get(&channel);
            Ok(channel.map(|channel| channel.offsets.range(newest).copied().collect()).unwrap_or_default())
        }
        .boxed()
    }

    fn channels(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, ReadError>> {
        async move {
            let state = self.state.lock();
            let mut last: Vec<Offset> =
                state.channels.values().filter_map(|c| c.offsets.back().copied()).filter(|o| *o > after).collect();
            last.sort_unstable_by(|a, b| b.cmp(a));
            Ok(last.iter().take(limit).map(|offset| Arc::clone(&state.log[offset])).collect())
        }
        .boxed()
    }

    fn count(
        &self,
        channel: ChannelName,
        after: Offset,
        up_to: Offset,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, ReadError>> {
        async move {
            let found = self.state.lock().range(&channel, after, up_to).len();
            Ok(u32::try_from(found).unwrap_or(u32::MAX).min(most))
        }
        .boxed()
    }

    fn trim(&self) -> BoxFuture<'_, Result<u64, AppendError>> {
        async move {
            let mut state = self.state.lock();
            let mut gone = 0;
            while gone < TRIM_SLICE as u64
                && let Some(channel) = state.next_to_drop(&self.options)
            {
                state.drop_first(&channel, &*self.dispatcher);
                gone += 1;
            }
            Ok(gone)
        }
        .boxed()
    }

    fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move { self.state.lock().closed = true }.boxed()
    }
}
