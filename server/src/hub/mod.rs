//! The hub: who is listening on this node, and the recent end of the log in memory.
//!
//! - [`ring`]: the dispatcher and what it keeps: recent messages, who watches, the pace of channels.
//! - [`subscription`]: one reader: it catches up by reading, and then sits in a lane.
//! - [`catch_up`]: reading what lies between a reader's cursor and the end of the log.
//! - [`lane`]: readers that are up to date, to whom what comes is pushed; [`pump`]: what drives the lanes.
//! - [`presence`]: who is in a channel and who is writing; leases, never stored.
//!
//! The hub never sees a socket, and holds no lock while it waits.

mod catch_up;
mod lane;
mod pace;
mod presence;
mod pump;
mod ring;
#[cfg(test)]
mod simulation;
mod subscription;

pub use app::wire::Start;
pub use lane::{Chunk, Form, Outlet, Then, Way};
pub use subscription::{Delivery, Ended, Subscription};

use crate::{
    clock,
    engine::{AppendError, Appended, Draft, Engine, Offset, Query, ReadError, Resolved, Stored, Tail},
    limits::{ANSWER_BYTES, HISTORY_CHUNK, KEEPING_PAUSE, LIST_CHANNELS, POLL_LEASE, RETURN_AFTER},
};
use app::wire::{ChannelEntry, ChannelName, Id, Missed, Presence, Sender};
use presence::Attendance;
use pump::Lanes;
use ring::{Bounds, Ring};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Who is listening here, and the way to the log.
#[derive(Clone)]
pub struct Hub(Arc<Parts>);

struct Parts {
    engine: Arc<dyn Engine>,
    ring: Arc<Ring>,
    lanes: Arc<Lanes>,
    attendance: Arc<Attendance>,
    /// The server stops; readers are to come back spread over this time.
    closing: watch::Sender<Option<Duration>>,
}

/// Where a page of history ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// With the message before this one.
    Before(Id),
    /// With this one.
    At(Id),
}

/// A page of history.
#[derive(Debug, Default)]
pub struct History {
    /// Oldest first.
    pub messages: Vec<Arc<Stored>>,
    /// Older ones are kept.
    pub more: bool,
    /// The cursor `before` was not of this log.
    pub missed: Vec<Missed>,
}

impl Hub {
    /// Builds the hub around an engine; `open` gets the tail the engine must feed.
    ///
    /// # Errors
    /// What `open` says.
    pub fn open<E>(open: impl FnOnce(Arc<dyn Tail>) -> Result<Arc<dyn Engine>, E>) -> Result<Self, E> {
        Self::open_with(Bounds::default(), open)
    }

    fn open_with<E>(bounds: Bounds, open: impl FnOnce(Arc<dyn Tail>) -> Result<Arc<dyn Engine>, E>) -> Result<Self, E> {
        let lanes = Arc::new(Lanes::new());
        let ring = Arc::new(Ring::new(bounds, Arc::clone(&lanes)));
        let engine = open(Arc::clone(&ring) as Arc<dyn Tail>)?;
        let closing = watch::Sender::new(None);
        Ok(Self(Arc::new(Parts { engine, ring, lanes, attendance: Arc::default(), closing })))
    }

    /// Brings messages to readers that are up to date, drops what need not be kept and tells of comings and goings,
    /// until the server stops.
    pub async fn keep(self) {
        tokio::select! {
            () = self.0.attendance.keep(&self.0.ring) => {}
            () = self.trim() => {}
            () = pump::run(&self) => {}
        }
    }

