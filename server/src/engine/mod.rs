//! The engine: orders, keeps and spreads messages.
//!
//! # Contract
//!
//! 1. Every stored message gets its offset from one counter that only grows, whatever its channel. Offsets
//!    may skip and are never reused, not after trimming and not after a restart.
//! 2. [`Engine::append`] appends, makes durable, hands the message to the [`Tail`], and only then resolves.
//!    Nobody sees a message that could still be lost.
//! 3. The tail gets every stored message exactly once, in offset order, from one thread at a time.
//! 4. The same idempotency key in a channel within ten minutes with the same body resolves to the first
//!    message's id with `duplicate`, and nothing is stored; with another body it is
//!    [`AppendError::KeyConflict`].
//! 5. A message's `prev` is the id of the message stored before it in its channel, fixed when it is appended.
//! 6. [`Engine::read`] returns a channel's messages in offset order with nothing left out between them, and
//!    the channel's floor as of the same moment: everything at or below it may be gone.
//! 7. Trimming moves the floor before the rows go, oldest first, tells the tail, and never gives an offset out
//!    again.
//! 8. A failed append stored nothing, except [`AppendError::Unknown`], which promises neither. What was stored
//!    after all is dispatched before the next message is.
//! 9. A draft that expects a last message is stored only if that is the channel's last; a duplicate under its
//!    key comes first, so that a retry after a lost answer is not refused.
//! 10. Ten minutes are counted on the steady clock while the engine runs; ages begin at the wall clock of the
//!     start. Whoever sets the wall clock changes nothing but the times people see.
//!
//! The suite in `conformance.rs` holds every engine to these clauses.

#[cfg(test)]
mod conformance;
pub mod embedded;
mod lineage;
pub mod memory;
#[cfg(test)]
mod model;
mod retention;

pub use crate::clock::Clock;
pub use lineage::{Lineage, Resolved};
pub use retention::Retention;

use app::wire::{Body, ChannelName, Id, Message, Sender, Time, headers::Expected};
use bytes::Bytes;
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use std::{
    cell::RefCell,
    sync::{Arc, OnceLock},
};

/// A place in the log.
pub type Offset = u64;

/// A message that is to be stored.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Where to.
    pub channel: ChannelName,
    /// Who sends it.
    pub from: Sender,
    /// What it says.
    pub body: Body,
    /// Idempotency key.
    pub key: Option<String>,
    /// Store it only if this is the channel's last message.
    pub expected: Option<Expected>,
}

impl Draft {
    /// Whether the channel's last message is the one expected.
    fn fits(&self, last: Option<Id>) -> bool {
        match self.expected {
            None => true,
            Some(Expected::Any) => last.is_some(),
            Some(Expected::Last(id)) => last == Some(id),
        }
    }

    /// Tells bodies apart under one key.
    fn digest(&self) -> [u8; 32] {
        let kind = match self.body {
            Body::Text(_) => b't',
            Body::Json(_) => b'j',
            Body::Binary(_) => b'b',
        };
        Sha256::new_with_prefix([kind]).chain_update(self.body.as_bytes()).finalize().into()
    }
}

/// A message as it is kept and shared: encoded once, its bytes used by every reader; and not before one wants them, so
/// that the one writer does not do what any reader's thread can.
#[derive(Debug)]
pub struct Stored {
    /// The message.
    pub message: Message,
    frame: OnceLock<Bytes>,
    weight: usize,
}

