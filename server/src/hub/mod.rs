//! The hub: who is listening on this node, and the recent end of the log in memory.
//!
//! - [`recent`]: the dispatcher; it keeps recent messages and wakes who watches. [`rate`]: how busy a channel is.
//! - [`log`]: what a reader needs: the engine, the recent log and presence. [`history`]: pages of old messages.
//! - [`subscription`]: one reader; behind, it reads ([`catch_up`]), at the head it sits in a [`lane`].
//! - [`fanout`]: the workers that drive the lanes, each [`round`] writing to every member's [`sink`].
//! - [`presence`]: who is in a channel and who is typing; leases, never stored.
//!
//! The hub never sees a socket, and holds no lock while it waits.

mod catch_up;
mod delivery;
mod fanout;
mod history;
mod lane;
mod lane_key;
mod log;
mod presence;
mod rate;
mod recent;
mod round;
#[cfg(test)]
mod simulation;
mod sink;
mod subscription;
#[cfg(test)]
mod tests;

pub use app::wire::Start;
pub use delivery::{Delivery, Ended};
pub use history::{History, Until};
pub use sink::{Chunk, Encoder, PushResult, Reader, Sink};
pub use subscription::Subscription;

use crate::{
    clock,
    engine::{AppendError, Appended, Dispatch, Draft, Engine, Offset, ReadError},
    limits::{KEEPING_PAUSE, LIST_CHANNELS, POLL_LEASE, TRIM_RETRY},
};
use app::wire::{ChannelEntry, ChannelName, Id, PresenceUpdate, Sender};
use fanout::Fanout;
use log::Log;
use recent::{Bounds, RecentLog};
use std::{sync::Arc, time::Duration};

/// Who is listening here, and the way to the log.
#[derive(Clone)]
pub struct Hub {
    fanout: Arc<Fanout>,
}

impl Hub {
    /// Builds the hub around an engine; `open` gets the dispatcher that the engine must feed.
    ///
    /// # Errors
    /// Returns the error of `open`.
    pub fn open<E>(open: impl FnOnce(Arc<dyn Dispatch>) -> Result<Arc<dyn Engine>, E>) -> Result<Self, E> {
        Self::open_with(Bounds::default(), open)
    }

    fn open_with<E>(
        bounds: Bounds,
        open: impl FnOnce(Arc<dyn Dispatch>) -> Result<Arc<dyn Engine>, E>,
    ) -> Result<Self, E> {
        let recent = Arc::new(RecentLog::new(bounds));
        let engine = open(Arc::clone(&recent) as Arc<dyn Dispatch>)?;
        let log = Arc::new(Log::new(engine, recent));
        Ok(Self { fanout: Arc::new(Fanout::new(log)) })
    }

    fn log(&self) -> &Log {
        &self.fanout.log
    }

    /// Writes to readers that are up to date, drops what need not be kept, and tells who comes and goes, until the server
    /// stops.
    pub async fn keep(self) {
        let Log { presence, recent, .. } = self.log();
        tokio::select! {
            () = presence.keep(|channels| recent.wake_for_presence(channels)) => {}
            () = self.trim() => {}
            () = Arc::clone(&self.fanout).run() => {}
        }
    }

    /// Trims a slice at a time, so that publishers wait for one slice at most.
    async fn trim(&self) {
        loop {
            match self.log().engine.trim().await {
                Ok(0) => tokio::time::sleep(KEEPING_PAUSE).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "what need not be kept could not be dropped");
                    tokio::time::sleep(TRIM_RETRY).await;
                }
            }
        }
    }

    /// Stores a message. Resolves when it is durable and this node's readers can read it.
    ///
    /// # Errors
    /// Says why the message was not stored.
    pub async fn publish(&self, draft: impl Into<Box<Draft>>) -> Result<Appended, AppendError> {
        let draft = draft.into();
        let presence = &self.log().presence;
        // A sender that begins to type after this types something else.
        let typist = presence.has_typers().then(|| (draft.channel.clone(), draft.from.clone()));
        let appended = self.log().engine.append(draft).await?;
        if let Some((channel, from)) = typist {
            presence.typing(&channel, &from, false);
        }
        // The readers of a small channel get the message before its publisher gets the answer.
        self.fanout.deliver_small();
        Ok(appended)
    }

    /// A sender types in a channel, or stops.
    pub fn typing(&self, channel: &ChannelName, from: &Sender, on: bool) {
        self.log().presence.typing(channel, from, on);
    }

    /// Who is in a channel. `None` if nobody is.
    pub fn here(&self, channel: &ChannelName) -> Option<PresenceUpdate> {
        self.log().presence.whole(channel)
    }

    /// Renews the presence of a sender that polls: it stays for some time after the poll.
    pub fn polled(&self, channels: &[ChannelName], from: &Sender, wait: Duration) {
        self.log().presence.renew(channels, from, wait + POLL_LEASE);
    }

    /// Begins to listen. What comes after this call is not missed, whatever `start` says.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn subscribe(&self, channels: Vec<ChannelName>, start: Start) -> Result<Subscription, ReadError> {
        Subscription::open(Arc::clone(&self.fanout), channels, start).await
    }

    /// The id of the `count`th message after `id` in a channel, or of its last one if there are fewer.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn some_after(&self, channel: &ChannelName, id: Id, count: usize) -> Result<Option<Id>, ReadError> {
        self.log().some_after(channel, id, count).await
    }

    /// Whether at most `count` messages of a channel come after `id`.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn is_near(&self, channel: &ChannelName, id: Id, count: usize) -> Result<bool, ReadError> {
        self.log().is_near(channel, id, count).await
    }

    /// The newest `limit` messages up to a place, over a set of channels.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn history(&self, channels: &[ChannelName], until: Until, limit: usize) -> Result<History, ReadError> {
        self.log().history(channels, until, limit).await
    }

    /// The channels with the newest messages, newest first, of those that changed past `after`.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn channels(&self, after: Offset) -> Result<Vec<ChannelEntry>, ReadError> {
        let Log { engine, recent, presence, .. } = self.log();
        let last = engine.channels(after, LIST_CHANNELS).await?;
        let now = clock::now();
        let entry = |stored: &Arc<crate::engine::Stored>| {
            let channel = stored.message.channel.clone();
            let (pace, here) = (recent.rate(&channel, now), presence.here(&channel));
            ChannelEntry { channel, last: stored.message.clone(), pace, here }
        };
        Ok(last.iter().map(entry).collect())
    }

    /// Resolves when any channel has a message past `after`.
    pub async fn changed(&self, after: Offset) {
        self.log().recent.passed(after).await;
    }

    /// The last offset dispatched: everything up to it can be read.
    pub fn head(&self) -> Offset {
        self.log().head()
    }

    /// An offset as a cursor.
    pub fn cursor(&self, offset: Offset) -> Id {
        self.log().cursor(offset)
    }

    /// Tells every connection to say goodbye, and the engine to finish what it took. Readers are to come back spread over
    /// `spread`.
    pub async fn close(&self, spread: Duration) {
        self.log().close(spread);
        self.log().engine.close().await;
    }

    /// Whether the server stops.
    pub fn is_closing(&self) -> bool {
        self.log().is_closing()
    }

    /// Resolves when the server stops.
    pub async fn closed(&self) {
        self.log().closed().await;
    }

    /// How long one reader is to wait before it comes back, if the server stops: not all come at once.
    pub fn return_after(&self) -> Option<Duration> {
        self.log().return_after()
    }
}
