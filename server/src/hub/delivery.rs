//! What a reader is handed, where a reader is, and how reading ends.

use crate::engine::{Offset, ReadError, Stored};
use app::wire::{Id, Missed, PresenceUpdate, Typing};
use std::sync::Arc;

/// One thing that a reader is handed.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The next message.
    Message(Arc<Stored>),
    /// Messages before the next one are gone.
    Missed(Missed),
    /// The reader has everything up to here: sent after catching up, and as heartbeat.
    Cursor(Id),
    /// The reader has everything up to here, and so many messages wait for it.
    Behind(Id, u32),
    /// Who joined and who left.
    Presence(PresenceUpdate),
    /// Who is typing.
    Typing(Typing),
}

/// Why a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The server stops.
    #[error("the server is stopping")]
    Closed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ReadError),
}

/// Where a reader is. It never moves back, unless the reader itself asks for an earlier cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The reader has everything up to here.
    pub(super) at: Offset,
    /// The version of presence that the reader knows, if it wants to know.
    pub(super) seen: Option<u64>,
}

impl Position {
    /// Moves forward.
    pub(super) fn advance(&mut self, to: Self) {
        assert!(to.at >= self.at, "a position never moves back: from {} to {}", self.at, to.at);
        *self = to;
    }
}
