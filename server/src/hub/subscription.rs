use super::{
    Hub,
    ring::{Share, Watch},
};
use crate::{
    engine::{Offset, ReadError, Resolved, Stored},
    limits::{BATCH_BYTES, BATCH_MESSAGES, HEARTBEAT},
};
use app::wire::{ChannelName, Id, Missed, MissedReason};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use tokio::time::{Instant, sleep_until};

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes next.
    Now,
    /// After this cursor.
    After(Id),
    /// With the oldest message kept.
    Earliest,
    /// With the newest so many.
    Last(usize),
}

/// What a subscription hands out.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The next message.
    Message(Arc<Stored>),
    /// Messages before the next one are gone.
    Missed(Missed),
    /// Everything up to here was handed out: after catching up, and as heartbeat.
    Cursor(Id),
}

/// One reader's cursor over a set of channels.
///
/// First visit, reconnect, catching up and a reader that fell behind are one loop: read what lies between
/// the cursor and the dispatcher's head, from memory or from the store, and wait when there is nothing.
/// Messages go out in offset order over all channels, so the cursor is one number; it never passes a
/// message that was not handed out.
pub struct Subscription {
    hub: Hub,
    watch: Watch,
    channels: Vec<ChannelName>,
    cursor: Offset,
    /// To hand out before anything else.
    first: VecDeque<Delivery>,
    /// Floors the reader was told of (or chose to begin above).
    told: HashMap<ChannelName, Offset>,
    /// The reader has not yet been told that it is up to date.
    behind: bool,
    heartbeat: Instant,
}

impl Subscription {
    pub(super) async fn open(hub: Hub, channels: Vec<ChannelName>, start: Start) -> Result<Self, ReadError> {
        // Registered first, then the head: what is dispatched in between is woken for or below the head.
        let watch = hub.ring.watch(&channels);
        let head = hub.head();
        let mut this = Self {
            cursor: head,
            first: VecDeque::new(),
            told: HashMap::new(),
            behind: true,
            heartbeat: Instant::now() + HEARTBEAT,
            hub,
            watch,
            channels,
        };
        match start {
            Start::Now => {}
            Start::After(id) => this.begin_after(id, head),
            Start::Earliest => this.begin_at(0, head),
            Start::Last(count) => {
                let (newest, _) = this.hub.newest(&this.channels, head, count).await?;
                this.begin_at(newest.first().map_or(head, |first| first - 1), head);
            }
        }
        Ok(this)
    }

    /// Begins where the reader chose to: what is gone below was not missed.
    fn begin_at(&mut self, cursor: Offset, head: Offset) {
        self.cursor = cursor;
        self.told = self.channels.iter().map(|channel| (channel.clone(), head)).collect();
    }

    fn begin_after(&mut self, id: Id, head: Offset) {
        match self.hub.engine.lineage().resolve(id, head) {
            Resolved::At(offset) => self.cursor = offset,
            Resolved::Missed { reason, resume } => {
                let to = self.hub.cursor(resume);
                self.first.extend(self.channels.iter().map(|channel| {
                    Delivery::Missed(Missed { channel: channel.clone(), reason, from: id, to, to_time: None })
                }));
                self.begin_at(resume, head);
            }
        }
    }

    /// Does not say when the reader has caught up: for clients to whom every frame is a message.
    #[must_use]
    pub fn unannounced(mut self) -> Self {
        self.behind = false;
        self
    }

    /// Where the reader is: everything up to here was handed out.
    pub fn cursor(&self) -> Id {
        self.hub.cursor(self.cursor)
    }

    /// Replaces the set of channels. New ones begin after the cursor this returns; what the old ones have up
    /// to there is still handed out by the reads before.
    pub fn replace(&mut self, channels: Vec<ChannelName>) -> Id {
        let old = std::mem::replace(&mut self.watch, self.hub.ring.watch(&channels));
        drop(old);
        self.channels = channels;
        self.cursor()
    }

