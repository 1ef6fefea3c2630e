use super::{
    Delivery, Hub,
    lane::Place,
    ring::{Share, in_order},
};
use crate::{
    engine::{Offset, ReadError, Resolved, Slice, Stored},
    limits::{BATCH_BYTES, BEHIND_PACE},
    map::Map,
};
use app::wire::{ChannelName, Id, Missed, MissedReason, Time, limits::BEHIND_MOST};
use futures::{FutureExt, future::BoxFuture};
use std::{collections::VecDeque, sync::Arc};
use tokio::time::Instant;

/// A reader that reads: what lies between its cursor and the dispatcher's head, from memory or from the store.
///
/// First visit, reconnect, catching up and a reader that fell behind are this one loop. Messages go out in offset
/// order over all channels, so the cursor is one number; it never passes a message that was not handed out.
pub(super) struct CatchUp {
    hub: Hub,
    channels: Arc<[ChannelName]>,
    cursor: Offset,
    /// To hand out before anything else.
    first: VecDeque<Delivery>,
    /// Floors the reader was told of (or began above).
    told: Map<ChannelName, Offset>,
    /// Nothing was handed out yet, and where to begin was the reader's choice: what is gone by the first look was
    /// not missed. What goes after it is, even if it was there when the reader came.
    fresh: bool,
    /// The reader has not yet been told that it is up to date.
    behind: bool,
    /// Whether it wants to be told at all.
    announced: bool,
    /// Since when it is behind, or was told how far.
    lagging: Option<Instant>,
    /// A read of the store under way. It outlives a call that was given up: else a session that publishes
    /// without pause would begin it anew at each frame.
    reading: Option<Gathering>,
    /// What it was told of who is there.
    seen: Option<u64>,
}

/// Messages of all channels in `(cursor, head]`, some of them still being read.
struct Gathering {
    messages: Vec<Arc<Stored>>,
    /// Up to here every channel was read completely.
    complete: Offset,
    store: BoxFuture<'static, Result<Vec<(ChannelName, Slice)>, ReadError>>,
}

impl CatchUp {
    /// From a place on, everything before it being known.
    pub(super) fn from(hub: Hub, channels: Arc<[ChannelName]>, place: Place, announced: bool) -> Self {
        Self {
            hub,
            channels,
            cursor: place.at,
            first: VecDeque::new(),
            told: Map::default(),
            fresh: false,
            behind: false,
            announced,
            lagging: None,
            reading: None,
            seen: place.seen,
        }
    }

    /// The reader is told once that it is up to date, when it is.
    pub(super) fn announcing(mut self) -> Self {
        (self.behind, self.announced) = (true, true);
        self
    }

    /// The reader does not want to be told.
    pub(super) fn unannounced(&mut self) {
        (self.behind, self.announced) = (false, false);
    }

    /// Begins where the reader chose to.
    pub(super) fn begin_at(&mut self, cursor: Offset) {
        self.cursor = cursor;
        self.fresh = true;
    }

    /// Begins after the last message the reader has.
    pub(super) fn begin_after(&mut self, id: Id, head: Offset) {
        match self.hub.0.engine.lineage().resolve(id, head) {
            Resolved::At(offset) => self.cursor = offset,
            Resolved::Missed { reason, resume } => {
                let to = self.hub.cursor(resume);
                self.first.extend(self.channels.iter().map(|channel| {
                    Delivery::Missed(Missed { channel: channel.clone(), reason, from: id, to, to_time: None })
                }));
                self.begin_at(resume);
            }
        }
    }

    /// Where the reader is: everything up to here was handed out.
    pub(super) fn place(&self) -> Place {
        Place { at: self.cursor, seen: self.seen }
    }

    /// What comes next; empty when the reader is up to date, and was told so. A call that is given up loses nothing.
    pub(super) async fn next(&mut self, presence: bool) -> Result<Vec<Delivery>, ReadError> {
        let at = self.hub.cursor(self.cursor);
        let lag = self.lag().await?;
        let mut ready = self.ready(self.hub.0.ring.batch(), BATCH_BYTES).await?;
        // From here on nothing waits: what was taken is handed out.
        if let Some(ahead) = lag.filter(|_| !ready.is_empty()) {
            ready.insert(0, Delivery::Behind(at, ahead));
        }
        if presence && !self.behind {
            self.hub.0.attendance.tell(&self.channels, &mut self.seen, &mut ready);
        }
        Ok(ready)
    }

