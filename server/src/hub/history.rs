//! Pages of history: the messages before a place, newest first to find and oldest first to show.

use super::log::Log;
use crate::{
    engine::{Offset, Query, ReadError, Resolved, Stored},
    limits::{ANSWER_BYTES, HISTORY_CHUNK},
};
use app::wire::{ChannelName, Id, Missed};
use std::sync::Arc;

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
    /// Older messages are kept.
    pub more: bool,
    /// The cursor of the request was not one of this log.
    pub missed: Vec<Missed>,
}

impl Log {
    /// The newest `limit` messages of some channels up to a place, as many as one answer holds.
    pub(super) async fn history(
        &self,
        channels: &[ChannelName],
        until: Until,
        limit: usize,
    ) -> Result<History, ReadError> {
        let (up_to, missed) = self.end_of_page(channels, until);
        let (mut offsets, more) = self.newest(channels, up_to, limit).await?;
        let mut messages: Vec<Arc<Stored>> = Vec::new();
        let mut bytes = 0;
        // Newest first, a chunk at a time: a message that does not fit into the answer is older.
        while let Some(last) = offsets.last().copied() {
            let chunk = offsets.split_off(offsets.len().saturating_sub(HISTORY_CHUNK));
            for stored in self.chunk(channels, &chunk, last).await?.into_iter().rev() {
                if bytes > 0 && bytes + stored.weight() > ANSWER_BYTES {
                    messages.reverse();
                    return Ok(History { messages, more: true, missed });
                }
                bytes += stored.weight();
                messages.push(stored);
            }
        }
        messages.reverse();
        Ok(History { more: more && !messages.is_empty(), messages, missed })
    }

    /// The last offset of a page, and what is missed if the cursor is not one of this log.
    fn end_of_page(&self, channels: &[ChannelName], until: Until) -> (Offset, Vec<Missed>) {
        let (id, back) = match until {
            Until::Before(id) => (id, 1),
            Until::At(id) => (id, 0),
        };
        match self.resolve(id) {
            Resolved::At(offset) => (offset.saturating_sub(back), Vec::new()),
            Resolved::Missed { reason, resume } => {
                let to = self.cursor(resume);
                let missed =
                    |channel: &ChannelName| Missed { channel: channel.clone(), reason, from: id, to, to_time: None };
                let up_to = if resume == 0 { self.head() } else { resume };
                (up_to, channels.iter().map(missed).collect())
            }
        }
    }

    /// The messages with these offsets, which end with `last`, in order.
    async fn chunk(
        &self,
        channels: &[ChannelName],
        offsets: &[Offset],
        last: Offset,
    ) -> Result<Vec<Arc<Stored>>, ReadError> {
        let after = offsets.first().copied().unwrap_or(last) - 1;
        let mut found = Vec::with_capacity(offsets.len());
        for channel in channels {
            let query = Query { channel: channel.clone(), after, up_to: last, limit: offsets.len(), bytes: usize::MAX };
            found.extend(self.read(query).await?.messages);
        }
        found.sort_unstable_by_key(|stored| stored.offset());
        Ok(found)
    }

    /// The id of the `count`th message after `id` in a channel, or of its last one if there are fewer. `None` if the id is
    /// not one of this log.
    pub(super) async fn some_after(
        &self,
        channel: &ChannelName,
        id: Id,
        count: usize,
    ) -> Result<Option<Id>, ReadError> {
        let Resolved::At(offset) = self.resolve(id) else { return Ok(None) };
        let (after, up_to) = (offset.saturating_sub(1), self.head());
        let query = Query { channel: channel.clone(), after, up_to, limit: count, bytes: ANSWER_BYTES };
        Ok(self.read(query).await?.messages.last().map(|stored| stored.message.id))
    }

    /// Whether at most `count` messages of a channel come after `id`.
    pub(super) async fn is_near(&self, channel: &ChannelName, id: Id, count: usize) -> Result<bool, ReadError> {
        let (newest, more) = self.newest(std::slice::from_ref(channel), self.head(), count).await?;
        Ok(!more || newest.first().is_none_or(|first| *first <= id.offset))
    }
}
