//! The one writer: takes whatever is queued, commits it once, hands it on in order, answers.

use super::{
    keys::Keys,
    ledger::Ledger,
    reader::{self, signed},
    row,
    schema::{self, Fsync, OpenError},
    sync::Syncer,
};
use crate::{
    engine::{AppendError, Appended, Draft, Lineage, Offset, Options, Stored, Tail, retention::kept_bytes},
    limits::{COMMIT_BYTES, COMMIT_COMPANY, COMMIT_MESSAGES, COMMIT_TURNS},
};
use app::wire::Message;
use rusqlite::{Connection, ErrorCode, params};
use std::{path::PathBuf, sync::Arc, thread};
use tokio::sync::{mpsc, oneshot};

type Reply<T> = oneshot::Sender<Result<T, AppendError>>;
type Outcome = Result<Appended, AppendError>;

/// What the writer can be asked for.
pub(super) enum Job {
    Append(Box<Draft>, Reply<Appended>),
    Trim(Reply<u64>),
    /// Everything queued before it is done when the answer comes; nothing is taken after it.
    Close(Reply<()>),
    /// A test does something to the writer.
    #[cfg(test)]
    Poke(Box<dyn FnOnce(&mut Writer) + Send>),
}

pub(super) struct Writer {
    path: PathBuf,
    fsync: Fsync,
    pub(super) connection: Connection,
    lineage: Arc<Lineage>,
    pub(super) options: Options,
    pub(super) tail: Arc<dyn Tail>,
    /// The last offset given out, whether its commit came through or not: never given out again.
    head: Offset,
    epoch: String,
    pub(super) ledger: Ledger,
    keys: Keys,
    syncer: Option<Syncer>,
    /// A commit past this offset may have come through or not: to be found out before anything else is written.
    unsettled: Option<Offset>,
    /// Commits fail: said once, not for each of them, so that a full disk does not fill the log.
    failing: bool,
    #[cfg(test)]
    pub(super) fault: Option<Fault>,
}

/// What a test lets go wrong, once.
#[cfg(test)]
pub(super) enum Fault {
    /// The next commit says that it failed, and looking fails, too; whether it was stored.
    Stuck { stored: bool },
    /// The store cannot be opened again.
    Gone,
}

/// Whether those who publish are likely to have company that only waits for its turn on the processor: then they get
/// it before the commit, and have it in common. Nobody waits for anybody: where nothing else is to run, giving the
/// processor away returns at once, and whoever publishes alone does not give it away.
#[derive(Default)]
struct Company {
    before: usize,
    turns: usize,
}

impl Company {
    /// Whether others came since the last time, and more would be of use.
    fn grows(&mut self, now: usize) -> bool {
        let grows = now > self.before.max(1) && now < COMMIT_COMPANY && self.turns < COMMIT_TURNS;
        self.before = now;
        self.turns += 1;
        grows
    }
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        fsync: Fsync,
        connection: Connection,
        lineage: Arc<Lineage>,
        options: Options,
        tail: Arc<dyn Tail>,
    ) -> Result<Self, OpenError> {
        let ledger = Ledger::load(&connection, &options.retention)?;
        let keys = Keys::load(&connection, options.clock.clone())?;
        let here = lineage.cursor(lineage.start());
        Ok(Self {
            syncer: (fsync == Fsync::Interval).then(|| Syncer::start(&path)).transpose()?,
            path,
            fsync,
            connection,
            lineage,
            options,
            tail,
            head: here.offset,
            epoch: here.epoch.to_string(),
            ledger,
            keys,
            unsettled: None,
            failing: false,
            #[cfg(test)]
            fault: None,
        })
    }

    /// Runs until the queue is closed.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting: Vec<(Box<Draft>, Reply<Appended>)> = Vec::new();
        while let Some(first) = jobs.blocking_recv() {
            let mut next = Some(first);
            let mut bytes = 0;
            let mut other = None;
            let mut company = Company::default();
            while let Some(job) = next.take() {
                match job {
                    Job::Append(draft, reply) => {
                        bytes += draft.body.as_bytes().len();
                        waiting.push((draft, reply));
                        if waiting.len() < COMMIT_MESSAGES && bytes < COMMIT_BYTES {
                            next = jobs.try_recv().ok();
                            if next.is_none() && company.grows(waiting.len()) {
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
                    // With the log folded in, the file alone is the whole store.
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
            // The publisher may have gone; its message is stored all the same.
            let _ = reply.send(outcome);
        }
    }

    /// Append, make durable, dispatch; the caller acknowledges.
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
                self.ledger.committed(&self.options.retention);
                self.tail.dispatch(&added.into_iter().map(|(_, stored)| stored).collect::<Vec<_>>());
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
                self.ledger.rolled_back();
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

    /// SQLite undoes a commit that failed, but a failing disk may say "failed" after the fact: look.
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

    /// Finds out what became of a commit of unknown outcome, on a fresh connection. What was stored after all
    /// is dispatched now: the tail gets everything, in order.
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
            let ledger = Ledger::load(&connection, &self.options.retention)?;
            Ok((connection, ledger, found))
        })();
        let (connection, ledger, found) =
            settled.map_err(|error: OpenError| AppendError::Unavailable(error.to_string()))?;
        tracing::warn!(messages = found.len(), "a commit of unknown outcome was looked up");
        self.connection = connection;
        self.ledger = ledger;
        self.unsettled = None;
        self.tail.dispatch(&found);
        Ok(())
    }

    /// Everything but the commit; what is `added` comes with the row of its channel.
    fn write(
        &mut self,
        drafts: impl Iterator<Item = Box<Draft>>,
        added: &mut Vec<(i64, Arc<Stored>)>,
    ) -> rusqlite::Result<Vec<Outcome>> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let outcomes = drafts.map(|draft| self.take(*draft, added)).collect::<Result<_, _>>()?;
        row::insert(&self.connection, added)?;
        self.ledger.write(&self.connection)?;
        self.connection
            .prepare_cached("UPDATE epochs SET last = ?1, steady = ?2 WHERE epoch = ?3")?
            .execute(params![signed(self.head), self.keys.now(), self.epoch])?;
        Ok(outcomes)
    }

    /// Makes a message of a draft that can be one.
    fn take(&mut self, draft: Draft, added: &mut Vec<(i64, Arc<Stored>)>) -> rusqlite::Result<Outcome> {
        let known = self.ledger.find(&self.connection, &draft.channel)?;
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
            None => self.ledger.make(&self.connection, &draft.channel)?,
        };
        self.head += 1;
        let time = self.options.clock.wall();
        if let Some(key) = &draft.key {
            self.keys.remember(&self.connection, channel, key, self.head, time, &draft.digest())?;
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
        self.ledger.add(&message.channel, self.head, kept_bytes(&message));
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
            self.ledger.rolled_back();
        }
        slice.map_err(|error| append_error(&error))
    }

    /// A transaction whose loss in a power failure only means doing it again needs no fsync of its own.
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
            // The setting cannot be changed within a transaction.
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
            let mut company = Company::default();
            counts.iter().map(|count| company.grows(*count)).collect::<Vec<_>>()
        };
        assert_eq!(grows(&[1]), [false], "whoever is alone does not wait");
        assert_eq!(grows(&[2, 2, 3]), [true, false, true]);
        assert_eq!(grows(&[COMMIT_COMPANY - 1, COMMIT_COMPANY]), [true, false]);
        let many: Vec<_> = (2..COMMIT_TURNS + 4).collect();
        assert_eq!(grows(&many).iter().filter(|given| **given).count(), COMMIT_TURNS);
    }
}
