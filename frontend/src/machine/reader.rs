//! The page's position in the channel, with the detection of duplicates and gaps.

use app::{
    page::Channel,
    wire::{Id, Message, Missed},
};

/// The decision about a message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// Show the message.
    Fresh,
    /// The message is already shown, because two carriers overlapped.
    Duplicate,
    /// A message before it is missing: read again from the last message seen.
    Gap,
    /// Reading again did not bring the missing message: show this message and warn.
    FreshAfterGap,
}

/// The messages of the channel that were seen, and where reading continues.
#[derive(Default)]
pub(super) struct Reader {
    cursor: Option<Id>,
    /// The last message shown. Only messages with a higher offset are new.
    seen: Option<Id>,
    /// The `prev` that the next message must have, if it is known.
    chain: Option<Id>,
    /// The message whose predecessor was missing, which made the page read again.
    doubted: Option<Id>,
    last_missed: Option<Missed>,
    duplicates: u64,
    keys: Vec<String>,
}

impl Reader {
    pub(super) fn of(channel: &Channel) -> Self {
        let last = channel.messages.last().map(|message| message.id);
        Self {
            cursor: Some(channel.cursor),
            seen: last,
            // A page opened at an older message does not end at its cursor, so the next `prev` is unknown.
            chain: last.filter(|_| channel.at.is_none()),
            keys: channel.messages.iter().filter_map(|message| message.key.clone()).collect(),
            ..Self::default()
        }
    }

    pub(super) fn cursor(&self) -> Option<Id> {
        self.cursor
    }

    /// Takes the keys of the messages that the server rendered. Needed once, at the start.
    pub(super) fn take_keys(&mut self) -> Vec<String> {
        std::mem::take(&mut self.keys)
    }

    #[cfg(test)]
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    #[cfg(test)]
    pub(super) fn has_doubted(&self) -> bool {
        self.doubted.is_some()
    }

    /// Decides about a message of the channel, and advances if the message is to be shown.
    pub(super) fn take(&mut self, message: &Message) -> Take {
        if self.seen.is_some_and(|seen| message.id.offset <= seen.offset) {
            self.duplicates += 1;
            return Take::Duplicate;
        }
        let broken = self.chain.is_some() && message.prev != self.chain;
        if broken && self.doubted != Some(message.id) {
            self.doubted = Some(message.id);
            // Heartbeats may have moved the cursor past the missing message.
            self.cursor = self.chain;
            return Take::Gap;
        }
        self.seen = Some(message.id);
        self.chain = Some(message.id);
        if !reached_by(self.cursor, message.id) {
            self.cursor = Some(message.id);
        }
        if broken { Take::FreshAfterGap } else { Take::Fresh }
    }

    /// Advances to the cursor of a heartbeat: everything up to it was delivered. A second carrier may open with an
    /// older cursor, which is ignored.
    pub(super) fn advance(&mut self, cursor: Id) {
        if !reached_by(self.cursor, cursor) {
            self.cursor = Some(cursor);
        }
    }

    /// Handles missing history. Returns `false` if the same loss was reported before. Reading continues after `to`,
    /// which is before the last message seen if the store was reset to an older state.
    pub(super) fn miss(&mut self, missed: &Missed) -> bool {
        if self.last_missed.as_ref() == Some(missed) {
            return false;
        }
        self.cursor = Some(missed.to);
        self.seen = self.seen.filter(|seen| seen.offset <= missed.to.offset);
        self.chain = None;
        self.last_missed = Some(missed.clone());
        true
    }
}

fn reached_by(cursor: Option<Id>, id: Id) -> bool {
    super::reached(cursor, id)
}
