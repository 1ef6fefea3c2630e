//! Messages of this page that the server has not acknowledged yet.

use super::{Millis, reached};
use app::{
    live::{Outgoing, OutgoingState},
    wire::{Ack, Body, Command, ErrorCode, Id, PublishCommand},
};
use serde::{Deserialize, Serialize};

/// Maximum messages that wait to be sent, and maximum messages that are kept over a reload.
const WAITING_MOST: usize = 100;
/// Maximum messages in the outbox, including refused messages.
const KEPT_MOST: usize = 2 * WAITING_MOST;
/// A message without an answer for this long is shown as failed.
pub(super) const ANSWER: Millis = 10_000;
/// How often a message is sent again automatically after a temporary failure.
const AGAIN: u32 = 3;
const AGAIN_AFTER: Millis = 500;
/// Up to this much is added to each wait, so that the pages of many visitors do not try again at once.
pub(super) const JITTER: u64 = 500;

/// The present, with the part of [`JITTER`] that is added to a wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jittered {
    pub(super) now: Millis,
    pub(super) jitter: Millis,
}

/// How a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As a frame over the carrier with this number.
    Socket(u32),
    /// As an HTTP request.
    Post,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Millis,
    way: Way,
    reference: u64,
}

struct Item {
    out: Outgoing,
    sent: Option<Sent>,
    acked: Option<Id>,
    tries: u32,
    not_before: Millis,
}

/// A message as it is kept over a reload: the publish command, which holds the key and the body.
#[derive(Serialize, Deserialize)]
struct Saved {
    command: String,
    failed: bool,
    #[serde(default)]
    reason: Option<String>,
}

/// Messages of this page that are not settled yet, oldest first. A message leaves only when it appears in the feed,
/// when the server acknowledged it and nothing more is expected, or when a person discards it.
#[derive(Default)]
pub(super) struct Outbox {
    items: Vec<Item>,
    /// Whether the page must be updated.
    pub(super) changed: bool,
    /// Whether the session storage must be written.
    pub(super) unsaved: bool,
}

impl Outbox {
    pub(super) fn list(&self) -> Vec<Outgoing> {
        self.items.iter().map(|item| item.out.clone()).collect()
    }

    /// Adds a new message. Returns `false` if the outbox is full.
    pub(super) fn push(&mut self, key: String, body: Body) -> bool {
        if self.items.len() >= KEPT_MOST {
            return false;
        }
        let full = self.items.len() >= WAITING_MOST;
        let reason = || Some(format!("{WAITING_MOST} messages are waiting already"));
        let state = if full { OutgoingState::Failed { reason: reason() } } else { OutgoingState::Waiting };
        self.add(key, body, state);
        true
    }

    fn add(&mut self, key: String, body: Body, state: OutgoingState) {
        let out = Outgoing { key, body, state };
        self.items.push(Item { out, sent: None, acked: None, tries: 0, not_before: 0 });
        self.touch();
    }

    fn touch(&mut self) {
        self.changed = true;
        self.unsaved = true;
    }

    pub(super) fn retry(&mut self, key: &str) {
        if let Some(item) = self.find(key).filter(|item| item.failed()) {
            item.out.state = OutgoingState::Waiting;
            (item.sent, item.tries, item.not_before) = (None, 0, 0);
            self.touch();
        }
    }

    pub(super) fn discard(&mut self, key: &str) {
        self.remove(|item| item.out.key == key);
    }

    /// Removes a message that is in the feed, so that the pending line disappears in the same frame.
    pub(super) fn seen(&mut self, key: &str) {
        self.discard(key);
    }

    /// Removes acknowledged messages up to the cursor, because they were delivered.
    pub(super) fn reached(&mut self, cursor: Option<Id>) {
        self.remove(|item| item.acked.is_some_and(|id| reached(cursor, id)));
    }

    fn remove(&mut self, gone: impl Fn(&Item) -> bool) {
        let before = self.items.len();
        self.items.retain(|item| !gone(item));
        if self.items.len() != before {
            self.touch();
        }
    }