thread_local! {
    /// Frames are written here first: what is kept then has its exact size, without growing to it.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is left of it after a large message.
const SCRATCH_BYTES: usize = 64 * 1024;
/// What a message costs beside its texts and their frame: the names of fields, ids, times, and the memory's own account.
const OTHER_BYTES: usize = 512;

impl Stored {
    /// Of a message.
    pub fn new(message: Message) -> Arc<Self> {
        let Message { channel, from, key, .. } = &message;
        let names = [channel.as_str(), &from.id, &from.name].into_iter().chain(key.as_deref());
        let names = names.map(|text| text.len() + json_length(text));
        let body = match &message.body {
            Body::Text(text) => json_length(text),
            Body::Json(json) => json.len(),
            Body::Binary(bytes) => bytes.len().div_ceil(3) * 4,
        };
        let weight = OTHER_BYTES + names.sum::<usize>() + message.body.as_bytes().len() + body;
        Arc::new(Self { message, frame: OnceLock::new(), weight })
    }

    /// Its frame: JSON on one line.
    pub fn frame(&self) -> &Bytes {
        self.frame.get_or_init(|| {
            SCRATCH.with_borrow_mut(|scratch| {
                if let Err(error) = serde_json::to_writer(&mut *scratch, &self.message) {
                    // What is published is checked; a store that was damaged may have anything.
                    tracing::error!(id = %self.message.id, %error, "a body that is to be JSON is none: it is told as text");
                    scratch.clear();
                    let body = Body::Text(String::from_utf8_lossy(self.message.body.as_bytes()).into_owned());
                    let told = Message { body, ..self.message.clone() };
                    serde_json::to_writer(&mut *scratch, &told).expect("a text is JSON");
                }
                let frame = Bytes::copy_from_slice(scratch);
                scratch.clear();
                scratch.shrink_to(SCRATCH_BYTES);
                frame
            })
        })
    }

    /// Its place in the log.
    pub fn offset(&self) -> Offset {
        self.message.id.offset
    }

    /// What it costs to keep at most, its frame counted from the start: what a memory holds does not grow when somebody
    /// reads it.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

/// Bytes of a text as JSON, at most. In parts whose sum fits into a byte: so the processor looks at many bytes at once.
fn json_length(text: &str) -> usize {
    const LONGEST: u8 = "\\u0000".len() as u8 - 1;
    const PART: usize = (u8::MAX / LONGEST) as usize / 16 * 16;
    let more = |byte: u8| u8::from(byte < 0x20) * LONGEST + u8::from(byte == b'"') + u8::from(byte == b'\\');
    let of = |part: &[u8]| part.iter().map(|byte| more(*byte)).sum::<u8>();
    text.len() + text.as_bytes().chunks(PART).map(|part| usize::from(of(part))).sum::<usize>()
}

/// What an append came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The message's id.
    pub id: Id,
    /// When it was stored.
    pub time: Time,
    /// It was there already, under the same key.
    pub duplicate: bool,
}

/// Why a message was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The key was used for another body.
    #[error("this idempotency key was used for another body less than ten minutes ago")]
    KeyConflict,
    /// The channel's last message is another one than expected: this one.
    #[error("the channel's last message is {}, not the one this was to follow; nothing was stored", shown(*.0))]
    NotLast(Option<Id>),
    /// No room.
    #[error("the disk is full; nothing was stored, try again when there is room")]
    Full,
    /// The store cannot be used just now.
    #[error("the store cannot be used just now; nothing was stored: {0}")]
    Unavailable(String),
    /// The engine has stopped.
    #[error("the store is closed; nothing was stored")]
    Closed,
    /// The commit's outcome is not known.
    #[error("it is not known whether the message was stored; send it again with the same key")]
    Unknown,
    /// The store failed.
    #[error("the store failed and nothing was stored: {0}")]
    Store(String),
}

fn shown(last: Option<Id>) -> String {
    last.map_or_else(|| "none".to_owned(), |id| id.to_string())
}

/// Why nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read: {0}")]
pub struct ReadError(pub String);

/// Messages of one channel, in order.
#[derive(Debug, Default)]
pub struct Slice {
    /// Oldest first, nothing left out between them.
    pub messages: Vec<Arc<Stored>>,
    /// There is more before `up_to`.
    pub more: bool,
    /// Everything at or below it may be gone.
    pub floor: Offset,
    /// When the message at the floor was stored, if that is known.
    pub floor_time: Option<Time>,
}

/// Which messages to read.
#[derive(Clone, Debug)]
pub struct Query {
    /// Of this channel.
    pub channel: ChannelName,
    /// Past this offset.
    pub after: Offset,
    /// Up to and with this one.
    pub up_to: Offset,
    /// At most so many.
    pub limit: usize,
    /// At most so many bytes, but at least one message.
    pub bytes: usize,
}

