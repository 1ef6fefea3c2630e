//! Where the answer to a long poll is written.

use super::super::{error::HttpError, raw_response::RawHead};
use crate::{
    engine::ReadError,
    hub::{Chunk, PushResult, Sink},
    lock::Lock,
    net::Connection,
};
use bytes::Bytes;
use std::{hint::black_box, sync::Arc, time::Duration};

/// Where the answers to the long polls of one connection are written, one at a time. Whoever publishes writes the answer,
/// and the poll's task is not woken for it: it finds the answer given when the next request comes.
pub(super) struct PollSink {
    /// Messages of one answer.
    limit: usize,
    connection: Arc<Connection>,
    /// Held while the answer is written: a task that finds it given may continue behind it.
    state: Lock<State>,
}

struct State {
    head: RawHead,
    answered: bool,
    /// Some of the answer waits to be written.
    unsent: bool,
    /// The task has to be woken after the answer: another request is there already, the connection is to be closed, or some
    /// of the answer waits to be written.
    wakes: bool,
}

impl PollSink {
    pub(super) fn new(limit: usize, connection: Arc<Connection>, head: RawHead) -> Self {
        let state = State { head, answered: true, unsent: false, wakes: false };
        Self { limit, connection, state: Lock::new(state) }
    }

    /// Whether it writes to this connection.
    pub(super) fn is_on(&self, connection: &Arc<Connection>) -> bool {
        Arc::ptr_eq(&self.connection, connection)
    }

    /// Begins another answer, with this head.
    pub(super) fn begin(&self, head: &RawHead, has_more_requests: bool) {
        let mut state = self.state.lock();
        if !state.head.is_same(head) {
            state.head = head.clone();
        }
        (state.answered, state.unsent, state.wakes) = (false, false, has_more_requests || head.closes);
    }

    pub(super) fn is_answered(&self) -> bool {
        self.state.lock().answered
    }

    /// Whether nothing of the answer waits to be written.
    pub(super) fn is_sent(&self) -> bool {
        !self.state.lock().unsent
    }

    /// Another request came. Returns whether the answer was given before.
    pub(super) fn request_came(&self) -> bool {
        let mut state = self.state.lock();
        state.wakes = true;
        state.answered
    }

    /// Answers, unless that was done. Returns whether the task has to be woken.
    pub(super) fn answer(&self, body: &Bytes, retry_after: Option<Duration>) -> bool {
        self.answer_with(|head, connection| head.write(connection, body, retry_after))
    }

    /// Answers that the store cannot be read, as an answer without waiting does.
    pub(super) fn fail(&self, error: ReadError) {
        tracing::error!(%error, "a long poll failed");
        let error = HttpError::from(error);
        let body = serde_json::to_vec(&error.body()).expect("an error is JSON");
        self.answer_with(|head, connection| {
            head.clone().with_status(error.status()).write(connection, &body.into(), None)
        });
    }

    /// `write` returns whether all of the answer was written.
    fn answer_with(&self, write: impl FnOnce(&RawHead, &Connection) -> bool) -> bool {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.answered, true) {
            state.unsent = !write(&state.head, &self.connection);
            state.wakes |= state.unsent;
        }
        state.wakes
    }
}

impl Sink for PollSink {
    fn push(&self, chunk: &Chunk) -> PushResult {
        // More than the client asked for: its task reads as much as fits.
        if chunk.messages > self.limit
            || self.answer_with(|head, connection| head.write_shared(connection, &chunk.bytes))
        {
            return PushResult::Behind;
        }
        PushResult::Done
    }

    fn prefetch(&self) {
        black_box(self.state.is_poisoned());
        self.connection.touch();
    }

    fn heartbeat(&self, _: &Bytes) -> PushResult {
        PushResult::Written
    }
}
