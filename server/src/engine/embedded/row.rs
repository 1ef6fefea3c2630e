//! A message as a row of the store, and back.

use super::reader::signed;
use crate::engine::{Lineage, Offset, Stored};
use app::wire::{Body, ChannelName, Kind, Message, Sender, Time};
use rusqlite::{Connection, Row, params, types::Type};
use std::sync::Arc;

/// The columns [`from_row`] reads, in its order; `m` is `messages`, `c` is `channels`.
pub(super) const COLUMNS: &str =
    "m.offset, m.prev, m.time, m.from_id, m.from_name, m.kind, m.key, m.encoding, m.body, c.name";

pub(super) fn from_row(row: &Row<'_>, lineage: &Lineage) -> rusqlite::Result<Arc<Stored>> {
    let body: Vec<u8> = row.get(8)?;
    let utf8 = |bytes| {
        String::from_utf8(bytes).map_err(|e| rusqlite::Error::FromSqlConversionFailure(8, Type::Blob, e.into()))
    };
    let body = match row.get::<_, u8>(7)? {
        0 => Body::Text(utf8(body)?),
        1 => Body::Json(utf8(body)?),
        _ => Body::Binary(body),
    };
    let name: String = row.get(9)?;
    let channel: ChannelName = name
        .parse()
        .map_err(|e: app::wire::NameError| rusqlite::Error::FromSqlConversionFailure(9, Type::Text, e.into()))?;
    Ok(Stored::new(Message {
        id: lineage.id(row.get(0)?),
        prev: row.get::<_, Option<Offset>>(1)?.map(|prev| lineage.id(prev)),
        channel,
        time: Time(row.get(2)?),
        from: Sender {
            id: row.get(3)?,
            name: row.get(4)?,
            kind: if row.get::<_, u8>(5)? == 0 { Kind::Person } else { Kind::Program },
        },
        body,
        key: row.get(6)?,
    }))
}

/// Adds a message to the channel with this row.
pub(super) fn insert(connection: &Connection, channel: i64, message: &Message) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO messages(offset, channel, prev, time, from_id, from_name, kind, key, encoding, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            signed(message.id.offset),
            channel,
            message.prev.map(|prev| signed(prev.offset)),
            message.time.0,
            message.from.id,
            message.from.name,
            kind(message.from.kind),
            message.key,
            encoding(&message.body),
            message.body.as_bytes(),
        ])?;
    Ok(())
}

fn encoding(body: &Body) -> u8 {
    match body {
        Body::Text(_) => 0,
        Body::Json(_) => 1,
        Body::Binary(_) => 2,
    }
}

fn kind(kind: Kind) -> u8 {
    match kind {
        Kind::Person => 0,
        Kind::Program => 1,
    }
}