    /// What can be handed out now; ends with [`Delivery::Cursor`] the first time the reader is up to date.
    pub(super) async fn ready(&mut self, limit: usize, bytes: usize) -> Result<Vec<Delivery>, ReadError> {
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
            out.push(Delivery::Cursor(self.hub.cursor(self.cursor)));
        }
        Ok(out)
    }

    /// Whether a message is left between the cursor and the head.
    pub(super) async fn has_more(&mut self) -> Result<bool, ReadError> {
        let head = self.hub.head();
        if self.cursor >= head {
            return Ok(false);
        }
        for channel in &*self.channels {
            let left = match self.hub.0.ring.share(channel, self.cursor, head, 1) {
                Share::Memory(found) => !found.is_empty(),
                Share::Store => !self.hub.read(channel, self.cursor, head, 1, 1).await?.messages.is_empty(),
            };
            if left {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How far behind a reader is that does not keep up: told now and then, until it is up to date.
    async fn lag(&mut self) -> Result<Option<u32>, ReadError> {
        let head = self.hub.head();
        if self.cursor >= head {
            self.lagging = None;
            return Ok(None);
        }
        let since = *self.lagging.get_or_insert_with(Instant::now);
        if since.elapsed() < BEHIND_PACE {
            return Ok(None);
        }
        let mut ahead = 0;
        for channel in &*self.channels {
            ahead += self.hub.0.engine.count(channel.clone(), self.cursor, head, BEHIND_MOST).await?;
        }
        self.lagging = Some(Instant::now());
        // What one batch brings is not worth a word.
        if ahead as usize <= self.hub.0.ring.batch() {
            return Ok(None);
        }
        self.behind = self.announced;
        Ok(Some(ahead.min(BEHIND_MOST)))
    }

    async fn collect(
        &mut self,
        head: Offset,
        limit: usize,
        bytes: usize,
        out: &mut Vec<Delivery>,
    ) -> Result<(), ReadError> {
        if self.reading.is_none() {
            let gathering = self.gather(head, limit, bytes);
            self.reading = Some(gathering);
        }
        let Some(reading) = &mut self.reading else { return Ok(()) };
        let slices = (&mut reading.store).await;
        // Nothing of the reader's state changed before here: this may have been given up while it waited.
        let Some(Gathering { mut messages, mut complete, .. }) = self.reading.take() else { return Ok(()) };
        for (channel, slice) in slices? {
            if let (true, Some(last)) = (slice.more, slice.messages.last()) {
                complete = complete.min(last.offset());
            }
            if self.fresh {
                self.told.insert(channel, slice.floor);
            } else {
                self.tell_floor(channel, slice.floor, slice.floor_time, out);
            }
            messages.extend(slice.messages);
        }
        self.fresh = false;
        let (messages, reaches) = in_order(messages, complete, limit, bytes);
        self.cursor = reaches;
        out.extend(messages.into_iter().map(Delivery::Message));
        Ok(())
    }

    /// Takes what memory has, and begins to read the rest.
    fn gather(&self, head: Offset, limit: usize, bytes: usize) -> Gathering {
        let mut messages = Vec::new();
        let mut complete = head;
        let mut from_store = Vec::new();
        for channel in &*self.channels {
            match self.hub.0.ring.share(channel, self.cursor, head, limit) {
                Share::Memory(found) => {
                    if let (true, Some(last)) = (found.len() == limit, found.last()) {
                        complete = complete.min(last.offset());
                    }
                    messages.extend(found);
                }
                Share::Store => from_store.push(channel.clone()),
            }
        }
        let (hub, cursor) = (self.hub.clone(), self.cursor);
        let store = if from_store.is_empty() {
            std::future::ready(Ok(Vec::new())).boxed()
        } else {
            async move {
                let mut slices = Vec::with_capacity(from_store.len());
                for channel in from_store {
                    let slice = hub.read(&channel, cursor, head, limit, bytes).await?;
                    slices.push((channel, slice));
                }
                Ok(slices)
            }
            .boxed()
        };
        Gathering { messages, complete, store }
    }

    fn tell_floor(&mut self, channel: ChannelName, floor: Offset, time: Option<Time>, out: &mut Vec<Delivery>) {
        let told = self.told.get(&channel).copied().unwrap_or(0);
        if floor > self.cursor && floor > told {
            self.told.insert(channel.clone(), floor);
            out.push(Delivery::Missed(Missed {
                channel,
                reason: MissedReason::Trimmed,
                from: self.hub.cursor(self.cursor),
                to: self.hub.cursor(floor),
                to_time: time,
            }));
        }
    }
}