    /// A slice at a time, so that publishers wait for one of them at most.
    async fn trim(&self) {
        loop {
            match self.0.engine.trim().await {
                Ok(0) => tokio::time::sleep(KEEPING_PAUSE).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "what need not be kept could not be dropped");
                    tokio::time::sleep(KEEPING_PAUSE * 30).await;
                }
            }
        }
    }

    /// Stores a message; resolves when it is durable and this node's readers can read it.
    ///
    /// # Errors
    /// Why it was not stored.
    pub async fn publish(&self, draft: impl Into<Box<Draft>>) -> Result<Appended, AppendError> {
        let draft = draft.into();
        let attendance = &self.0.attendance;
        // Whoever begins to write after this writes something else.
        let typist = attendance.has_typers().then(|| (draft.channel.clone(), draft.from.clone()));
        let appended = self.0.engine.append(draft).await?;
        // Who has said it is no longer writing it.
        if let Some((channel, from)) = typist {
            attendance.typing(&channel, &from, false);
        }
        Ok(appended)
    }

    /// Brings what is new to channels with few readers right away, not when the pumps get to it.
    pub fn hurry(&self) {
        self.0.lanes.hurry(self);
    }

    /// Somebody writes in a channel, or does so no more.
    pub fn typing(&self, channel: &ChannelName, from: &Sender, on: bool) {
        self.0.attendance.typing(channel, from, on);
    }

    /// Who is in a channel, if anybody is.
    pub fn here(&self, channel: &ChannelName) -> Option<Presence> {
        self.0.attendance.whole(channel)
    }

    /// A poll that goes on: whoever polls is present until some time after it.
    pub fn polled(&self, channels: &[ChannelName], from: &Sender, wait: Duration) {
        self.0.attendance.renew(channels, from, wait + POLL_LEASE);
    }

    /// Begins to listen. What comes after this call is not missed, whatever `start` says.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn subscribe(&self, channels: Vec<ChannelName>, start: Start) -> Result<Subscription, ReadError> {
        Subscription::open(self.clone(), channels, start).await
    }

    /// The id of the `count`th message after `id` in a channel, or of its last one if there are fewer.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn some_after(&self, channel: &ChannelName, id: Id, count: usize) -> Result<Option<Id>, ReadError> {
        let head = self.head();
        let Resolved::At(offset) = self.0.engine.lineage().resolve(id, head) else { return Ok(None) };
        let slice = self.read(channel, offset.saturating_sub(1), head, count, ANSWER_BYTES).await?;
        Ok(slice.messages.last().map(|stored| stored.message.id))
    }

    /// Whether at most `count` messages of a channel come after `id`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_near(&self, channel: &ChannelName, id: Id, count: usize) -> Result<bool, ReadError> {
        let (newest, more) = self.newest(std::slice::from_ref(channel), self.head(), count).await?;
        Ok(!more || newest.first().is_none_or(|first| *first <= id.offset))
    }

    /// The newest `limit` messages up to a place, over a set of channels.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn history(&self, channels: &[ChannelName], until: Until, limit: usize) -> Result<History, ReadError> {
        let head = self.head();
        let (before, back) = match until {
            Until::Before(id) => (id, 1),
            Until::At(id) => (id, 0),
        };
        let (up_to, missed) = match self.0.engine.lineage().resolve(before, head) {
            Resolved::At(offset) => (offset.saturating_sub(back), Vec::new()),
            Resolved::Missed { reason, resume } => {
                let to = self.cursor(resume);
                let tell = |channel: &ChannelName| Missed {
                    channel: channel.clone(),
                    reason,
                    from: before,
                    to,
                    to_time: None,
                };
                (if resume == 0 { head } else { resume }, channels.iter().map(tell).collect())
            }
        };
        let (mut offsets, mut more) = self.newest(channels, up_to, limit).await?;
        // Newest first, a chunk at a time: what does not fit into one answer is older, and `more`.
        let mut messages: Vec<Arc<Stored>> = Vec::new();
        let mut bytes = 0;
        while let Some(last) = offsets.last().copied() {
            let chunk = offsets.split_off(offsets.len().saturating_sub(HISTORY_CHUNK));
            let first = chunk.first().copied().unwrap_or(last);
            let mut found = Vec::with_capacity(chunk.len());
            for channel in channels {
                found.extend(self.read(channel, first - 1, last, chunk.len(), usize::MAX).await?.messages);
            }
            found.sort_unstable_by_key(|stored| stored.offset());
            for stored in found.into_iter().rev() {
                if bytes > 0 && bytes + stored.weight() > ANSWER_BYTES {
                    messages.reverse();
                    return Ok(History { messages, more: true, missed });
                }
                bytes += stored.weight();
                messages.push(stored);
            }
        }
        messages.reverse();
        more &= !messages.is_empty();
        Ok(History { messages, more, missed })
    }

    /// The offsets of the newest `limit` messages up to `up_to`, oldest first, and whether older ones are kept.
    async fn newest(
        &self,
        channels: &[ChannelName],
        up_to: Offset,
        limit: usize,
    ) -> Result<(Vec<Offset>, bool), ReadError> {
        let mut offsets = Vec::new();
        for channel in channels {
            offsets.extend(self.0.engine.offsets(channel.clone(), up_to, limit + 1).await?);
        }
        offsets.sort_unstable();
        let more = offsets.len() > limit;
        let newest = offsets.split_off(offsets.len().saturating_sub(limit));
        Ok((newest, more))
    }

    async fn read(
        &self,
        channel: &ChannelName,
        after: Offset,
        up_to: Offset,
        limit: usize,
        bytes: usize,
    ) -> Result<crate::engine::Slice, ReadError> {
        self.0.engine.read(Query { channel: channel.clone(), after, up_to, limit, bytes }).await
    }

    /// The channels with the newest messages, newest first, of those that changed past `after`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn channels(&self, after: Offset) -> Result<Vec<ChannelEntry>, ReadError> {
        let last = self.0.engine.channels(after, LIST_CHANNELS).await?;
        let now = clock::now();
        Ok(last
            .iter()
            .map(|stored| {
                let channel = stored.message.channel.clone();
                let (pace, here) = (self.0.ring.pace(&channel, now), self.0.attendance.here(&channel));
                ChannelEntry { channel, last: stored.message.clone(), pace, here }
            })
            .collect())
    }

    /// Waits until any channel has a message past `after`.
    pub async fn changed(&self, after: Offset) {
        self.0.ring.passed(after).await;
    }

    /// The last offset dispatched: everything up to it can be read.
    pub fn head(&self) -> Offset {
        self.0.ring.head()
    }

    /// An offset as a cursor.
    pub fn cursor(&self, offset: Offset) -> Id {
        self.0.engine.lineage().cursor(offset)
    }

    /// Tells every connection to say goodbye, and the engine to finish what it took. Readers are to come back
    /// spread over `spread`.
    pub async fn close(&self, spread: Duration) {
        self.0.closing.send_replace(Some(spread));
        self.0.engine.close().await;
    }

    /// Whether the server stops.
    pub fn is_closing(&self) -> bool {
        self.0.closing.borrow().is_some()
    }

    /// Resolves when the server stops.
    pub async fn closed(&self) {
        let mut closing = self.0.closing.subscribe();
        let _ = closing.wait_for(Option::is_some).await;
    }

    /// When one reader is to come back, if the server stops: not all at once.
    pub fn return_after(&self) -> Option<Duration> {
        let spread = (*self.0.closing.borrow())?;
        let share = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
        Some(RETURN_AFTER + spread.mul_f64(share))
    }
}