/// Where stored messages go: the dispatcher.
pub trait Tail: Send + Sync {
    /// Called once before anything else: where the log ends, and the channels and times of recent
    /// messages, newest first.
    fn begin(&self, head: Offset, recent: Vec<(ChannelName, Time)>);
    /// Newly stored messages in offset order. Must not block.
    fn dispatch(&self, batch: &[Arc<Stored>]);
    /// A channel's floor has moved: what lies at or below it is not handed out any more. Must not block.
    fn forget(&self, channel: &ChannelName, floor: Offset);
}

/// Orders, keeps and spreads messages. The contract is this module's documentation.
pub trait Engine: Send + Sync {
    /// Stores a message and resolves when it is durable and dispatched.
    fn append(&self, draft: Box<Draft>) -> BoxFuture<'_, Result<Appended, AppendError>>;
    /// Reads messages of one channel forwards.
    fn read(&self, query: Query) -> BoxFuture<'_, Result<Slice, ReadError>>;
    /// The offsets of a channel's newest `limit` messages up to `up_to`, oldest first.
    fn offsets(
        &self,
        channel: ChannelName,
        up_to: Offset,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Offset>, ReadError>>;
    /// The last messages of the channels that have one past `after`, newest first.
    fn channels(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, ReadError>>;
    /// How many of a channel's messages lie in `(after, up_to]`, counted up to `most`.
    fn count(
        &self,
        channel: ChannelName,
        after: Offset,
        up_to: Offset,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, ReadError>>;
    /// Drops one slice, of a few milliseconds, of what the engine's [`Retention`] does not keep; resolves to how
    /// many messages went. None: nothing is left to drop now.
    fn trim(&self) -> BoxFuture<'_, Result<u64, AppendError>>;
    /// The epochs of this log.
    fn lineage(&self) -> &Lineage;
    /// Stops taking appends and waits until those taken are durable.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What every engine is opened with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is kept.
    pub retention: Retention,
    /// What it goes by.
    pub clock: Clock,
}

/// A fresh random epoch: every start of every engine takes one.
fn fresh_epoch() -> app::wire::Epoch {
    app::wire::Epoch::from_random(getrandom::u64().expect("the system has random numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::wire::Kind;
    use proptest::prelude::*;

    fn stored(name: &str, body: Body) -> Arc<Stored> {
        let id = Id { epoch: fresh_epoch(), offset: u64::MAX };
        let channel: ChannelName = "가".repeat(64).parse().unwrap();
        let from = Sender { id: "\u{1}".repeat(40), name: name.to_owned(), kind: Kind::Program };
        let key = Some(name.to_owned());
        Stored::new(Message { id, prev: Some(id), channel, time: Time(0), from, body, key })
    }

    #[test]
    fn a_body_that_is_to_be_json_and_is_none_is_told_as_text() {
        for damaged in ["", "{", "{\"a\":", "nul", "\u{0}"] {
            let frame: serde_json::Value =
                serde_json::from_slice(stored("n", Body::Json(damaged.into())).frame()).unwrap();
            assert_eq!(frame["body"], damaged, "{frame}");
        }
        assert!(stored("n", Body::Json("{\"a\": 1}".into())).frame().ends_with(b"\"body\":{\"a\":1}}"));
    }

    proptest! {
        #[test]
        fn a_message_weighs_as_much_as_it_takes_at_most(text in "[\\x00-\\x7f가-힣]{0,300}", name in ".{0,60}", kind in 0..3) {
            let body = match kind {
                0 => Body::Text(text),
                1 => Body::Json(serde_json::to_string(&[&text]).unwrap()),
                _ => Body::Binary(text.into_bytes()),
            };
            let size = body.as_bytes().len();
            let stored = stored(&name, body);
            prop_assert!(stored.frame().len() + size <= stored.weight(), "{} {}", stored.frame().len(), stored.weight());
        }
    }
}
