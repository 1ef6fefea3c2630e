//! The storage engine: it orders, stores and dispatches messages.
//!
//! # Contract
//!
//! 1. Every stored message gets its offset from one counter that only grows, whatever its channel. Offsets
//!    may skip; they are never reused, neither after trimming nor after a restart.
//! 2. [`Engine::append`] stores the message durably, hands it to the [`Dispatch`], and only then resolves.
//!    Nobody sees a message that could still be lost.
//! 3. The dispatcher gets every stored message exactly once, in offset order, from one thread at a time.
//! 4. The same idempotency key in a channel within ten minutes with the same body resolves to the first
//!    message's id with `duplicate`, and nothing is stored; with another body it is
//!    [`AppendError::KeyConflict`].
//! 5. A message's `prev` is the id of the message stored before it in its channel, fixed when it is appended.
//! 6. [`Engine::read`] returns a channel's messages in offset order with nothing left out between them, and
//!    the channel's floor as of the same moment: messages at or below the floor may be gone.
//! 7. Trimming moves the floor before it deletes messages, oldest first, and tells the dispatcher. It never frees an
//!    offset for reuse.
//! 8. A failed append stores nothing, except with [`AppendError::Unknown`]: then the message may or may not be stored.
//!    If it is stored, it is dispatched before the next message.
//! 9. A draft that expects a last message is stored only if that message is the channel's last. The idempotency key is
//!    checked first, so that a retry after a lost answer is a duplicate and is not refused.
//! 10. The ten minutes are counted on the steady clock while the engine runs; the ages of messages are counted from the
//!     wall clock at the start. Setting the wall clock later changes only the times people see.
//!
//! The suite in `conformance/` tests every engine against these clauses.

#[cfg(test)]
mod conformance;
pub mod embedded;
mod lineage;
pub mod memory;
#[cfg(test)]
mod model;
mod retention;
mod stored;

pub use crate::clock::Clock;
pub use lineage::{Lineage, Resolved};
pub use retention::Retention;
pub use stored::Stored;

use app::wire::{Body, ChannelName, Id, Sender, Time, headers::Expected};
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A message's place in the log.
pub type Offset = u64;

/// A message to be stored.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The channel it is published to.
    pub channel: ChannelName,
    /// The publisher.
    pub from: Sender,
    /// The content.
    pub body: Body,
    /// The idempotency key.
    pub key: Option<String>,
    /// Store the message only if this is the channel's last message.
    pub expected: Option<Expected>,
}

impl Draft {
    /// Whether `last`, the channel's last message, is the expected message.
    fn fits(&self, last: Option<Id>) -> bool {
        match self.expected {
            None => true,
            Some(Expected::Any) => last.is_some(),
            Some(Expected::Last(id)) => last == Some(id),
        }
    }

    /// Hashes kind and body: a second draft under the same key is a duplicate only if its digest is equal.
    fn digest(&self) -> [u8; 32] {
        let kind = match self.body {
            Body::Text(_) => b't',
            Body::Json(_) => b'j',
            Body::Binary(_) => b'b',
        };
        Sha256::new_with_prefix([kind]).chain_update(self.body.as_bytes()).finalize().into()
    }
}

/// The outcome of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The message's id.
    pub id: Id,
    /// When it was stored.
    pub time: Time,
    /// The message was already stored under the same key.
    pub duplicate: bool,
}

/// Why a message was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The key was used for another body.
    #[error("this idempotency key was used for another body less than ten minutes ago")]
    KeyConflict,
    /// The channel's last message is not the expected message; it is this message, or the channel has no message.
    #[error("the channel's last message is {}, not the one this was to follow; nothing was stored", shown(*.0))]
    NotLast(Option<Id>),
    /// The disk is full.
    #[error("the disk is full; nothing was stored, try again when there is room")]
    Full,
    /// The store cannot be used at the moment.
    #[error("the store cannot be used just now; nothing was stored: {0}")]
    Unavailable(String),
    /// The engine has stopped.
    #[error("the store is closed; nothing was stored")]
    Closed,
    /// The commit failed in a way that leaves open whether the message was stored.
    #[error("it is not known whether the message was stored; send it again with the same key")]
    Unknown,
    /// The store failed.
    #[error("the store failed and nothing was stored: {0}")]
    Store(String),
}

fn shown(last: Option<Id>) -> String {
    last.map_or_else(|| "none".to_owned(), |id| id.to_string())
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read: {0}")]
pub struct ReadError(pub String);

/// Messages of one channel, in order.
#[derive(Debug, Default)]
pub struct Slice {
    /// Oldest first, without gaps.
    pub messages: Vec<Arc<Stored>>,
    /// The channel has more messages up to `up_to`.
    pub more: bool,
    /// Messages at or below this offset may be gone.
    pub floor: Offset,
    /// When the message at the floor was stored, if known.
    pub floor_time: Option<Time>,
}

/// Which messages to read.
#[derive(Clone, Debug)]
pub struct Query {
    /// The channel to read.
    pub channel: ChannelName,
    /// Reads messages after this offset.
    pub after: Offset,
    /// Reads messages up to and including this offset.
    pub up_to: Offset,
    /// Largest number of messages to return.
    pub limit: usize,
    /// Largest sum of [`Stored::weight`] to return; the first message is returned even if it is larger.
    pub bytes: usize,
}

/// The dispatcher: receives stored messages from the engine.
pub trait Dispatch: Send + Sync {
    /// Called once, before the other methods, with the end of the log and the channels and times of recent messages,
    /// newest first.
    fn begin(&self, head: Offset, recent: Vec<(ChannelName, Time)>);
    /// Receives newly stored messages in offset order. Must not block.
    fn stored(&self, batch: &[Arc<Stored>]);
    /// Receives a channel's new floor: messages at or below it must no longer be delivered. Must not block.
    fn trimmed(&self, channel: &ChannelName, floor: Offset);
}

/// Orders, stores and dispatches messages. The contract is this module's documentation.
pub trait Engine: Send + Sync {
    /// Stores a message. Resolves when it is durable and dispatched.
    fn append(&self, draft: Box<Draft>) -> BoxFuture<'_, Result<Appended, AppendError>>;
    /// Reads messages of one channel, oldest first.
    fn read(&self, query: Query) -> BoxFuture<'_, Result<Slice, ReadError>>;
    /// Returns the offsets of a channel's newest `limit` messages up to `up_to`, oldest first.
    fn offsets(
        &self,
        channel: ChannelName,
        up_to: Offset,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Offset>, ReadError>>;
    /// Returns the last message of each channel that has a message after `after`, newest first.
    fn channels(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, ReadError>>;
    /// Counts a channel's messages in `(after, up_to]`, up to `most`.
    fn count(
        &self,
        channel: ChannelName,
        after: Offset,
        up_to: Offset,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, ReadError>>;
    /// Deletes one slice of the messages that the engine's [`Retention`] does not keep, which takes a few milliseconds.
    /// Resolves to the number of deleted messages; 0 means that nothing is left to delete now.
    fn trim(&self) -> BoxFuture<'_, Result<u64, AppendError>>;
    /// The epochs of this log.
    fn lineage(&self) -> &Lineage;
    /// Refuses new appends and waits until the accepted appends are durable.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Options of every engine.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How much of the log is kept.
    pub retention: Retention,
    /// The clock for times and ages.
    pub clock: Clock,
}

/// A new random epoch; every start of an engine takes a new epoch.
fn fresh_epoch() -> app::wire::Epoch {
    app::wire::Epoch::from_random(getrandom::u64().expect("the system has random numbers"))
}
