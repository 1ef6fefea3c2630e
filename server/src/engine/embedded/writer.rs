//! The one writer: takes whatever is queued, commits it once, hands it on in order, answers.

use super::{reader::signed, row};
use crate::{
    clock,
    engine::{AppendError, Appended, Draft, Lineage, Offset, Stored, Tail},
    limits::{CHANNEL_CACHE, COMMIT_BYTES, COMMIT_MESSAGES, KEY_WINDOW, TRIM_SLICE},
};
use app::wire::{ChannelName, Message, Time};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// What the writer can be asked for.
pub(super) enum Job {
    Append(Draft, oneshot::Sender<Result<Appended, AppendError>>),
    Trim(ChannelName, Time, oneshot::Sender<Result<u64, AppendError>>),
    /// Everything queued before it is done when the answer comes; nothing is taken after it.
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) lineage: Arc<Lineage>,
    pub(super) tail: Arc<dyn Tail>,
    /// The last offset given out, whether its commit came through or not: never given out again.
    pub(super) head: Offset,
    pub(super) epoch: String,
    /// Row id and last offset of channels, as of the last good commit.
    pub(super) channels: HashMap<ChannelName, (i64, Offset)>,
    pub(super) keys_swept: Time,
    /// A commit's outcome could not be found out: until a restart nothing more is taken.
    pub(super) broken: bool,
}

type Reply = oneshot::Sender<Result<Appended, AppendError>>;
type Outcome = Result<Appended, AppendError>;

