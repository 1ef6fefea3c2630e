use super::{Millis, reached};
use app::{
    live::{Outgoing, OutgoingState},
    wire::{Ack, Body, Command, ErrorCode, Id, PublishCommand},
};
use serde::{Deserialize, Serialize};

/// Messages that may wait; what is kept over a reload.
const WAITING_MOST: usize = 100;
/// Refused ones included.
const KEPT_MOST: usize = 2 * WAITING_MOST;
/// No answer for so long is told.
pub(super) const ANSWER: Millis = 10_000;
/// Times a message is sent again by itself when the server asks for it.
const AGAIN: u32 = 3;
const AGAIN_AFTER: Millis = 500;

/// How a message went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As a frame over this carrier.
    Socket(u32),
    /// As a request.
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

/// As kept over a reload: the publish command, which holds key and body.
#[derive(Serialize, Deserialize)]
struct Saved {
    command: String,
    failed: bool,
    #[serde(default)]
    reason: Option<String>,
}

/// Messages of this page that the server has not acknowledged, oldest first. One leaves when it is seen in
/// the feed, or acknowledged and the cursor is past it, or given up by hand; never otherwise.
#[derive(Default)]
pub(super) struct Outbox {
    items: Vec<Item>,
    /// The page must be told.
    pub(super) changed: bool,
    /// The store must be written.
    pub(super) unsaved: bool,
}

impl Outbox {
    pub(super) fn list(&self) -> Vec<Outgoing> {
        self.items.iter().map(|item| item.out.clone()).collect()
    }

    /// Takes a new message in; `false` if there is no room at all.
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

    /// The message is in the feed: the pending line gives way to it in the same picture.
    pub(super) fn seen(&mut self, key: &str) {
        self.discard(key);
    }

    /// The cursor moved: acknowledged messages up to it were handed out.
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

    /// The server has it. The line stays until the message itself is there.
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

    pub(super) fn refused_by_ref(
        &mut self,
        reference: u64,
        code: Option<ErrorCode>,
        why: String,
        now: Millis,
        jitter: Millis,
    ) {
        if let Some(key) = self.key_of(reference) {
            self.refused(&key, code, why, now, jitter);
        }
    }

    pub(super) fn refused(&mut self, key: &str, code: Option<ErrorCode>, why: String, now: Millis, jitter: Millis) {
        let temporary = matches!(code, Some(ErrorCode::Unavailable | ErrorCode::Unknown | ErrorCode::Timeout));
        self.not_taken(key, temporary, Some(why), now, jitter);
    }

    /// A request got no answer: it is sent again, as nobody knows whether it was stored.
    pub(super) fn unanswered(&mut self, key: &str, now: Millis, jitter: Millis) {
        self.not_taken(key, true, None, now, jitter);
    }

    fn not_taken(&mut self, key: &str, temporary: bool, reason: Option<String>, now: Millis, jitter: Millis) {
        let Some(item) = self.find(key).filter(|item| item.acked.is_none()) else { return };
        item.sent = None;
        if temporary && item.tries < AGAIN && !item.failed() {
            item.not_before = now + (AGAIN_AFTER << item.tries) + jitter;
            item.tries += 1;
        } else {
            item.out.state = OutgoingState::Failed { reason };
        }
        self.touch();
    }

    /// Answers to what went over this carrier will not come.
    pub(super) fn carrier_lost(&mut self, generation: u32) {
        for item in &mut self.items {
            let lost = item.sent.is_some_and(|sent| sent.way == Way::Socket(generation));
            if lost && item.acked.is_none() {
                item.sent = None;
            }
        }
    }

    /// The next message to send, in the order they were written.
    pub(super) fn next(&mut self, way: Way, reference: u64, now: Millis) -> Option<Outgoing> {
        if way == Way::Post && self.items.iter().any(|item| item.posting()) {
            return None;
        }
        let item = self.items.iter_mut().find(|item| item.is_due() && item.not_before <= now)?;
        item.sent = Some(Sent { at: now, way, reference });
        Some(item.out.clone())
    }

    /// Answers that did not come, and what each message's line says.
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

    /// When [`Outbox::settle`] or [`Outbox::next`] will find something.
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

    /// Takes back what was kept over a reload; what cannot be read is not ours.
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
