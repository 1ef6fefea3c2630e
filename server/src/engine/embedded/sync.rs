//! `--fsync interval`: a separate thread flushes the write-ahead log to the disk every second.

use crate::limits::FSYNC_INTERVAL;
use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
};

/// Handle of the thread; dropping it flushes once more and ends the thread.
pub(super) struct Syncer {
    written: Arc<AtomicBool>,
    _end: Sender<()>,
}

impl Syncer {
    pub(super) fn start(store: &Path) -> io::Result<Self> {
        let written = Arc::new(AtomicBool::new(false));
        let (end, ended) = channel::<()>();
        let waiting = Arc::clone(&written);
        let log = store.with_extension("db-wal");
        std::thread::Builder::new().name("baro-sync".into()).spawn(move || {
            loop {
                let over = matches!(ended.recv_timeout(FSYNC_INTERVAL), Err(RecvTimeoutError::Disconnected));
                if waiting.swap(false, Ordering::AcqRel)
                    && let Err(error) = File::open(&log).and_then(|log| log.sync_data())
                {
                    tracing::warn!(%error, "the store could not be pushed to the disk");
                }
                if over {
                    return;
                }
            }
        })?;
        Ok(Self { written, _end: end })
    }

    /// Records that the write-ahead log changed and must be flushed.
    pub(super) fn written(&self) {
        self.written.store(true, Ordering::Release);
    }
}