impl Writer {
    /// Runs until the queue is closed.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting: Vec<(Draft, Reply)> = Vec::new();
        while let Some(first) = jobs.blocking_recv() {
            let mut next = Some(first);
            let mut bytes = 0;
            let mut other = None;
            while let Some(job) = next.take() {
                match job {
                    Job::Append(draft, reply) => {
                        bytes += draft.body.as_bytes().len();
                        waiting.push((draft, reply));
                        if waiting.len() < COMMIT_MESSAGES && bytes < COMMIT_BYTES {
                            next = jobs.try_recv().ok();
                        }
                    }
                    job => other = Some(job),
                }
            }
            self.commit(&mut waiting);
            match other {
                Some(Job::Trim(channel, older_than, reply)) => {
                    let _ = reply.send(self.trim_slice(&channel, older_than));
                }
                Some(Job::Close(reply)) => {
                    jobs.close();
                    let _ = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
                    let _ = reply.send(());
                }
                Some(Job::Append(..)) | None => {}
            }
        }
    }

    fn commit(&mut self, waiting: &mut Vec<(Draft, Reply)>) {
        if waiting.is_empty() {
            return;
        }
        let (drafts, replies): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        let outcomes = self.append_all(drafts);
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // The publisher may have gone; its message is stored all the same.
            let _ = reply.send(outcome);
        }
    }

    /// Append, make durable, dispatch; the caller acknowledges.
    fn append_all(&mut self, drafts: Vec<Draft>) -> Vec<Outcome> {
        let count = drafts.len();
        if self.broken {
            return vec![Err(AppendError::Closed); count];
        }
        let before = self.head;
        let mut stored = Vec::with_capacity(count);
        let written = self.write(drafts, &mut stored);
        let outcome = match written {
            Ok(outcomes) => match self.connection.execute_batch("COMMIT") {
                Ok(()) => Ok(outcomes),
                Err(error) => self.after_failed_commit(before, &error).map(|()| outcomes),
            },
            Err(error) => {
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(append_error(&error))
            }
        };
        match outcome {
            Ok(outcomes) => {
                self.tail.dispatch(&stored);
                self.sweep_keys();
                outcomes
            }
            Err(error) => {
                tracing::error!(%error, messages = count, "nothing of this commit was stored");
                self.channels.clear();
                vec![Err(error); count]
            }
        }
    }

    /// SQLite undoes a commit that failed, but a failing disk may say "failed" after the fact: look.
    fn after_failed_commit(&mut self, before: Offset, error: &rusqlite::Error) -> Result<(), AppendError> {
        let _ = self.connection.execute_batch("ROLLBACK");
        let last = self
            .connection
            .query_row("SELECT last FROM epochs WHERE epoch = ?1", [&self.epoch], |row| row.get::<_, Offset>(0));
        match last {
            Ok(last) if last > before => Ok(()),
            Ok(_) => Err(append_error(error)),
            Err(_) => {
                self.broken = true;
                Err(AppendError::Unknown)
            }
        }
    }

    fn write(&mut self, drafts: Vec<Draft>, stored: &mut Vec<Arc<Stored>>) -> rusqlite::Result<Vec<Outcome>> {
        if self.channels.len() > CHANNEL_CACHE {
            self.channels.clear();
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let now = clock::now();
        let outcomes = drafts.into_iter().map(|draft| self.write_one(draft, now, stored)).collect::<Result<_, _>>()?;
        self.connection
            .prepare_cached("UPDATE epochs SET last = ?1 WHERE epoch = ?2")?
            .execute(params![signed(self.head), self.epoch])?;
        Ok(outcomes)
    }

    fn write_one(&mut self, draft: Draft, now: Time, stored: &mut Vec<Arc<Stored>>) -> rusqlite::Result<Outcome> {
        let (channel, last) = self.channel(&draft.channel)?;
        let digest = draft.digest();
        if let Some(key) = &draft.key
            && let Some(outcome) = self.seen(channel, key, &digest, now)?
        {
            return Ok(outcome);
        }
        let offset = self.head + 1;
        self.head = offset;
        let body = draft.body.as_bytes();
        self.connection
            .prepare_cached(
                "INSERT INTO messages(offset, channel, prev, time, from_id, from_name, kind, key, encoding, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                signed(offset),
                channel,
                last.map(signed),
                now.0,
                draft.from.id,
                draft.from.name,
                row::kind(draft.from.kind),
                draft.key,
                row::encoding(&draft.body),
                body,
            ])?;
        self.connection
            .prepare_cached("UPDATE channels SET last = ?1 WHERE id = ?2")?
            .execute(params![signed(offset), channel])?;
        if let Some(key) = &draft.key {
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO keys(channel, key, at, offset, digest) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![channel, key, now.0, signed(offset), digest.as_slice()])?;
        }
        self.channels.insert(draft.channel.clone(), (channel, offset));
        let message = Message {
            id: self.lineage.id(offset),
            prev: last.map(|last| self.lineage.id(last)),
            channel: draft.channel,
            time: now,
            from: draft.from,
            body: draft.body,
            key: draft.key,
        };
        let appended = Appended { id: message.id, time: now, duplicate: false };
        stored.push(Stored::new(message));
        Ok(Ok(appended))
    }

    /// The channel's row, made if need be, and the offset of its newest message.
    fn channel(&mut self, name: &ChannelName) -> rusqlite::Result<(i64, Option<Offset>)> {
        let some = |last: Offset| (last > 0).then_some(last);
        if let Some((id, last)) = self.channels.get(name) {
            return Ok((*id, some(*last)));
        }
        let found = self
            .connection
            .prepare_cached("SELECT id, last FROM channels WHERE name = ?1")?
            .query_row([name.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Offset>(1)?)))
            .optional()?;
        let (id, last) = match found {
            Some(found) => found,
            None => {
                self.connection
                    .prepare_cached("INSERT INTO channels(name, last) VALUES (?1, 0)")?
                    .execute([name.as_str()])?;
                (self.connection.last_insert_rowid(), 0)
            }
        };
        self.channels.insert(name.clone(), (id, last));
        Ok((id, some(last)))
    }

    fn seen(&self, channel: i64, key: &str, digest: &[u8; 32], now: Time) -> rusqlite::Result<Option<Outcome>> {
        let used = self
            .connection
            .prepare_cached("SELECT offset, at, digest FROM keys WHERE channel = ?1 AND key = ?2 AND at > ?3")?
            .query_row(params![channel, key, now.0 - window_ms()], |row| {
                Ok((row.get::<_, Offset>(0)?, Time(row.get(1)?), row.get::<_, Vec<u8>>(2)?))
            })
            .optional()?;
        Ok(used.map(|(offset, time, earlier)| {
            if earlier == digest {
                Ok(Appended { id: self.lineage.id(offset), time, duplicate: true })
            } else {
                Err(AppendError::KeyConflict)
            }
        }))
    }

    /// Forgets old keys, a slice every half minute.
    fn sweep_keys(&mut self) {
        let now = clock::now();
        if (now.0 - self.keys_swept.0).abs() < 30_000 {
            return;
        }
        self.keys_swept = now;
        let swept = self.connection.execute(
            "DELETE FROM keys WHERE (channel, key) IN (SELECT channel, key FROM keys WHERE at <= ?1 LIMIT 5000)",
            [now.0 - window_ms()],
        );
        if let Err(error) = swept {
            tracing::warn!(%error, "old idempotency keys could not be forgotten");
        }
    }

    /// Drops one slice of messages; the caller asks again while slices are full.
    fn trim_slice(&mut self, channel: &ChannelName, older_than: Time) -> Result<u64, AppendError> {
        let trimmed = (|| {
            let transaction = self.connection.unchecked_transaction()?;
            let gone: Vec<(Offset, i64)> = {
                let mut statement = transaction.prepare_cached(
                    "SELECT offset, time FROM messages WHERE channel = (SELECT id FROM channels WHERE name = ?1)
                     ORDER BY offset LIMIT ?2",
                )?;
                let limit = i64::try_from(TRIM_SLICE).unwrap_or(i64::MAX);
                let rows =
                    statement.query_map(params![channel.as_str(), limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let rows: Vec<(Offset, i64)> = rows.collect::<Result<_, _>>()?;
                rows.into_iter().take_while(|(_, time)| *time < older_than.0).collect()
            };
            let Some((floor, floor_time)) = gone.last() else { return Ok(0) };
            // The floor first: in one transaction here, and the order an engine without one must keep.
            transaction
                .prepare_cached("UPDATE channels SET floor = ?1, floor_time = ?2 WHERE name = ?3")?
                .execute(params![signed(*floor), floor_time, channel.as_str()])?;
            transaction
                .prepare_cached(
                    "DELETE FROM messages WHERE channel = (SELECT id FROM channels WHERE name = ?1) AND offset <= ?2",
                )?
                .execute(params![channel.as_str(), signed(*floor)])?;
            transaction.commit()?;
            Ok(gone.len() as u64)
        })();
        trimmed.map_err(|error: rusqlite::Error| append_error(&error))
    }
}

fn window_ms() -> i64 {
    i64::try_from(KEY_WINDOW.as_millis()).unwrap_or(i64::MAX)
}

fn append_error(error: &rusqlite::Error) -> AppendError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => AppendError::Full,
        _ => AppendError::Store(error.to_string()),
    }
}