    fn find(&mut self, key: &str) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.out.key == key)
    }

    fn key_of(&self, reference: u64) -> Option<String> {
        let asked = |item: &&Item| item.sent.is_some_and(|sent| sent.reference == reference);
        self.items.iter().find(asked).map(|item| item.out.key.clone())
    }

    pub(super) fn acked(&mut self, reference: u64, ack: &Ack, cursor: Option<Id>, now: Millis) {
        if let Some(key) = self.key_of(reference) {
            self.stored(&key, ack, cursor, now);
        }
    }

    /// Handles an acknowledgement. The pending line stays until the message itself arrives.
    pub(super) fn stored(&mut self, key: &str, ack: &Ack, cursor: Option<Id>, now: Millis) {
        let shown = ack.duplicate == Some(true) || ack.id.is_none_or(|id| reached(cursor, id));
        if shown {
            self.discard(key);
            return;
        }
        let Some(item) = self.find(key) else { return };
        item.acked = ack.id;
        item.out.state = OutgoingState::Sending;
        if let Some(sent) = &mut item.sent {
            sent.at = now;
        }
        self.touch();
    }

    pub(super) fn refused_by_ref(&mut self, reference: u64, code: Option<ErrorCode>, why: String, at: Jittered) {
        if let Some(key) = self.key_of(reference) {
            self.refused(&key, code, why, at);
        }
    }

    pub(super) fn refused(&mut self, key: &str, code: Option<ErrorCode>, why: String, at: Jittered) {
        let temporary = matches!(code, Some(ErrorCode::Unavailable | ErrorCode::Unknown | ErrorCode::Timeout));
        self.not_taken(key, temporary, Some(why), at);
    }

    /// Sends a message again after a request without an answer, because it is unknown whether the message was stored.
    pub(super) fn unanswered(&mut self, key: &str, at: Jittered) {
        self.not_taken(key, true, None, at);
    }

    fn not_taken(&mut self, key: &str, temporary: bool, reason: Option<String>, at: Jittered) {
        let Some(item) = self.find(key).filter(|item| item.acked.is_none()) else { return };
        item.sent = None;
        if temporary && item.tries < AGAIN && !item.failed() {
            item.not_before = at.now + (AGAIN_AFTER << item.tries) + at.jitter;
            item.tries += 1;
        } else {
            item.out.state = OutgoingState::Failed { reason };
        }
        self.touch();
    }

    /// Marks messages sent over this carrier as unsent, because their answers will not arrive.
    pub(super) fn carrier_lost(&mut self, generation: u32) {
        for item in &mut self.items {
            let lost = item.sent.is_some_and(|sent| sent.way == Way::Socket(generation));
            if lost && item.acked.is_none() {
                item.sent = None;
            }
        }
    }

    /// Returns the next message to send, in the order in which they were written.
    pub(super) fn next(&mut self, way: Way, reference: u64, now: Millis) -> Option<Outgoing> {
        if way == Way::Post && self.items.iter().any(|item| item.posting()) {
            return None;
        }
        let item = self.items.iter_mut().find(|item| item.is_due() && item.not_before <= now)?;
        item.sent = Some(Sent { at: now, way, reference });
        Some(item.out.clone())
    }

    /// Marks messages whose answer is overdue as failed, and updates the state that each line shows.
    pub(super) fn settle(&mut self, ready: bool, now: Millis) {
        let late = |item: &Item| item.sent.is_some_and(|sent| now >= sent.at + ANSWER);
        self.remove(|item| item.acked.is_some() && ready && late(item));
        let mut changed = false;
        for item in self.items.iter_mut().filter(|item| !item.failed()) {
            let state = if item.acked.is_none() && late(item) {
                OutgoingState::Failed { reason: None }
            } else if item.sent.is_some() || ready {
                OutgoingState::Sending
            } else {
                OutgoingState::Waiting
            };
            changed |= state != item.out.state;
            self.unsaved |= matches!(state, OutgoingState::Failed { .. });
            item.out.state = state;
        }
        self.changed |= changed;
    }

    /// Returns when [`Outbox::settle`] or [`Outbox::next`] has something to do next.
    pub(super) fn due(&self, ready: bool, now: Millis) -> Option<Millis> {
        let of = |item: &Item| match item.sent {
            _ if item.failed() => None,
            Some(sent) => (item.acked.is_none() || ready).then_some(sent.at + ANSWER),
            None => (ready && item.not_before > now).then_some(item.not_before),
        };
        self.items.iter().filter_map(of).min()
    }

    pub(super) fn save(&self, channel: &str) -> Option<String> {
        let saved: Vec<Saved> = self.items.iter().take(WAITING_MOST).map(|item| item.saved(channel)).collect();
        if saved.is_empty() { None } else { serde_json::to_string(&saved).ok() }
    }

    /// Restores the messages that were kept over a reload. Text that cannot be parsed is ignored.
    pub(super) fn restore(&mut self, text: &str) {
        let saved: Vec<Saved> = serde_json::from_str(text).unwrap_or_default();
        for Saved { command, failed, reason } in saved.into_iter().take(WAITING_MOST) {
            if let Ok(Command::Publish(PublishCommand { body, key: Some(key), .. })) = Command::parse(&command) {
                let state = if failed { OutgoingState::Failed { reason } } else { OutgoingState::Waiting };
                self.add(key, body, state);
            }
        }
    }
}

impl Item {
    fn failed(&self) -> bool {
        matches!(self.out.state, OutgoingState::Failed { .. })
    }

    fn posting(&self) -> bool {
        !self.failed() && self.acked.is_none() && self.sent.is_some_and(|sent| sent.way == Way::Post)
    }

    fn is_due(&self) -> bool {
        !self.failed() && self.sent.is_none() && self.acked.is_none()
    }

    fn saved(&self, channel: &str) -> Saved {
        let publish = PublishCommand {
            reference: None,
            channel: channel.to_owned(),
            body: self.out.body.clone(),
            key: Some(self.out.key.clone()),
        };
        let reason = match &self.out.state {
            OutgoingState::Failed { reason } => reason.clone(),
            OutgoingState::Sending | OutgoingState::Waiting => None,
        };
        Saved { command: Command::Publish(publish).to_json(), failed: self.failed(), reason }
    }
}
