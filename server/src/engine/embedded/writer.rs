//! The writer thread: commits all queued drafts in one transaction, dispatches them in order, then answers the
//! publishers.

use super::{
    channel_table::ChannelTable,
    keys::{Keys, Used},
    reader,
    row::{self, signed},
    schema::{self, Fsync, OpenError},
    sync::Syncer,
};
use crate::{
    engine::{AppendError, Appended, Dispatch, Draft, Lineage, Offset, Options, Stored, retention::kept_bytes},
    limits::{COMMIT_BYTES, COMMIT_MESSAGES, COMMIT_PUBLISHERS, COMMIT_YIELDS},
};
use app::wire::Message;
use rusqlite::{Connection, ErrorCode, params};
use std::{path::PathBuf, sync::Arc, thread};
use tokio::sync::{mpsc, oneshot};

type Reply<T> = oneshot::Sender<Result<T, AppendError>>;
type Outcome = Result<Appended, AppendError>;

/// A request to the writer.
pub(super) enum Job {
    Append(Box<Draft>, Reply<Appended>),
    Trim(Reply<u64>),
    /// Answered when every job queued before it is done; the writer accepts no job after it.
    Close(Reply<()>),
    /// Lets a test change the writer.
    #[cfg(test)]
    Poke(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// A store that was opened for writing.
pub(super) struct OpenStore {
    pub(super) path: PathBuf,
    pub(super) fsync: Fsync,
    pub(super) connection: Connection,
    pub(super) lineage: Arc<Lineage>,
}

pub(super) struct Writer {
    path: PathBuf,
    fsync: Fsync,
    pub(super) connection: Connection,
    lineage: Arc<Lineage>,
    pub(super) options: Options,
    pub(super) dispatcher: Arc<dyn Dispatch>,
    /// The last offset assigned. It is not assigned again, even if its commit failed.
    head: Offset,
    epoch: String,
    pub(super) channel_table: ChannelTable,
    keys: Keys,
    syncer: Option<Syncer>,
    /// Set if the outcome of a commit after this offset is unknown. It must be settled before the next write.
    unsettled: Option<Offset>,
    /// Commits fail. Logged only once per outage, so that a full disk does not flood the log output.
    failing: bool,
    #[cfg(test)]
    pub(super) fault: Option<Fault>,
}

/// A failure that a test injects once.
#[cfg(test)]
pub(super) enum Fault {
    /// The next commit reports a failure and its outcome cannot be read; `stored` says whether it really was stored.
    Stuck { stored: bool },
    /// The store cannot be reopened.
    Gone,
}

/// Decides whether the writer yields the processor before a commit, so that other publishers that are ready to run can
/// join the same transaction. It costs no waiting: on an idle machine the yield returns at once, and a single publisher
/// causes no yield.
#[derive(Default)]
struct CommitBatching {
    before: usize,
    turns: usize,
}

impl CommitBatching {
    /// Whether more drafts arrived since the last call and a larger batch would still make the commit cheaper.
    fn grows(&mut self, now: usize) -> bool {
        let grows = now > self.before.max(1) && now < COMMIT_PUBLISHERS && self.turns < COMMIT_YIELDS;
        self.before = now;
        self.turns += 1;
        grows
    }
}

impl Writer {
    pub(super) fn new(store: OpenStore, options: Options, dispatcher: Arc<dyn Dispatch>) -> Result<Self, OpenError> {
        let OpenStore { path, fsync, connection, lineage } = store;
        let channel_table = ChannelTable::load(&connection, &options.retention)?;
        let keys = Keys::load(&connection, options.clock.clone())?;
        let here = lineage.cursor(lineage.start());
        Ok(Self {
            syncer: (fsync == Fsync::Interval).then(|| Syncer::start(&path)).transpose()?,
            path,
            fsync,
            connection,
            lineage,
            options,
            dispatcher,
            head: here.offset,
            epoch: here.epoch.to_string(),
            channel_table,
            keys,
            unsettled: None,
            failing: false,
            #[cfg(test)]
            fault: None,
        })
    }

    /// Runs jobs until the queue is closed.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting: Vec<(Box<Draft>, Reply<Appended>)> = Vec::new();
        while let Some(first) = jobs.blocking_recv() {
            let mut next = Some(first);
            let mut bytes = 0;
            let mut other = None;
            let mut batching = CommitBatching::default();
            while let Some(job) = next.take() {
                match job {
                    Job::Append(draft, reply) => {
                        bytes += draft.body.as_bytes().len();
                        waiting.push((draft, reply));
                        if waiting.len() < COMMIT_MESSAGES && bytes < COMMIT_BYTES {
                            next = jobs.try_recv().ok();
                            if next.is_none() && batching.grows(waiting.len()) {
                                thread::yield_now();
                                next = jobs.try_recv().ok();
                            }
                        }
                    }
                    job => other = Some(job),
                }
            }
            self.commit(&mut waiting);
            match other {
                Some(Job::Trim(reply)) => {
                    let _ = reply.send(self.trim());
                }
                Some(Job::Close(reply)) => {
                    jobs.close();
                    // After the checkpoint of the write-ahead log, the file alone is the whole store.
                    let _ = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
                    let _ = reply.send(Ok(()));
                }
                #[cfg(test)]
                Some(Job::Poke(poke)) => poke(&mut self),
                Some(Job::Append(..)) | None => {}
            }
        }
    }

    fn commit(&mut self, waiting: &mut Vec<(Box<Draft>, Reply<Appended>)>) {
        if waiting.is_empty() {
            return;
        }
        let (drafts, replies): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        let outcomes = self.append_all(drafts.into_iter());
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // The publisher may have disconnected; its message is stored nevertheless.
            let _ = reply.send(outcome);
        }
    }

