//! Idempotency keys of the last ten minutes.
//!
//! Their age is counted on the steady clock. Each commit records the steady time and a restart continues from there, so
//! the time between does not count: a key is remembered for at least ten minutes, whatever the wall clock does.

use super::row::signed;
use crate::{
    clock::{Clock, millis},
    engine::Offset,
    limits::KEY_WINDOW,
};
use app::wire::Time;
use rusqlite::{Connection, OptionalExtension, params};

/// Keys deleted at a time, which takes a few milliseconds.
const SWEEP: usize = 1000;
/// Milliseconds until the next sweep after a sweep that deleted fewer than [`SWEEP`] keys.
const SWEEP_MS: i64 = 10_000;

pub(super) struct Keys {
    clock: Clock,
    /// Milliseconds of steady time in all earlier runs, to which the time of this run is added.
    base: i64,
    swept: i64,
}

/// The message a key was used for.
pub(super) struct Used {
    pub(super) offset: Offset,
    pub(super) time: Time,
    pub(super) digest: Vec<u8>,
}

impl Keys {
    pub(super) fn load(connection: &Connection, clock: Clock) -> rusqlite::Result<Self> {
        let base: i64 = connection.query_row("SELECT coalesce(max(steady), 0) FROM epochs", [], |row| row.get(0))?;
        let base = base.saturating_sub(millis(clock.steady()));
        Ok(Self { clock, base, swept: 0 })
    }

    /// Steady time in all runs together, in milliseconds.
    pub(super) fn now(&self) -> i64 {
        self.base.saturating_add(millis(self.clock.steady()))
    }

    pub(super) fn seen(&self, connection: &Connection, channel: i64, key: &str) -> rusqlite::Result<Option<Used>> {
        connection
            .prepare_cached("SELECT offset, time, digest FROM keys WHERE channel = ?1 AND key = ?2 AND at > ?3")?
            .query_row(params![channel, key, self.now() - millis(KEY_WINDOW)], |row| {
                Ok(Used { offset: row.get(0)?, time: Time(row.get(1)?), digest: row.get(2)? })
            })
            .optional()
    }

    pub(super) fn remember(
        &self,
        connection: &Connection,
        channel: i64,
        key: &str,
        used: &Used,
    ) -> rusqlite::Result<()> {
        let Used { offset, time, digest } = used;
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO keys(channel, key, at, offset, time, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![channel, key, self.now(), signed(*offset), time.0, digest])?;
        Ok(())
    }

    /// Whether a sweep is due.
    pub(super) fn is_due(&self) -> bool {
        self.now() - self.swept >= SWEEP_MS
    }

    /// Deletes one slice of the expired keys. If more may be left, the next sweep is due at once.
    pub(super) fn sweep(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let now = self.now();
        let swept = connection
            .prepare_cached(
                "DELETE FROM keys WHERE (channel, key) IN (SELECT channel, key FROM keys WHERE at <= ?1 LIMIT ?2)",
            )?
            .execute(params![now - millis(KEY_WINDOW), SWEEP])?;
        if swept < SWEEP {
            self.swept = now;
        }
        Ok(())
    }
}
