use super::{
    Hub, Start,
    presence::{Lease, Seen},
    ring::{Share, Watch},
};
use crate::{
    engine::{Offset, ReadError, Resolved, Slice, Stored},
    limits::{BATCH_BYTES, BEHIND_PACE, HEARTBEAT},
};
use app::wire::{ChannelName, Id, Missed, MissedReason, Presence, Sender, Time, Typing, limits::BEHIND_MOST};
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use tokio::time::{Instant, sleep_until};

/// What a subscription hands out.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The next message.
    Message(Arc<Stored>),
    /// Messages before the next one are gone.
    Missed(Missed),
    /// Everything up to here was handed out: after catching up, and as heartbeat.
    Cursor(Id),
    /// Everything up to here was handed out, and so many messages are not, yet.
    Behind(Id, u32),
    /// Who came and who went.
    Presence(Presence),
    /// Who is writing.
    Typing(Typing),
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
    /// Floors the reader was told of (or began above).
    told: HashMap<ChannelName, Offset>,
    /// Nothing was handed out yet, and where to begin was the reader's choice: what is gone by the first look was
    /// not missed. What goes after it is, even if it was there when the reader came.
    fresh: bool,
    /// The reader has not yet been told that it is up to date.
    behind: bool,
    /// Whether it wants to be told at all.
    announced: bool,
    /// Since when it is behind, or was told how far.
    lagging: Option<Instant>,
    heartbeat: Instant,
    /// A read of the store under way. It outlives a call that was given up: else a session that publishes
    /// without pause would begin it anew at each frame.
    reading: Option<Gathering>,
    /// Its place in the channels.
    lease: Option<(Lease, Sender)>,
    /// What it was told of who is there, if it wants to know.
    seen: Option<Seen>,
}

/// Messages of all channels in `(cursor, head]`, some of them still being read.
struct Gathering {
    messages: Vec<Arc<Stored>>,
    /// Up to here every channel was read completely.
    complete: Offset,
    store: BoxFuture<'static, Result<Vec<(ChannelName, Slice)>, ReadError>>,
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
            fresh: false,
            behind: true,
            announced: true,
            lagging: None,
            heartbeat: Instant::now() + HEARTBEAT,
            reading: None,
            lease: None,
            seen: None,
            hub,
            watch,
            channels,
        };
        match start {
            Start::Now => {}
            Start::After(id) => this.begin_after(id, head),
            Start::Earliest => this.begin_at(0),
            Start::Last(count) => {
                let (newest, _) = this.hub.newest(&this.channels, head, count).await?;
                this.begin_at(newest.first().map_or(head, |first| first - 1));
            }
        }
        Ok(this)
    }

    fn begin_at(&mut self, cursor: Offset) {
        self.cursor = cursor;
        self.fresh = true;
    }

    fn begin_after(&mut self, id: Id, head: Offset) {
        match self.hub.engine.lineage().resolve(id, head) {
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

    /// Does not say when the reader has caught up: for clients to whom every frame is a message.
    #[must_use]
    pub fn unannounced(mut self) -> Self {
        self.behind = false;
        self.announced = false;
        self
    }

    /// The reader is present in its channels as `sender`, while this lives.
    #[must_use]
    pub fn attended_by(mut self, sender: Sender) -> Self {
        self.lease = Some((self.hub.attendance.enter(&self.channels, sender.clone()), sender));
        self
    }

    /// The reader is told who comes and goes.
    #[must_use]
    pub fn with_presence(mut self) -> Self {
        self.seen = Some(Seen::default());
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
        if let Some((lease, sender)) = self.lease.take() {
            // Entered first, left afterwards: who is in both never left.
            let entered = self.hub.attendance.enter(&channels, sender.clone());
            drop(lease);
            self.lease = Some((entered, sender));
        }
        if self.seen.is_some() {
            self.seen = Some(Seen::default());
        }
        self.channels = channels;
        self.reading = None;
        self.cursor()
    }

    /// What comes next, waiting for it if need be; a heartbeat when nothing comes for a while. A call that is
    /// given up loses nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next(&mut self) -> Result<Vec<Delivery>, ReadError> {
        loop {
            let at = self.cursor();
            let lag = self.lag().await?;
            let mut ready = self.ready(self.hub.ring.batch(), BATCH_BYTES).await?;
            // From here on nothing waits: what was taken is handed out.
            if let Some(ahead) = lag.filter(|_| !ready.is_empty()) {
                ready.insert(0, Delivery::Behind(at, ahead));
            }
            self.tell_presence(&mut ready);
            if !ready.is_empty() {
                self.heartbeat = Instant::now() + HEARTBEAT;
                return Ok(ready);
            }
            tokio::select! {
                () = self.watch.woken() => {}
                () = sleep_until(self.heartbeat) => {
                    // Only now may the cursor pass what other channels got: nothing of ours lies between.
                    let beat = self.ready(self.hub.ring.batch(), BATCH_BYTES).await?;
                    self.heartbeat = Instant::now() + HEARTBEAT;
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
    pub async fn wait(&mut self) {
        self.watch.woken().await;
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
        for channel in &self.channels {
            ahead += self.hub.engine.count(channel.clone(), self.cursor, head, BEHIND_MOST).await?;
        }
        self.lagging = Some(Instant::now());
        // What one batch brings is not worth a word.
        if ahead as usize <= self.hub.ring.batch() {
            return Ok(None);
        }
        self.behind = self.announced;
        Ok(Some(ahead.min(BEHIND_MOST)))
    }

    fn tell_presence(&mut self, ready: &mut Vec<Delivery>) {
        if let Some(seen) = self.seen.as_mut().filter(|_| !self.behind) {
            let (presence, typing) = self.hub.attendance.news(&self.channels, seen);
            ready.extend(presence.into_iter().map(Delivery::Presence));
            ready.extend(typing.into_iter().map(Delivery::Typing));
        }
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
        messages.sort_unstable_by_key(|stored| stored.offset());
        messages.retain(|stored| stored.offset() <= complete);
        let fits = fitting(&messages, limit, bytes);
        self.cursor = if fits < messages.len() { messages[fits - 1].offset() } else { complete };
        out.extend(messages.into_iter().take(fits).map(Delivery::Message));
        Ok(())
    }

    /// Takes what memory has, and begins to read the rest.
    fn gather(&self, head: Offset, limit: usize, bytes: usize) -> Gathering {
        let mut messages = Vec::new();
        let mut complete = head;
        let mut from_store = Vec::new();
        for channel in &self.channels {
            match self.hub.ring.share(channel, self.cursor, head, limit) {
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
