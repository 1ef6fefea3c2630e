//! What a reader needs of the hub: the log with its recent end in memory, who is present, and whether the server stops.

use super::{presence::Presence, recent::RecentLog};
use crate::{
    engine::{Engine, Offset, Query, ReadError, Resolved, Slice},
    limits::RETURN_AFTER,
};
use app::wire::{ChannelName, Id};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The log, as readers see it.
pub(super) struct Log {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) recent: Arc<RecentLog>,
    pub(super) presence: Arc<Presence>,
    /// Set when the server stops: readers are to come back spread over this time.
    closing: watch::Sender<Option<Duration>>,
}

impl Log {
    pub(super) fn new(engine: Arc<dyn Engine>, recent: Arc<RecentLog>) -> Self {
        Self { engine, recent, presence: Arc::default(), closing: watch::Sender::new(None) }
    }

    /// The last offset dispatched: everything up to it can be read.
    pub(super) fn head(&self) -> Offset {
        self.recent.head()
    }

    /// An offset as a cursor.
    pub(super) fn cursor(&self, offset: Offset) -> Id {
        self.engine.lineage().cursor(offset)
    }

    /// What a cursor means here.
    pub(super) fn resolve(&self, id: Id) -> Resolved {
        self.engine.lineage().resolve(id, self.head())
    }

    /// Reads the store.
    pub(super) async fn read(&self, query: Query) -> Result<Slice, ReadError> {
        self.engine.read(query).await
    }

    /// The offsets of the newest `limit` messages up to `up_to`, oldest first, and whether older ones are kept.
    pub(super) async fn newest(
        &self,
        channels: &[ChannelName],
        up_to: Offset,
        limit: usize,
    ) -> Result<(Vec<Offset>, bool), ReadError> {
        let mut offsets = Vec::new();
        for channel in channels {
            offsets.extend(self.engine.offsets(channel.clone(), up_to, limit + 1).await?);
        }
        offsets.sort_unstable();
        let more = offsets.len() > limit;
        let newest = offsets.split_off(offsets.len().saturating_sub(limit));
        Ok((newest, more))
    }

    /// Tells every reader that the server stops.
    pub(super) fn close(&self, spread: Duration) {
        self.closing.send_replace(Some(spread));
    }

    /// Whether the server stops.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.borrow().is_some()
    }

    /// Resolves when the server stops.
    pub(super) async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        let _ = closing.wait_for(Option::is_some).await;
    }

    /// How long one reader is to wait before it comes back, if the server stops: not all come at once.
    pub(super) fn return_after(&self) -> Option<Duration> {
        let spread = (*self.closing.borrow())?;
        let share = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
        Some(RETURN_AFTER + spread.mul_f64(share))
    }
}
