//! The embedded engine: one SQLite file, one writer with group commit, readers of their own.

mod reader;
mod row;
mod schema;
mod writer;

pub use schema::{Fsync, OpenError};

use super::{AppendError, Appended, Draft, Engine, Lineage, Offset, Query, ReadError, Slice, Stored, Tail};
use crate::{
    clock,
    limits::{APPEND_QUEUE, PACE_READ_BACK, TRIM_SLICE},
};
use app::wire::{ChannelName, Time};
use futures::{FutureExt, future::BoxFuture};
use reader::Readers;
use std::{fs::File, path::Path, sync::Arc};
use tokio::sync::{mpsc, oneshot};
use writer::{Job, Writer};

/// The log in a data folder.
pub struct Embedded {
    lineage: Arc<Lineage>,
    readers: Arc<Readers>,
    /// Bounded: publishers wait when the disk does.
    jobs: mpsc::Sender<Job>,
    /// Holds the folder for this process until it ends.
    _lock: File,
}

impl Embedded {
    /// Opens or makes the store in `folder` and starts its writer.
    ///
    /// # Errors
    /// The folder cannot be used, is in use, or holds a store of a newer Baro.
    pub fn open(folder: &Path, fsync: Fsync, tail: Arc<dyn Tail>) -> Result<Self, OpenError> {
        std::fs::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let path = folder.join("baro.db");
        let connection = schema::open_writer(&path, fsync)?;
        let past = schema::epochs(&connection)?;
        let head = past.iter().map(|(_, last)| *last).max().unwrap_or(0);
        let epoch = super::fresh_epoch();
        connection.execute(
            "INSERT INTO epochs(epoch, last) VALUES (?1, ?2)",
            rusqlite::params![epoch.to_string(), reader::signed(head)],
        )?;
        let lineage = Arc::new(Lineage::new(past, epoch, head));
        let hour_ago = Time(clock::now().0 - 3_600_000);
        tail.begin(head, reader::recent(&connection, hour_ago, PACE_READ_BACK)?);
        let (jobs, queue) = mpsc::channel(APPEND_QUEUE);
        let writer = Writer {
            connection,
            lineage: Arc::clone(&lineage),
            tail,
            head,
            epoch: epoch.to_string(),
            channels: std::collections::HashMap::new(),
            keys_swept: Time(0),
            broken: false,
        };
        std::thread::Builder::new().name("baro-writer".into()).spawn(move || writer.run(queue))?;
        Ok(Self { lineage, readers: Readers::new(path), jobs, _lock: lock })
    }
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let file = File::options().create(true).truncate(false).write(true).open(folder.join("baro.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Locked(folder.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

impl Engine for Embedded {
    fn append(&self, draft: Draft) -> BoxFuture<'_, Result<Appended, AppendError>> {
        async move {
            let (reply, answer) = oneshot::channel();
            self.jobs.send(Job::Append(draft, reply)).await.map_err(|_| AppendError::Closed)?;
            answer.await.unwrap_or(Err(AppendError::Unknown))
        }
        .boxed()
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Slice, ReadError>> {
        let lineage = Arc::clone(&self.lineage);
        self.readers.run(move |connection| reader::slice(connection, &query, &lineage)).boxed()
    }

    fn offsets(
        &self,
        channel: ChannelName,
        up_to: Offset,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Offset>, ReadError>> {
        self.readers.run(move |connection| reader::offsets(connection, &channel, up_to, limit)).boxed()
    }

    fn channels(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, ReadError>> {
        let lineage = Arc::clone(&self.lineage);
        self.readers.run(move |connection| reader::channels(connection, after, limit, &lineage)).boxed()
    }

    fn trim(&self, channel: ChannelName, older_than: Time) -> BoxFuture<'_, Result<u64, AppendError>> {
        async move {
            let mut gone = 0;
            loop {
                let (reply, answer) = oneshot::channel();
                let job = Job::Trim(channel.clone(), older_than, reply);
                self.jobs.send(job).await.map_err(|_| AppendError::Closed)?;
                let slice = answer.await.unwrap_or(Err(AppendError::Unknown))?;
                gone += slice;
                if slice < TRIM_SLICE as u64 {
                    return Ok(gone);
                }
            }
        }
        .boxed()
    }

    fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            let (reply, done) = oneshot::channel();
            if self.jobs.send(Job::Close(reply)).await.is_ok() {
                let _ = done.await;
            }
        }
        .boxed()
    }
}
