//! Polls and long polls: messages as one JSON object. The same subscription as every transport, asked once.

use crate::{
    engine::{ReadError, Stored},
    hub::{Chunk, Delivery, Form, Outlet, Subscription, Way},
    limits::ANSWER_BYTES,
};
use app::wire::{Frame, Id, Missed};
use bytes::{BufMut, Bytes, BytesMut};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// `{"messages":[...],"cursor":"...","more":false,"missed":[]}`
#[derive(Debug)]
pub struct Answer {
    /// Oldest first.
    pub messages: Vec<Arc<Stored>>,
    /// Where to continue.
    pub cursor: Id,
    /// Asking again at once gives more.
    pub more: bool,
    /// What the reader will not get.
    pub missed: Vec<Missed>,
}

impl Answer {
    /// The answer as JSON; each message's bytes are those of every other transport.
    pub fn to_json(&self) -> BytesMut {
        let size: usize = self.messages.iter().map(|stored| stored.frame.len() + 1).sum();
        let mut out = BytesMut::with_capacity(size + 256);
        out.put(&b"{\"messages\":["[..]);
        for (index, stored) in self.messages.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            out.put(&stored.frame[..]);
        }
        let missed: Vec<Frame> = self.missed.iter().cloned().map(Frame::Missed).collect();
        let missed = serde_json::to_string(&missed).expect("missed frames are JSON");
        out.put(format!("],\"cursor\":\"{}\",\"more\":{},\"missed\":{missed}}}", self.cursor, self.more).as_bytes());
        out
    }
}

/// Takes what a subscription has, at most `limit`, as JSON; waits up to `wait` if that is nothing. All who wait at the
/// same place get the same bytes.
///
/// # Errors
/// The store cannot be read.
pub async fn take(mut subscription: Subscription, limit: usize, wait: Duration) -> Result<Bytes, ReadError> {
    let until = Instant::now() + wait;
    let mut answer = Answer { messages: Vec::new(), cursor: subscription.cursor(), more: false, missed: Vec::new() };
    loop {
        answer.gather(&mut subscription, limit).await?;
        if !answer.messages.is_empty() || !answer.missed.is_empty() || wait.is_zero() {
            return Ok(answer.to_json().freeze());
        }
        let slot = Arc::new(Slot { limit, pushed: Mutex::default() });
        let way = Way { outlet: Arc::clone(&slot) as _, form: &Json };
        let waited = timeout_at(until, subscription.one_push(&way)).await;
        if let Some(bytes) = slot.take() {
            return Ok(bytes);
        }
        if !matches!(waited, Ok(Ok(()))) {
            // The time is over, or the server stops.
            return Ok(answer.to_json().freeze());
        }
    }
}

/// Where the one answer of a poll is put.
struct Slot {
    limit: usize,
    pushed: Mutex<Option<Bytes>>,
}

impl Slot {
    fn take(&self) -> Option<Bytes> {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Outlet for Slot {
    fn push(&self, chunk: &Chunk) -> bool {
        // More than was asked for: it is read again, as much as fits.
        if chunk.messages <= self.limit {
            *self.pushed.lock().unwrap_or_else(PoisonError::into_inner) = Some(chunk.bytes.clone());
        }
        false
    }

    fn beat(&self, _: &Bytes) -> bool {
        true
    }
}

/// How deliveries look as an answer.
struct Json;

impl Form for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn encode(&self, deliveries: &[Delivery], to: Id, more: bool, out: &mut BytesMut) {
        let messages = deliveries.iter().filter_map(|delivery| match delivery {
            Delivery::Message(stored) => Some(Arc::clone(stored)),
            _ => None,
        });
        let answer = Answer { messages: messages.collect(), cursor: to, more, missed: Vec::new() };
        *out = answer.to_json();
    }

    fn beat(&self, _: Id) -> Bytes {
        Bytes::new()
    }
}

impl Answer {
    async fn gather(&mut self, subscription: &mut Subscription, limit: usize) -> Result<(), ReadError> {
        let mut room = ANSWER_BYTES;
        while self.messages.len() < limit && room > 0 {
            let ready = subscription.ready(limit - self.messages.len(), room).await?;
            let done = ready.is_empty() || matches!(ready.last(), Some(Delivery::Cursor(_)));
            for delivery in ready {
                match delivery {
                    Delivery::Message(stored) => {
                        room = room.saturating_sub(stored.weight());
                        self.messages.push(stored);
                    }
                    Delivery::Missed(missed) => self.missed.push(missed),
                    Delivery::Cursor(_) | Delivery::Behind(..) | Delivery::Presence(_) | Delivery::Typing(_) => {}
                }
            }
            if done {
                break;
            }
        }
        self.cursor = subscription.cursor();
        self.more = subscription.has_more().await?;
        Ok(())
    }
}
