//! Converts messages to rows of the store and back.

use crate::engine::{Lineage, Offset, Stored};
use app::wire::{Body, ChannelName, Kind, Message, Sender, Time};
use rusqlite::{Connection, Row, Statement, ToSql, types::Type};
use std::sync::{Arc, LazyLock};

/// Converts an offset for SQLite, whose integers are signed. No message has an offset above `i64::MAX`.
pub(super) fn signed(offset: Offset) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// The columns that [`from_row`] reads, in this order; `m` is `messages`, `c` is `channels`.
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

/// The insert statements with their number of rows, largest first: within one statement SQLite continues at the
/// position of the previous row instead of searching for it. `OR FAIL` is enough because a failure rolls back the whole
/// transaction. To be able to undo a single statement, SQLite would copy each page it touches, with many channels into
/// a temporary file.
static INSERTS: LazyLock<[(usize, String); 3]> = LazyLock::new(|| {
    [64, 8, 1].map(|rows| {
        let values = ["(?,?,?,?,?,?,?,?,?,?)"].repeat(rows).join(",");
        let columns = "offset,channel,prev,time,from_id,from_name,kind,key,encoding,body";
        (rows, format!("INSERT OR FAIL INTO messages({columns}) VALUES {values}"))
    })
});

/// Inserts messages; each comes with the row id of its channel.
pub(super) fn insert(connection: &Connection, mut all: &[(i64, Arc<Stored>)]) -> rusqlite::Result<()> {
    for (rows, sql) in &*INSERTS {
        let (now, rest) = all.split_at(all.len() / rows * rows);
        all = rest;
        if now.is_empty() {
            continue;
        }
        let mut statement = connection.prepare_cached(sql)?;
        for some in now.chunks_exact(*rows) {
            let mut binding = Binding { statement: &mut statement, bound: 0 };
            some.iter().try_for_each(|(channel, stored)| binding.row(*channel, &stored.message))?;
            statement.raw_execute()?;
        }
    }
    Ok(())
}

/// Binds the values of a statement in order.
struct Binding<'a, 'c> {
    statement: &'a mut Statement<'c>,
    bound: usize,
}

impl Binding<'_, '_> {
    fn next(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }

    fn row(&mut self, channel: i64, message: &Message) -> rusqlite::Result<()> {
        self.next(signed(message.id.offset))?;
        self.next(channel)?;
        self.next(message.prev.map(|prev| signed(prev.offset)))?;
        self.next(message.time.0)?;
        self.next(&message.from.id)?;
        self.next(&message.from.name)?;
        self.next(kind(message.from.kind))?;
        self.next(&message.key)?;
        self.next(encoding(&message.body))?;
        self.next(message.body.as_bytes())
    }
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
