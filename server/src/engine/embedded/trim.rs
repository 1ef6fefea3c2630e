//! Trimming: deletes messages beyond the retention, in slices of a few milliseconds.

use super::{row::signed, writer::Writer};
use crate::{
    engine::Offset,
    limits::{ROW_BYTES, TRIM_SLICE, TRIM_SLICE_BYTES},
};
use app::wire::{ChannelName, Time};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

/// A candidate for deletion.
struct Oldest {
    offset: Offset,
    time: Time,
    bytes: u64,
    channel: String,
}

/// What one slice deletes from one channel.
#[derive(Default)]
struct Going {
    floor: Offset,
    floor_time: i64,
    messages: u64,
    bytes: u64,
}

impl Writer {
    /// Deletes one slice and returns the number of messages. The hub repeats the call until it returns 0.
    pub(super) fn trim_slice(&mut self) -> rusqlite::Result<u64> {
        while let Some(name) = self.channel_table.over.first().cloned() {
            let Some(known) = self.channel_table.find(&self.connection, &name)? else {
                self.channel_table.over.remove(&name);
                continue;
            };
            let (mut messages, mut bytes) = known.kept();
            if !self.options.retention.is_over(messages, bytes) {
                self.channel_table.over.remove(&name);
                continue;
            }
            let retention = self.options.retention.clone();
            let oldest = oldest_of(&self.connection, known.id)?;
            return self.drop_while(oldest, |oldest| {
                let over = retention.is_over(messages, bytes);
                messages = messages.saturating_sub(1);
                bytes = bytes.saturating_sub(oldest.bytes);
                over
            });
        }
        let gone = self.trim_front()?;
        if gone > 0 { Ok(gone) } else { self.trim_shorter() }
    }

    /// Deletes the oldest messages of the whole log if they are too old or the log is too large.
    fn trim_front(&mut self) -> rusqlite::Result<u64> {
        let most = self.options.retention.total_bytes;
        let too_old = self.options.retention.too_old(&self.options.clock);
        let mut total = self.channel_table.total;
        if total <= most && too_old.is_none() {
            return Ok(0);
        }
        let oldest = oldest(&self.connection)?;
        self.drop_while(oldest, |oldest| {
            let over = total > most || too_old.is_some_and(|too_old| oldest.time < too_old);
            total = total.saturating_sub(oldest.bytes);
            over
        })
    }

    /// Deletes messages of channels with an age limit of their own.
    fn trim_shorter(&mut self) -> rusqlite::Result<u64> {
        for (name, too_old) in self.options.retention.too_old_here(&self.options.clock) {
            let Some(known) = self.channel_table.find(&self.connection, &name)? else { continue };
            let oldest = oldest_of(&self.connection, known.id)?;
            let gone = self.drop_while(oldest, |oldest| oldest.time < too_old)?;
            if gone > 0 {
                return Ok(gone);
            }
        }
        Ok(0)
    }

    fn drop_while(&mut self, oldest: Vec<Oldest>, mut goes: impl FnMut(&Oldest) -> bool) -> rusqlite::Result<u64> {
        let mut going: BTreeMap<String, Going> = BTreeMap::new();
        let mut room = TRIM_SLICE_BYTES;
        for oldest in oldest.into_iter().take_while(|oldest| goes(oldest)) {
            let channel = going.entry(oldest.channel).or_default();
            channel.floor = oldest.offset;
            channel.floor_time = oldest.time.0;
            channel.messages += 1;
            channel.bytes += oldest.bytes;
            if oldest.bytes >= room {
                break;
            }
            room -= oldest.bytes;
        }
        if going.is_empty() {
            return Ok(0);
        }
        self.without_fsync(|this| drop_all(&this.connection, &going))?;
        for (name, gone) in &going {
            if let Ok(name) = name.parse::<ChannelName>() {
                self.channel_table.dropped(&name, gone.bytes);
                self.dispatcher.trimmed(&name, gone.floor);
            }
        }
        Ok(going.values().map(|gone| gone.messages).sum())
    }
}

fn oldest_of(connection: &Connection, channel: i64) -> rusqlite::Result<Vec<Oldest>> {
    let mut statement = connection.prepare_cached(
        "SELECT m.offset, m.time, length(m.body), c.name FROM messages m JOIN channels c ON c.id = m.channel
         WHERE m.channel = ?1 ORDER BY m.offset LIMIT ?2",
    )?;
    statement.query_map(params![channel, slice()], read)?.collect()
}

fn oldest(connection: &Connection) -> rusqlite::Result<Vec<Oldest>> {
    let mut statement = connection.prepare_cached(
        "SELECT m.offset, m.time, length(m.body), c.name FROM messages m JOIN channels c ON c.id = m.channel
         ORDER BY m.offset LIMIT ?1",
    )?;
    statement.query_map([slice()], read)?.collect()
}

fn slice() -> i64 {
    i64::try_from(TRIM_SLICE).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Oldest> {
    Ok(Oldest {
        offset: row.get(0)?,
        time: Time(row.get(1)?),
        bytes: row.get::<_, u64>(2)? + ROW_BYTES,
        channel: row.get(3)?,
    })
}

/// Moves the floors and deletes the messages in one transaction. An engine without transactions must keep this order.
fn drop_all(connection: &Connection, going: &BTreeMap<String, Going>) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for (name, gone) in going {
        connection
            .prepare_cached(
                "UPDATE channels SET floor = ?1, floor_time = ?2, kept = max(0, kept - ?3), bytes = max(0, bytes - ?4)
                 WHERE name = ?5",
            )?
            .execute(params![signed(gone.floor), gone.floor_time, signed(gone.messages), signed(gone.bytes), name])?;
        connection
            .prepare_cached(
                "DELETE FROM messages WHERE channel = (SELECT id FROM channels WHERE name = ?1) AND offset <= ?2",
            )?
            .execute(params![name, signed(gone.floor)])?;
    }
    connection.execute_batch("COMMIT")
}
