//! The store's schema, its migrations and its connections. The store is one file that any SQLite browser can read.

use super::row::signed;
use crate::limits::ROW_BYTES;
use app::wire::Epoch;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// The schema version in `PRAGMA user_version`. A store with a higher version was written by a newer Baro.
pub(super) const VERSION: i64 = 2;
/// Older versions of SQLite have a race that can corrupt the write-ahead log.
const OLDEST_SQLITE: i32 = 3_051_003;

/// The messages are clustered by offset; the tables of channels, epochs and keys are small.
/// - `channels.last`: offset of the newest message ever stored; `floor`: messages at or below it may be gone;
///   `kept`, `bytes`: number and counted size of the messages present.
/// - `epochs.last`: the last offset assigned in that epoch, written in the same transaction as the messages, so that no
///   offset is assigned twice; `steady`: the steady time of that transaction, see `keys.rs`.
/// - `messages.encoding`: 0 text, 1 JSON, 2 binary; `kind`: 0 person, 1 program.
/// - `keys`: idempotency keys of the last ten minutes; `at` is steady time.
const SCHEMA: &str = "
CREATE TABLE epochs(seq INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL UNIQUE, last INTEGER NOT NULL,
  steady INTEGER NOT NULL DEFAULT 0);
CREATE TABLE channels(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last INTEGER NOT NULL,
  floor INTEGER NOT NULL DEFAULT 0, floor_time INTEGER, kept INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0);
CREATE INDEX channels_last ON channels(last);
CREATE TABLE messages(offset INTEGER PRIMARY KEY, channel INTEGER NOT NULL, prev INTEGER, time INTEGER NOT NULL,
  from_id TEXT NOT NULL, from_name TEXT NOT NULL, kind INTEGER NOT NULL, key TEXT,
  encoding INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX messages_channel ON messages(channel, offset);
CREATE TABLE keys(channel INTEGER NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, offset INTEGER NOT NULL,
  time INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY(channel, key)) WITHOUT ROWID;
CREATE INDEX keys_at ON keys(at);
";

/// Migration from version 1: channels record how much they hold, and keys age on the steady clock. The ten minutes of
/// existing keys start over.
const FROM_1: &str = "
ALTER TABLE channels ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE channels SET (kept, bytes) = (SELECT count(*), coalesce(sum(length(body) + ROW_BYTES), 0)
  FROM messages WHERE channel = channels.id);
ALTER TABLE epochs ADD COLUMN steady INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN time INTEGER NOT NULL DEFAULT 0;
UPDATE keys SET time = at, at = 0;
";

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be created or read.
    #[error("the data folder cannot be used: {0}")]
    Folder(#[from] std::io::Error),
    /// Another process uses the folder.
    #[error("the data folder {0} is in use by another Baro; stop that one, or choose another with --data")]
    Locked(String),
    /// SQLite failed.
    #[error("the store cannot be opened: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A newer Baro wrote it.
    #[error("the store has schema version {found}, this Baro knows up to {VERSION}; use a newer Baro")]
    Newer {
        /// The version in the file.
        found: i64,
    },
    /// The linked SQLite is too old.
    #[error("SQLite {0} is too old: below 3.51.3 it can corrupt its write-ahead log")]
    OldSqlite(&'static str),
}

/// How hard a commit is pushed to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Every commit: an acknowledged message survives power loss.
    Always,
    /// Every second: it survives `kill -9`; power loss may take the last second.
    Interval,
    /// Never, the operating system decides: it survives `kill -9`; power loss may take the last half minute, and
    /// can damage the store.
    Never,
}

impl Fsync {
    /// The value of `PRAGMA synchronous`.
    pub(super) fn synchronous(self) -> &'static str {
        match self {
            Self::Always => "FULL",
            Self::Interval => "NORMAL",
            Self::Never => "OFF",
        }
    }
}

pub(super) fn open_writer(path: &Path, fsync: Fsync) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite(rusqlite::version()));
    }
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", fsync.synchronous())?;
    connection.set_prepared_statement_cache_capacity(64);
    let make = match version(&connection)? {
        0 => SCHEMA.to_owned(),
        1 => FROM_1.replace("ROW_BYTES", &ROW_BYTES.to_string()),
        VERSION => return Ok(connection),
        found => return Err(OpenError::Newer { found }),
    };
    connection.execute_batch(&format!("BEGIN;{make}PRAGMA user_version={VERSION};COMMIT;"))?;
    Ok(connection)
}

/// The schema version recorded in a store; 0 for an empty file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Records a new epoch.
pub(super) fn begin_epoch(connection: &Connection, epoch: Epoch, head: u64) -> rusqlite::Result<()> {
    let mut insert = connection.prepare("INSERT INTO epochs(epoch, last) VALUES (?1, ?2)")?;
    insert.execute(rusqlite::params![epoch.to_string(), signed(head)]).map(|_| ())
}

/// The last offset assigned in an epoch.
pub(super) fn epoch_last(connection: &Connection, epoch: &str) -> rusqlite::Result<u64> {
    connection.query_row("SELECT last FROM epochs WHERE epoch = ?1", [epoch], |row| row.get(0))
}

pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

/// The recorded epochs with their last offsets, in the order of the starts.
pub(super) fn epochs(connection: &Connection) -> rusqlite::Result<Vec<(Epoch, u64)>> {
    let mut statement = connection.prepare("SELECT epoch, last FROM epochs ORDER BY seq")?;
    let rows = statement.query_map([], |row| {
        let epoch: String = row.get(0)?;
        Ok((epoch.parse::<Epoch>().ok(), row.get::<_, u64>(1)?))
    })?;
    rows.filter_map(|row| row.map(|(epoch, last)| epoch.map(|epoch| (epoch, last))).transpose()).collect()
}
