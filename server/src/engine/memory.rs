//! The memory engine: for tests and for servers that need not remember.

use super::{AppendError, Appended, Draft, Engine, Lineage, Offset, Query, ReadError, Slice, Stored, Tail};
use crate::{
    clock,
    limits::{KEY_WINDOW, MEMORY_MESSAGES},
};
use app::wire::{ChannelName, Message, Time};
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Everything in memory, gone with the process.
pub struct Memory {
    lineage: Lineage,
    tail: Arc<dyn Tail>,
    /// Held while appending and dispatching, so that the tail sees offset order. Nothing waits in it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    head: Offset,
    closed: bool,
    log: BTreeMap<Offset, Arc<Stored>>,
    channels: HashMap<ChannelName, Channel>,
    keys: HashMap<(ChannelName, String), Used>,
}

#[derive(Default)]
struct Channel {
    offsets: Vec<Offset>,
    last: Option<Offset>,
    floor: Offset,
    floor_time: Option<Time>,
}

struct Used {
    at: Instant,
    digest: [u8; 32],
    appended: Appended,
}

impl Memory {
    /// An empty log in a fresh epoch.
    pub fn open(tail: Arc<dyn Tail>) -> Self {
        tail.begin(0, Vec::new());
        let lineage = Lineage::new(Vec::new(), super::fresh_epoch(), 0);
        Self { lineage, tail, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_now(&self, draft: Draft) -> Result<Appended, AppendError> {
        let mut state = self.state();
        if state.closed {
            return Err(AppendError::Closed);
        }
        let digest = draft.digest();
        let used_as = draft.key.clone().map(|key| (draft.channel.clone(), key));
        state.keys.retain(|_, used| used.at.elapsed() < KEY_WINDOW);
        if let Some(used) = used_as.as_ref().and_then(|key| state.keys.get(key)) {
            return if used.digest == digest {
                Ok(Appended { duplicate: true, ..used.appended })
            } else {
                Err(AppendError::KeyConflict)
            };
        }
        let stored = state.store(draft, &self.lineage);
        let appended = Appended { id: stored.message.id, time: stored.message.time, duplicate: false };
        if let Some(key) = used_as {
            state.keys.insert(key, Used { at: Instant::now(), digest, appended });
        }
        self.tail.dispatch(&[stored]);
        Ok(appended)
    }
}

impl State {
    fn store(&mut self, draft: Draft, lineage: &Lineage) -> Arc<Stored> {
        let offset = self.head + 1;
        let channel = self.channels.entry(draft.channel.clone()).or_default();
        let stored = Stored::new(Message {
            id: lineage.id(offset),
            prev: channel.last.map(|last| lineage.id(last)),
            channel: draft.channel,
            time: clock::now(),
            from: draft.from,
            body: draft.body,
            key: draft.key,
        });
        channel.last = Some(offset);
        channel.offsets.push(offset);
        self.head = offset;
        self.log.insert(offset, Arc::clone(&stored));
        if self.log.len() > MEMORY_MESSAGES
            && let Some((_, oldest)) = self.log.pop_first()
            && let Some(channel) = self.channels.get_mut(&oldest.message.channel)
        {
            channel.drop_up_to(&oldest);
        }
        stored
    }
}

impl Channel {
    fn drop_up_to(&mut self, gone: &Stored) {
        self.floor = gone.offset();
        self.floor_time = Some(gone.message.time);
        self.offsets.drain(..self.offsets.partition_point(|offset| *offset <= gone.offset()));
    }
}

impl Engine for Memory {
    fn append(&self, draft: Draft) -> BoxFuture<'_, Result<Appended, AppendError>> {
        async move { self.append_now(draft) }.boxed()
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Slice, ReadError>> {
        async move {
            let state = self.state();
            let Some(channel) = state.channels.get(&query.channel) else { return Ok(Slice::default()) };
            let mut slice = Slice { floor: channel.floor, floor_time: channel.floor_time, ..Slice::default() };
            let from = channel.offsets.partition_point(|offset| *offset <= query.after);
            let to = channel.offsets.partition_point(|offset| *offset <= query.up_to);
            let mut room = query.bytes;
            for offset in channel.offsets.get(from..to).unwrap_or_default() {
                let stored = &state.log[offset];
                if slice.messages.len() == query.limit || (room < stored.weight() && !slice.messages.is_empty()) {
                    slice.more = true;
                    break;
                }
                room = room.saturating_sub(stored.weight());
                slice.messages.push(Arc::clone(stored));
            }
            Ok(slice)
        }
        .boxed()
    }

    fn offsets(
        &self,
        channel: ChannelName,
        up_to: Offset,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Offset>, ReadError>> {
        async move {
            let state = self.state();
            let all = state.channels.get(&channel).map(|channel| channel.offsets.as_slice()).unwrap_or_default();
            let end = all.partition_point(|offset| *offset <= up_to);
            Ok(all[end.saturating_sub(limit)..end].to_vec())
        }
        .boxed()
    }

    fn channels(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, ReadError>> {
        async move {
            let state = self.state();
            let mut last: Vec<Offset> =
                state.channels.values().filter_map(|c| c.offsets.last().copied()).filter(|o| *o > after).collect();
            last.sort_unstable_by(|a, b| b.cmp(a));
            Ok(last.iter().take(limit).map(|offset| Arc::clone(&state.log[offset])).collect())
        }
        .boxed()
    }

    fn trim(&self, channel: ChannelName, older_than: Time) -> BoxFuture<'_, Result<u64, AppendError>> {
        async move {
            let mut state = self.state();
            let State { channels, log, .. } = &mut *state;
            let Some(channel) = channels.get_mut(&channel) else { return Ok(0) };
            let gone: Vec<Offset> =
                channel.offsets.iter().copied().take_while(|o| log[o].message.time < older_than).collect();
            for offset in &gone {
                if let Some(stored) = log.remove(offset) {
                    channel.drop_up_to(&stored);
                }
            }
            Ok(gone.len() as u64)
        }
        .boxed()
    }

    fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move { self.state().closed = true }.boxed()
    }
}