    /// What comes next, waiting for it if need be; a heartbeat when nothing comes for a while.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next(&mut self) -> Result<Vec<Delivery>, ReadError> {
        loop {
            let ready = self.ready(BATCH_MESSAGES, BATCH_BYTES).await?;
            if !ready.is_empty() {
                self.heartbeat = Instant::now() + HEARTBEAT;
                return Ok(ready);
            }
            tokio::select! {
                () = self.watch.woken() => {}
                () = sleep_until(self.heartbeat) => {
                    self.heartbeat = Instant::now() + HEARTBEAT;
                    // Only now may the cursor pass what other channels got: nothing of ours lies between.
                    let beat = self.ready(BATCH_MESSAGES, BATCH_BYTES).await?;
                    return Ok(if beat.is_empty() { vec![Delivery::Cursor(self.cursor())] } else { beat });
                }
            }
        }
    }

    /// What can be handed out now, without waiting for anything new; ends with [`Delivery::Cursor`] the first
    /// time the reader is up to date.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ready(&mut self, limit: usize, bytes: usize) -> Result<Vec<Delivery>, ReadError> {
        if !self.first.is_empty() {
            return Ok(self.first.drain(..).collect());
        }
        let head = self.hub.head();
        let mut out = Vec::new();
        if self.cursor < head {
            self.collect(head, limit, bytes, &mut out).await?;
        }
        if self.behind && self.cursor >= head {
            self.behind = false;
            out.push(Delivery::Cursor(self.cursor()));
        }
        Ok(out)
    }

    /// Whether a message is left between the cursor and the head.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn has_more(&mut self) -> Result<bool, ReadError> {
        for channel in &self.channels {
            let head = self.hub.head();
            let left = match self.hub.ring.share(channel, self.cursor, head, 1) {
                Share::Memory(found) => !found.is_empty(),
                Share::Store => !self.hub.read(channel, self.cursor, head, 1, 1).await?.messages.is_empty(),
            };
            if left {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until something was dispatched to one of the channels.
    pub async fn wait(&self) {
        self.watch.woken().await;
    }

    async fn collect(
        &mut self,
        head: Offset,
        limit: usize,
        bytes: usize,
        out: &mut Vec<Delivery>,
    ) -> Result<(), ReadError> {
        let mut messages = Vec::new();
        let mut floors = Vec::new();
        // Up to here every channel was read completely.
        let mut complete = head;
        for channel in self.channels.clone() {
            let share = self.hub.ring.share(&channel, self.cursor, head, limit);
            let (found, more) = match share {
                Share::Memory(found) => {
                    let more = found.len() == limit;
                    (found, more)
                }
                Share::Store => {
                    let slice = self.hub.read(&channel, self.cursor, head, limit, bytes).await?;
                    floors.push((channel, slice.floor, slice.floor_time));
                    (slice.messages, slice.more)
                }
            };
            if let (true, Some(last)) = (more, found.last()) {
                complete = complete.min(last.offset());
            }
            messages.extend(found);
        }
        // Nothing of the reader's state changes before here: this may be cancelled while it waits.
        for (channel, floor, time) in floors {
            self.tell_floor(channel, floor, time, out);
        }
        messages.sort_unstable_by_key(|stored| stored.offset());
        messages.retain(|stored| stored.offset() <= complete);
        let fits = fitting(&messages, limit, bytes);
        self.cursor = if fits < messages.len() { messages[fits - 1].offset() } else { complete };
        out.extend(messages.into_iter().take(fits).map(Delivery::Message));
        Ok(())
    }

    fn tell_floor(
        &mut self,
        channel: ChannelName,
        floor: Offset,
        time: Option<app::wire::Time>,
        out: &mut Vec<Delivery>,
    ) {
        let told = self.told.get(&channel).copied().unwrap_or(0);
        if floor > self.cursor && floor > told {
            self.told.insert(channel.clone(), floor);
            out.push(Delivery::Missed(Missed {
                channel,
                reason: MissedReason::Trimmed,
                from: self.cursor(),
                to: self.hub.cursor(floor),
                to_time: time,
            }));
        }
    }
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
