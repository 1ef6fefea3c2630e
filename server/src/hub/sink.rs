//! What the hub asks of a transport: a [`Sink`] to write to and an [`Encoder`] that says how deliveries look.

use super::delivery::{Delivery, Position};
use crate::lock::Lock;
use app::wire::Id;
use bytes::{Bytes, BytesMut};
use futures::task::AtomicWaker;
use std::{
    sync::Arc,
    task::{Context, Poll},
};

/// What one write carries; every reader at the same position gets the same bytes.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Encoded deliveries.
    pub bytes: Bytes,
    /// Messages in it.
    pub messages: usize,
}

/// What a push did to a reader's place in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushResult {
    /// The reader keeps up, and stays in the lane.
    Written,
    /// Some bytes wait, or the connection is broken: the reader leaves the lane and its task is woken.
    Behind,
    /// The reader wanted no more than this: it leaves the lane, and no task is woken.
    Done,
}

/// Where a reader in a lane is written to. Called with the lane locked: it must not block.
pub trait Sink: Send + Sync {
    /// Takes a whole chunk, and keeps what cannot be written now.
    fn push(&self, chunk: &Chunk) -> PushResult;
    /// Takes a heartbeat, after [`crate::limits::HEARTBEAT`] without anything else.
    fn heartbeat(&self, bytes: &Bytes) -> PushResult;
    /// Touches the memory with which a push begins, and does nothing. Of a thousand sinks each lies in memory that is far
    /// away: touched for several of them at once, the processor waits once and not for each (bench rows `sse-cpu` and
    /// `poll-cpu`).
    fn prefetch(&self) {}
}

/// How deliveries look to a group of readers.
pub trait Encoder: Send + Sync {
    /// Readers share a lane if their encoders have the same name.
    fn name(&self) -> &'static str;
    /// Appends deliveries, which bring the reader to `to`; `more` messages wait behind it.
    fn encode(&self, deliveries: &[Delivery], to: Id, more: bool, out: &mut BytesMut);
    /// A heartbeat: the reader has everything up to `cursor`.
    fn heartbeat(&self, cursor: Id) -> Bytes;
}

/// One reader as the lanes know it: how it is encoded and where it is written to. It may join a lane again and again, one
/// at a time.
pub struct Reader {
    pub(super) encoder: &'static dyn Encoder,
    pub(super) sink: Arc<dyn Sink>,
    place: Lock<Place>,
    /// The one task that waits until the reader has left its lane.
    left: AtomicWaker,
}

/// Where a reader is in respect of its lane. Changed only while that lane is locked.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// In no lane.
    Outside,
    /// In its lane, on this seat.
    Inside(usize),
    /// Put out of its lane, at this position.
    PutOut(Position),
}

impl Reader {
    /// A reader that is written to here, encoded like this.
    pub fn new(sink: Arc<dyn Sink>, encoder: &'static dyn Encoder) -> Arc<Self> {
        Arc::new(Self { encoder, sink, place: Lock::new(Place::Outside), left: AtomicWaker::new() })
    }

    pub(super) fn place(&self) -> Place {
        *self.place.lock()
    }

    pub(super) fn set_place(&self, place: Place) {
        *self.place.lock() = place;
    }

    /// Wakes the task that waits until the reader has left.
    pub(super) fn wake(&self) {
        self.left.wake();
    }

    /// Resolves when the reader was put out of its lane.
    pub(super) fn poll_put_out(&self, cx: &mut Context<'_>) -> Poll<Position> {
        // Registered before the look: the lane wakes this task if it puts the reader out after that.
        self.left.register(cx.waker());
        match self.place() {
            Place::PutOut(position) => Poll::Ready(position),
            Place::Outside | Place::Inside(_) => Poll::Pending,
        }
    }
}
