//! Reads the store on separate read-only connections, in short transactions.

use super::{
    row::{self, signed},
    schema,
};
use crate::{
    engine::{Lineage, Offset, Query, ReadError, Slice, Stored},
    limits::STORE_READERS,
    lock::Lock,
};
use app::wire::{ChannelName, Time};
use rusqlite::{Connection, OptionalExtension, params};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::Semaphore;

/// Read-only connections, at most [`STORE_READERS`] in use at once.
pub(super) struct Readers {
    path: PathBuf,
    turns: Semaphore,
    idle: Lock<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, turns: Semaphore::new(STORE_READERS), idle: Lock::default() })
    }

    /// Runs a read on a blocking thread, because SQLite blocks.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let _turn = self.turns.acquire().await.map_err(|_| ReadError("closed".into()))?;
        let readers = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let idle = readers.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => schema::open_reader(&readers.path)?,
            };
            let result = read(&connection);
            if result.is_ok() {
                readers.idle.lock().push(connection);
            }
            result
        });
        match work.await {
            Ok(result) => result.map_err(|error| ReadError(error.to_string())),
            Err(panic) => Err(ReadError(panic.to_string())),
        }
    }
}

pub(super) fn slice(connection: &Connection, query: &Query, lineage: &Lineage) -> rusqlite::Result<Slice> {
    // One transaction, so that the floor and the messages belong to the same moment (clause 6 of the contract).
    let transaction = connection.unchecked_transaction()?;
    let found = transaction
        .prepare_cached("SELECT id, floor, floor_time FROM channels WHERE name = ?1")?
        .query_row([query.channel.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Offset>(1)?, row.get::<_, Option<i64>>(2)?))
        })
        .optional()?;
    let Some((channel, floor, floor_time)) = found else { return Ok(Slice::default()) };
    let mut out = Slice { floor, floor_time: floor_time.map(Time), ..Slice::default() };
    let sql = format!(
        "SELECT {} FROM messages m JOIN channels c ON c.id = m.channel
         WHERE m.channel = ?1 AND m.offset > ?2 AND m.offset <= ?3 ORDER BY m.offset LIMIT ?4",
        row::COLUMNS
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let limit = i64::try_from(query.limit + 1).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![channel, signed(query.after), signed(query.up_to), limit])?;
    let mut room = query.bytes;
    while let Some(row) = rows.next()? {
        let stored = row::from_row(row, lineage)?;
        if out.messages.len() == query.limit || (room < stored.weight() && !out.messages.is_empty()) {
            out.more = true;
            break;
        }
        room = room.saturating_sub(stored.weight());
        out.messages.push(stored);
    }
    Ok(out)
}

pub(super) fn offsets(
    connection: &Connection,
    channel: &ChannelName,
    up_to: Offset,
    limit: usize,
) -> rusqlite::Result<Vec<Offset>> {
    let mut statement = connection.prepare_cached(
        "SELECT offset FROM messages WHERE channel = (SELECT id FROM channels WHERE name = ?1) AND offset <= ?2
         ORDER BY offset DESC LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![channel.as_str(), signed(up_to), limit], |row| row.get(0))?;
    let mut found: Vec<Offset> = rows.collect::<Result<_, _>>()?;
    found.reverse();
    Ok(found)
}

pub(super) fn channels(
    connection: &Connection,
    after: Offset,
    limit: usize,
    lineage: &Lineage,
) -> rusqlite::Result<Vec<Arc<Stored>>> {
    let sql = format!(
        "SELECT {} FROM channels c JOIN messages m ON m.offset = c.last
         WHERE c.last > ?1 ORDER BY c.last DESC LIMIT ?2",
        row::COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement.query_map(params![signed(after), limit], |row| row::from_row(row, lineage))?.collect()
}

/// Counts the messages of a channel in `(after, up_to]`, up to `most`.
pub(super) fn count(
    connection: &Connection,
    channel: &ChannelName,
    after: Offset,
    up_to: Offset,
    most: u32,
) -> rusqlite::Result<u32> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM messages WHERE channel = (SELECT id FROM channels WHERE name = ?1)
             AND offset > ?2 AND offset <= ?3 LIMIT ?4)",
        )?
        .query_row(params![channel.as_str(), signed(after), signed(up_to), most], |row| row.get(0))
}

/// All messages in `(after, up_to]`, in every channel.
pub(super) fn between(
    connection: &Connection,
    after: Offset,
    up_to: Offset,
    lineage: &Lineage,
) -> rusqlite::Result<Vec<Arc<Stored>>> {
    let sql = format!(
        "SELECT {} FROM messages m JOIN channels c ON c.id = m.channel
         WHERE m.offset > ?1 AND m.offset <= ?2 ORDER BY m.offset",
        row::COLUMNS
    );
    let mut statement = connection.prepare(&sql)?;
    statement.query_map(params![signed(after), signed(up_to)], |row| row::from_row(row, lineage))?.collect()
}

/// Channels and times of the newest messages, newest first, for the message rate of the past hour.
pub(super) fn recent(connection: &Connection, since: Time, limit: usize) -> rusqlite::Result<Vec<(ChannelName, Time)>> {
    let mut statement = connection.prepare(
        "SELECT c.name, m.time FROM messages m JOIN channels c ON c.id = m.channel ORDER BY m.offset DESC LIMIT ?1",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map([limit], |row| Ok((row.get::<_, String>(0)?, Time(row.get(1)?))))?;
    let mut found = Vec::new();
    for row in rows {
        let (name, time) = row?;
        if time < since {
            break;
        }
        if let Ok(name) = name.parse() {
            found.push((name, time));
        }
    }
    Ok(found)
}
