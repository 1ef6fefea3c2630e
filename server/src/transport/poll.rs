//! Polls and long polls: messages as one JSON object. The same subscription as every transport, asked once.

use crate::{
    engine::{ReadError, Stored},
    hub::{Delivery, Hub, Subscription},
    limits::ANSWER_BYTES,
};
use app::wire::{Frame, Id, Missed};
use bytes::{BufMut, BytesMut};
use std::{sync::Arc, time::Duration};
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

/// Takes what a subscription has, at most `limit`; waits up to `wait` if that is nothing.
///
/// # Errors
/// The store cannot be read.
pub async fn take(
    hub: &Hub,
    mut subscription: Subscription,
    limit: usize,
    wait: Duration,
) -> Result<Answer, ReadError> {
    let until = Instant::now() + wait;
    let mut answer = Answer { messages: Vec::new(), cursor: subscription.cursor(), more: false, missed: Vec::new() };
    loop {
        answer.gather(&mut subscription, limit).await?;
        if !answer.messages.is_empty() || !answer.missed.is_empty() || wait.is_zero() {
            return Ok(answer);
        }
        let next = tokio::select! {
            next = timeout_at(until, subscription.wait()) => next,
            () = hub.closed() => return Ok(answer),
        };
        if next.is_err() {
            return Ok(answer);
        }
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
