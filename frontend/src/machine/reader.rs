use app::{
    page::Channel,
    wire::{Id, Message, Missed},
};

/// What to do with a message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// Show it.
    Fresh,
    /// It is shown already: two carriers overlapped.
    Duplicate,
    /// One before it did not arrive: read again from the last one seen.
    Gap,
    /// Reading again did not help: show it and complain.
    FreshAfterGap,
}

/// What of the channel was seen, and where reading goes on.
#[derive(Default)]
pub(super) struct Reader {
    cursor: Option<Id>,
    /// The last message shown; only higher offsets are new.
    seen: Option<Id>,
    /// What the next message's `prev` must be, once that is known.
    chain: Option<Id>,
    /// The message before which one was missing, when reading began again.
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
            // A page at an older message does not end where its cursor is: nothing is known of what follows.
            chain: last.filter(|_| channel.at.is_none()),
            keys: channel.messages.iter().filter_map(|message| message.key.clone()).collect(),
            ..Self::default()
        }
    }

    pub(super) fn cursor(&self) -> Option<Id> {
        self.cursor
    }

    /// The keys of the messages the page came with; needed once, at the start.
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

    /// Judges a message of the channel and moves on when it is to be shown.
    pub(super) fn take(&mut self, message: &Message) -> Take {
        if self.seen.is_some_and(|seen| message.id.offset <= seen.offset) {
            self.duplicates += 1;
            return Take::Duplicate;
        }
        let broken = self.chain.is_some() && message.prev != self.chain;
        if broken && self.doubted != Some(message.id) {
            self.doubted = Some(message.id);
            // Heartbeats may have moved the cursor past what is missing.
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

    /// A heartbeat: everything up to here was handed out. An older one is the opening of a second carrier.
    pub(super) fn advance(&mut self, cursor: Id) {
        if !reached_by(self.cursor, cursor) {
            self.cursor = Some(cursor);
        }
    }

    /// History is gone; `false` if that was told already. Reading goes on after `to`, which in a store that
    /// was set back lies before what was seen.
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
