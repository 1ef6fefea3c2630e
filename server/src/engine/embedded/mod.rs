//! The embedded engine: one SQLite file, one writer thread with group commit, and separate read connections.

mod channel_table;
mod copy;
mod keys;
mod reader;
mod row;
mod schema;
mod sync;
#[cfg(test)]
mod tests;
mod trim;
mod writer;

pub use copy::{CopyError, backup, restore};
pub use schema::{Fsync, OpenError};

use super::{
    AppendError, Appended, Dispatch, Draft, Engine, Lineage, Offset, Options, Query, ReadError, Slice, Stored,
};
use crate::{
    clock,
    limits::{APPEND_QUEUE, RATE_READ_BACK},
};
use app::wire::{ChannelName, Time};
use futures::{FutureExt, future::BoxFuture};
use reader::Readers;
use std::{fs::File, path::Path, sync::Arc};
use tokio::sync::{mpsc, oneshot};
use writer::{Job, OpenStore, Writer};

/// Name of the store's file in the data folder.
const STORE: &str = "baro.db";

/// A log in a data folder.
pub struct Embedded {
    lineage: Arc<Lineage>,
    readers: Arc<Readers>,
    /// Bounded, so that publishers wait when the disk is slow.
    jobs: mpsc::Sender<Job>,
    /// The file lock that keeps other processes out of the folder.
    _lock: File,
}

impl Embedded {
    /// Opens or creates the store in `folder` and starts its writer thread.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be used, is in use, or holds a store of a newer Baro.
    pub fn open(
        folder: &Path,
        fsync: Fsync,
        options: Options,
        dispatcher: Arc<dyn Dispatch>,
    ) -> Result<Self, OpenError> {
        std::fs::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let path = folder.join(STORE);
        let connection = schema::open_writer(&path, fsync)?;
        let past = schema::epochs(&connection)?;
        let head = past.iter().map(|(_, last)| *last).max().unwrap_or(0);
        let epoch = super::fresh_epoch();
        schema::begin_epoch(&connection, epoch, head)?;
        let lineage = Arc::new(Lineage::new(past, epoch, head));
        let hour_ago = Time(clock::now().0 - 3_600_000);
        dispatcher.begin(head, reader::recent(&connection, hour_ago, RATE_READ_BACK)?);
        let (jobs, queue) = mpsc::channel(APPEND_QUEUE);
        let store = OpenStore { path: path.clone(), fsync, connection, lineage: Arc::clone(&lineage) };
        let writer = Writer::new(store, options, dispatcher)?;
        std::thread::Builder::new().name("baro-writer".into()).spawn(move || writer.run(queue))?;
        Ok(Self { lineage, readers: Readers::new(path), jobs, _lock: lock })
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, AppendError>>) -> Job) -> Result<T, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| AppendError::Closed)?;
        answer.await.unwrap_or(Err(AppendError::Unknown))
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
    fn append(&self, draft: Box<Draft>) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.ask(|reply| Job::Append(draft, reply)).boxed()
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

    fn count(
        &self,
        channel: ChannelName,
        after: Offset,
        up_to: Offset,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, ReadError>> {
        self.readers.run(move |connection| reader::count(connection, &channel, after, up_to, most)).boxed()
    }

    fn trim(&self) -> BoxFuture<'_, Result<u64, AppendError>> {
        self.ask(Job::Trim).boxed()
    }

    fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            let _ = self.ask(Job::Close).await;
        }
        .boxed()
    }
}
