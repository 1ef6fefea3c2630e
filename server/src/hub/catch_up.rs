//! Reads the messages between a reader's position and the head of the log.

use super::{
    delivery::{Delivery, Position},
    log::Log,
    recent::{Share, in_order},
};
use crate::{
    engine::{Offset, Query, ReadError, Resolved, Slice, Stored},
    limits::{BATCH_BYTES, BEHIND_PACE},
    map::Map,
};
use app::wire::{ChannelName, Id, Missed, MissedReason, Time, limits::BEHIND_MOST};
use futures::{FutureExt, future::BoxFuture};
use std::{collections::VecDeque, sync::Arc};
use tokio::time::Instant;

/// A reader that is behind. It reads from memory or from the store.
///
/// A first visit, a reconnect and a reader that fell behind all use this loop. Messages are handed out in offset order
/// over all channels, so the position is one number. It never passes a message that was not handed out.
pub(super) struct CatchUp {
    log: Arc<Log>,
    channels: Arc<[ChannelName]>,
    position: Position,
    /// Deliveries that are handed out before all others.
    first: VecDeque<Delivery>,
    /// The floors that the reader was told of, or above which it began.
    told: Map<ChannelName, Offset>,
    /// The reader chose where to begin, and nothing was handed out yet. Messages that are trimmed before the first read
    /// do not count as missed. Messages that are trimmed after it do, even if they existed when the reader began.
    fresh: bool,
    /// The reader must still be told when it is up to date.
    owes_cursor: bool,
    /// The reader wants to be told when it is up to date.
    announced: bool,
    /// When the reader fell behind, or when it was last told how far behind it is.
    lagging: Option<Instant>,
    /// A read of the store in progress. It outlives a call that is dropped: a session that publishes without pause
    /// would otherwise restart the read at each frame.
    reading: Option<Gathering>,
}

/// Messages of all channels in `(position, head]`, some of them still being read.
struct Gathering {
    messages: Vec<Arc<Stored>>,
    /// Every channel was read completely up to this offset.
    complete: Offset,
    store: BoxFuture<'static, Result<Vec<(ChannelName, Slice)>, ReadError>>,
}

impl CatchUp {
    /// Continues reading at a position.
    pub(super) fn new(log: Arc<Log>, channels: Arc<[ChannelName]>, position: Position, announced: bool) -> Self {
        Self {
            log,
            channels,
            position,
            first: VecDeque::new(),
            told: Map::default(),
            fresh: false,
            owes_cursor: false,
            announced,
            lagging: None,
            reading: None,
        }
    }

    /// Tells the reader once when it is up to date.
    pub(super) fn announcing(mut self) -> Self {
        (self.owes_cursor, self.announced) = (true, true);
        self
    }

    /// Does not tell the reader when it is up to date.
    pub(super) fn unannounced(&mut self) {
        (self.owes_cursor, self.announced) = (false, false);
    }

    /// Begins at an offset that the reader chose.
    pub(super) fn begin_at(&mut self, offset: Offset) {
        self.position.at = offset;
        self.fresh = true;
    }

    /// Begins after the last message that the reader has.
    pub(super) fn begin_after(&mut self, id: Id) {
        match self.log.resolve(id) {
            Resolved::At(offset) => self.position.at = offset,
            Resolved::Missed { reason, resume } => {
                let to = self.log.cursor(resume);
                self.first.extend(self.channels.iter().map(|channel| {
                    Delivery::Missed(Missed { channel: channel.clone(), reason, from: id, to, to_time: None })
                }));
                self.begin_at(resume);
            }
        }
    }

    /// The reader's position.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// The next deliveries. Empty when the reader is up to date and was told so. Dropping the call loses nothing.
    pub(super) async fn next(&mut self, presence: bool) -> Result<Vec<Delivery>, ReadError> {
        let at = self.log.cursor(self.position.at);
        let lag = self.lag().await?;
        let mut ready = self.ready(self.log.recent.batch(), BATCH_BYTES).await?;
        // No await may follow: deliveries that were taken would be lost if the call is dropped.
        if let Some(ahead) = lag.filter(|_| !ready.is_empty()) {
            ready.insert(0, Delivery::Behind(at, ahead));
        }
        if presence && !self.owes_cursor {
            self.log.presence.tell(&self.channels, &mut self.position.seen, &mut ready);
        }
        Ok(ready)
    }

