//! Writes the access log to standard error in a separate thread.

use crate::limits::LOG_BYTES;
use std::{
    io::Write as _,
    mem::take,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long [`LogWriter::end`] waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines that wait to be written to standard error. A request never waits for a terminal that does not read.
#[derive(Default)]
pub(super) struct LogWriter {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// Bounded by [`LOG_BYTES`].
    lines: Vec<u8>,
    /// The number of lines that did not fit.
    dropped: u64,
    ended: bool,
    /// Everything was written, and the thread has ended.
    gone: bool,
}

impl LogWriter {
    /// Starts the thread.
    pub(super) fn start() -> Arc<Self> {
        let this = Arc::new(Self::default());
        let writer = Arc::clone(&this);
        thread::spawn(move || writer.run());
        this
    }

    // Not a `Lock`: the condition variable needs the guard of a mutex.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a line. A line that does not fit is counted and dropped.
    pub(super) fn write(&self, line: &str) {
        let mut waiting = self.waiting();
        if waiting.ended || waiting.lines.len() + line.len() > LOG_BYTES {
            waiting.dropped += 1;
            return;
        }
        waiting.lines.extend_from_slice(line.as_bytes());
        waiting.lines.push(b'\n');
        self.changed.notify_all();
    }

    /// Writes the remaining lines and stops. Waits for the thread, but not longer than [`PATIENCE`].
    pub(super) fn end(&self) {
        let mut waiting = self.waiting();
        waiting.ended = true;
        self.changed.notify_all();
        let gone = self.changed.wait_timeout_while(waiting, PATIENCE, |waiting| !waiting.gone);
        drop(gone.unwrap_or_else(PoisonError::into_inner));
    }

    fn run(&self) {
        loop {
            let mut waiting = self.waiting();
            while waiting.lines.is_empty() && !waiting.ended {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let (lines, dropped) = (take(&mut waiting.lines), take(&mut waiting.dropped));
            let ended = waiting.ended;
            drop(waiting);
            let _ = std::io::stderr().write_all(&lines);
            if dropped > 0 {
                tracing::warn!(dropped, "the access log could not be written as fast as requests came");
            }
            if ended {
                self.waiting().gone = true;
                self.changed.notify_all();
                return;
            }
        }
    }
}