    /// Appends the drafts, makes them durable and dispatches them. The caller acknowledges them.
    fn append_all(&mut self, drafts: impl ExactSizeIterator<Item = Box<Draft>>) -> Vec<Outcome> {
        let count = drafts.len();
        if let Err(error) = self.settle() {
            return vec![Err(error); count];
        }
        let before = self.head;
        let mut added = Vec::with_capacity(count);
        let outcome = match self.write(drafts, &mut added) {
            Ok(outcomes) => match self.end_transaction() {
                Ok(()) => Ok(outcomes),
                Err(error) => self.after_failed_commit(before, &error).map(|()| outcomes),
            },
            Err(error) => Err(append_error(&error)),
        };
        match outcome {
            Ok(outcomes) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("messages are stored again");
                }
                self.channel_table.committed(&self.options.retention);
                self.dispatcher.stored(&added.into_iter().map(|(_, stored)| stored).collect::<Vec<_>>());
                if let Some(syncer) = &self.syncer {
                    syncer.written();
                }
                self.sweep_keys();
                outcomes
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "messages cannot be stored; their publishers are told");
                }
                let _ = self.connection.execute_batch("ROLLBACK");
                self.channel_table.rolled_back();
                vec![Err(error); count]
            }
        }
    }

    fn end_transaction(&mut self) -> rusqlite::Result<()> {
        #[cfg(test)]
        if let Some(Fault::Stuck { stored }) = self.fault {
            if stored {
                self.connection.execute_batch("COMMIT")?;
            }
            return Err(rusqlite::Error::InvalidQuery);
        }
        self.connection.execute_batch("COMMIT")
    }

    /// Reads whether a failed commit was stored: SQLite undoes it, but a failing disk may report a failure after
    /// storing.
    fn after_failed_commit(&mut self, before: Offset, error: &rusqlite::Error) -> Result<(), AppendError> {
        let _ = self.connection.execute_batch("ROLLBACK");
        #[cfg(test)]
        if matches!(self.fault.take(), Some(Fault::Stuck { .. })) {
            self.unsettled = Some(before);
            return Err(AppendError::Unknown);
        }
        match schema::epoch_last(&self.connection, &self.epoch) {
            Ok(last) if last > before => Ok(()),
            Ok(_) => Err(append_error(error)),
            Err(_) => {
                self.unsettled = Some(before);
                Err(AppendError::Unknown)
            }
        }
    }

    /// Reads the outcome of an unsettled commit on a new connection. Messages that were stored are dispatched now,
    /// because the dispatcher must receive every message in order.
    fn settle(&mut self) -> Result<(), AppendError> {
        let Some(before) = self.unsettled else { return Ok(()) };
        let settled = (|| {
            #[cfg(test)]
            if matches!(self.fault.take(), Some(Fault::Gone)) {
                return Err(OpenError::Folder(std::io::Error::other("gone")));
            }
            let connection = schema::open_writer(&self.path, self.fsync)?;
            let last = schema::epoch_last(&connection, &self.epoch)?;
            let found = reader::between(&connection, before, last, &self.lineage)?;
            let channel_table = ChannelTable::load(&connection, &self.options.retention)?;
            Ok((connection, channel_table, found))
        })();
        let (connection, channel_table, found) =
            settled.map_err(|error: OpenError| AppendError::Unavailable(error.to_string()))?;
        tracing::warn!(messages = found.len(), "a commit of unknown outcome was looked up");
        self.connection = connection;
        self.channel_table = channel_table;
        self.unsettled = None;
        self.dispatcher.stored(&found);
        Ok(())
    }

    /// Runs the transaction up to the commit. `added` receives each new message with the row id of its channel.
    fn write(
        &mut self,
        drafts: impl Iterator<Item = Box<Draft>>,
        added: &mut Vec<(i64, Arc<Stored>)>,
    ) -> rusqlite::Result<Vec<Outcome>> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let outcomes = drafts.map(|draft| self.take(*draft, added)).collect::<Result<_, _>>()?;
        row::insert(&self.connection, added)?;
        self.channel_table.write(&self.connection)?;
        self.connection
            .prepare_cached("UPDATE epochs SET last = ?1, steady = ?2 WHERE epoch = ?3")?
            .execute(params![signed(self.head), self.keys.now(), self.epoch])?;
        Ok(outcomes)
    }

    /// Turns a draft into a message, unless it is a duplicate or is refused.
    fn take(&mut self, draft: Draft, added: &mut Vec<(i64, Arc<Stored>)>) -> rusqlite::Result<Outcome> {
        let known = self.channel_table.find(&self.connection, &draft.channel)?;
        if let (Some(key), Some(known)) = (&draft.key, known)
            && let Some(used) = self.keys.seen(&self.connection, known.id, key)?
        {
            return Ok(if used.digest == draft.digest() {
                Ok(Appended { id: self.lineage.id(used.offset), time: used.time, duplicate: true })
            } else {
                Err(AppendError::KeyConflict)
            });
        }
        let last = known.and_then(|known| known.last()).map(|last| self.lineage.id(last));
        if !draft.fits(last) {
            return Ok(Err(AppendError::NotLast(last)));
        }
        let channel = match known {
            Some(known) => known.id,
            None => self.channel_table.make(&self.connection, &draft.channel)?,
        };
        self.head += 1;
        let time = self.options.clock.wall();
        if let Some(key) = &draft.key {
            let used = Used { offset: self.head, time, digest: draft.digest().into() };
            self.keys.remember(&self.connection, channel, key, &used)?;
        }
        let message = Message {
            id: self.lineage.id(self.head),
            prev: last,
            channel: draft.channel,
            time,
            from: draft.from,
            body: draft.body,
            key: draft.key,
        };
        self.channel_table.add(&message.channel, self.head, kept_bytes(&message));
        let appended = Appended { id: message.id, time: message.time, duplicate: false };
        added.push((channel, Stored::new(message)));
        Ok(Ok(appended))
    }

    fn sweep_keys(&mut self) {
        if self.keys.is_due()
            && let Err(error) = self.without_fsync(|this| this.keys.sweep(&this.connection))
        {
            tracing::warn!(%error, "old idempotency keys could not be forgotten");
        }
    }

    fn trim(&mut self) -> Result<u64, AppendError> {
        self.settle()?;
        let slice = self.trim_slice();
        if slice.is_err() {
            let _ = self.connection.execute_batch("ROLLBACK");
            self.channel_table.rolled_back();
        }
        slice.map_err(|error| append_error(&error))
    }

    /// Runs a transaction without an fsync of its own: if a power failure loses it, the work is simply repeated later.
    pub(super) fn without_fsync<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if self.fsync != Fsync::Always {
            return work(self);
        }
        self.connection.pragma_update(None, "synchronous", Fsync::Interval.synchronous())?;
        let done = work(self);
        if done.is_err() {
            // SQLite refuses to change the setting within a transaction.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.connection.pragma_update(None, "synchronous", Fsync::Always.synchronous())?;
        done
    }
}

fn append_error(error: &rusqlite::Error) -> AppendError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => AppendError::Full,
        _ => AppendError::Store(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_given_away_while_company_comes() {
        let grows = |counts: &[usize]| {
            let mut batching = CommitBatching::default();
            counts.iter().map(|count| batching.grows(*count)).collect::<Vec<_>>()
        };
        assert_eq!(grows(&[1]), [false], "a single publisher does not wait");
        assert_eq!(grows(&[2, 2, 3]), [true, false, true]);
        assert_eq!(grows(&[COMMIT_PUBLISHERS - 1, COMMIT_PUBLISHERS]), [true, false]);
        let many: Vec<_> = (2..COMMIT_YIELDS + 4).collect();
        assert_eq!(grows(&many).iter().filter(|given| **given).count(), COMMIT_YIELDS);
    }
}