    /// The deliveries that can be handed out now. Ends with [`Delivery::Cursor`] the first time the reader is up to
    /// date.
    pub(super) async fn ready(&mut self, limit: usize, bytes: usize) -> Result<Vec<Delivery>, ReadError> {
        if !self.first.is_empty() {
            return Ok(self.first.drain(..).collect());
        }
        let head = self.log.head();
        let mut out = Vec::new();
        if self.position.at < head {
            self.collect(head, limit, bytes, &mut out).await?;
        }
        if self.owes_cursor && self.position.at >= head {
            self.owes_cursor = false;
            out.push(Delivery::Cursor(self.log.cursor(self.position.at)));
        }
        Ok(out)
    }

    /// Whether a message is left between the position and the head.
    pub(super) async fn has_more(&mut self) -> Result<bool, ReadError> {
        let head = self.log.head();
        if self.position.at >= head {
            return Ok(false);
        }
        for channel in &*self.channels {
            let left = match self.log.recent.share(channel, self.position.at, head, 1) {
                Share::Memory(found) => !found.is_empty(),
                Share::Store => !self
                    .log
                    .read(Query { channel: channel.clone(), after: self.position.at, up_to: head, limit: 1, bytes: 1 })
                    .await?
                    .messages
                    .is_empty(),
            };
            if left {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many messages the reader is behind. Returned at most every [`BEHIND_PACE`], until the reader is up to date.
    async fn lag(&mut self) -> Result<Option<u32>, ReadError> {
        let head = self.log.head();
        if self.position.at >= head {
            self.lagging = None;
            return Ok(None);
        }
        let since = *self.lagging.get_or_insert_with(Instant::now);
        if since.elapsed() < BEHIND_PACE {
            return Ok(None);
        }
        let mut ahead = 0;
        for channel in &*self.channels {
            ahead += self.log.engine.count(channel.clone(), self.position.at, head, BEHIND_MOST).await?;
        }
        self.lagging = Some(Instant::now());
        // A lag of at most one batch is not worth telling.
        if ahead as usize <= self.log.recent.batch() {
            return Ok(None);
        }
        self.owes_cursor = self.announced;
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
        // The position is unchanged up to this point, because the call may be dropped while it waits.
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
        self.position.advance(Position { at: reaches, ..self.position });
        out.extend(messages.into_iter().map(Delivery::Message));
        Ok(())
    }

    /// Takes the messages in memory, and begins to read the others from the store.
    fn gather(&self, head: Offset, limit: usize, bytes: usize) -> Gathering {
        let mut messages = Vec::new();
        let mut complete = head;
        let mut from_store = Vec::new();
        for channel in &*self.channels {
            match self.log.recent.share(channel, self.position.at, head, limit) {
                Share::Memory(found) => {
                    if let (true, Some(last)) = (found.len() == limit, found.last()) {
                        complete = complete.min(last.offset());
                    }
                    messages.extend(found);
                }
                Share::Store => from_store.push(channel.clone()),
            }
        }
        let (log, after) = (Arc::clone(&self.log), self.position.at);
        let store = if from_store.is_empty() {
            std::future::ready(Ok(Vec::new())).boxed()
        } else {
            async move {
                let mut slices = Vec::with_capacity(from_store.len());
                for channel in from_store {
                    let query = Query { channel: channel.clone(), after, up_to: head, limit, bytes };
                    let slice = log.read(query).await?;
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
        if floor > self.position.at && floor > told {
            self.told.insert(channel.clone(), floor);
            out.push(Delivery::Missed(Missed {
                channel,
                reason: MissedReason::Trimmed,
                from: self.log.cursor(self.position.at),
                to: self.log.cursor(floor),
                to_time: time,
            }));
        }
    }
}
