//! The writer's cache of the channel rows: the last offset of each channel and how much of the channel is kept.

use super::row::signed;
use crate::{
    engine::{Offset, Retention},
    limits::CHANNEL_CACHE,
    map::Map,
};
use app::wire::ChannelName;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

/// The cached row of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The id of the row.
    pub(super) id: i64,
    last: Offset,
    kept: u64,
    bytes: u64,
}

impl Known {
    /// The offset of the newest message ever stored, even if it was trimmed.
    pub(super) fn last(&self) -> Option<Offset> {
        (self.last > 0).then_some(self.last)
    }

    /// Messages and bytes kept in the channel.
    pub(super) fn kept(&self) -> (u64, u64) {
        (self.kept, self.bytes)
    }
}

/// Rows of recently written channels, as they are on the disk or will be after this transaction.
pub(super) struct ChannelTable {
    channels: Map<ChannelName, Known>,
    /// Channels whose rows this transaction changes.
    changed: BTreeSet<ChannelName>,
    added: u64,
    /// Bytes kept in all channels.
    pub(super) total: u64,
    /// Channels that exceed their limits.
    pub(super) over: BTreeSet<ChannelName>,
}

impl ChannelTable {
    pub(super) fn load(connection: &Connection, retention: &Retention) -> rusqlite::Result<Self> {
        let total = connection.query_row("SELECT coalesce(sum(bytes), 0) FROM channels", [], |row| row.get(0))?;
        let mut statement = connection.prepare("SELECT name FROM channels WHERE kept > ?1 OR bytes > ?2")?;
        let names = statement
            .query_map(params![signed(retention.messages), signed(retention.bytes)], |row| row.get::<_, String>(0))?;
        let over = names.map(|name| Ok(name?.parse().ok())).filter_map(Result::transpose);
        let over = over.collect::<rusqlite::Result<_>>()?;
        Ok(Self { channels: Map::default(), changed: BTreeSet::new(), added: 0, total, over })
    }

    /// The channel's row, if there is one.
    pub(super) fn find(&mut self, connection: &Connection, name: &ChannelName) -> rusqlite::Result<Option<Known>> {
        if let Some(known) = self.channels.get(name) {
            return Ok(Some(*known));
        }
        let found = connection
            .prepare_cached("SELECT id, last, kept, bytes FROM channels WHERE name = ?1")?
            .query_row([name.as_str()], |row| {
                Ok(Known { id: row.get(0)?, last: row.get(1)?, kept: row.get(2)?, bytes: row.get(3)? })
            })
            .optional()?;
        if let Some(known) = found {
            self.channels.insert(name.clone(), known);
        }
        Ok(found)
    }

    /// Creates the channel's row and returns its id.
    pub(super) fn make(&mut self, connection: &Connection, name: &ChannelName) -> rusqlite::Result<i64> {
        connection.prepare_cached("INSERT INTO channels(name, last) VALUES (?1, 0)")?.execute([name.as_str()])?;
        let id = connection.last_insert_rowid();
        self.channels.insert(name.clone(), Known { id, last: 0, kept: 0, bytes: 0 });
        Ok(id)
    }

    /// Counts a new message. The channel must have been looked up with `find` or created with `make` before.
    pub(super) fn add(&mut self, name: &ChannelName, offset: Offset, bytes: u64) {
        let Some(known) = self.channels.get_mut(name) else { return };
        known.last = offset;
        known.kept += 1;
        known.bytes += bytes;
        self.added += bytes;
        self.changed.insert(name.clone());
    }

    /// Writes each changed row once, regardless of how many messages the channel received.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut update =
            connection.prepare_cached("UPDATE channels SET last = ?1, kept = ?2, bytes = ?3 WHERE id = ?4")?;
        for known in self.changed.iter().filter_map(|name| self.channels.get(name)) {
            update.execute(params![signed(known.last), signed(known.kept), signed(known.bytes), known.id])?;
        }
        Ok(())
    }

    /// Call after the transaction was committed.
    pub(super) fn committed(&mut self, retention: &Retention) {
        for name in std::mem::take(&mut self.changed) {
            if self.channels.get(&name).is_some_and(|known| retention.is_over(known.kept, known.bytes)) {
                self.over.insert(name);
            }
        }
        self.total += std::mem::take(&mut self.added);
        if self.channels.len() > CHANNEL_CACHE {
            self.channels.clear();
        }
    }

    /// Call after the transaction was rolled back: cached rows may contain its changes, so the cache is emptied.
    pub(super) fn rolled_back(&mut self) {
        self.channels.clear();
        self.changed.clear();
        self.added = 0;
    }

    /// Call after messages of a channel were trimmed. The trim changed the row on the disk, so the cached row is
    /// dropped.
    pub(super) fn dropped(&mut self, name: &ChannelName, bytes: u64) {
        self.channels.remove(name);
        self.total = self.total.saturating_sub(bytes);
    }
}
