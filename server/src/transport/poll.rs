//! Polls and long polls: messages as one JSON object. The same subscription as every transport, asked once.

use super::{Alarm, Gone, Line, Pipe, Takeover, takeover::Head};
use crate::{
    engine::{ReadError, Stored},
    hub::{Chunk, Delivery, Form, Hub, Outlet, Subscription, Then, Way},
    limits::ANSWER_BYTES,
    session::Refusal,
};
use app::wire::{ErrorBody, ErrorDetail, Frame, Id, Missed};
use axum::{http::StatusCode, response::Response};
use bytes::{BufMut, Bytes, BytesMut};
use std::{
    future::poll_fn,
    hint::black_box,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{self, Context},
    time::Duration,
};
use tokio::time::Instant;

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
        let size: usize = self.messages.iter().map(|stored| stored.frame().len() + 1).sum();
        let mut out = BytesMut::with_capacity(size + 256);
        out.put(&b"{\"messages\":["[..]);
        for (index, stored) in self.messages.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            out.put(&stored.frame()[..]);
        }
        let missed: Vec<Frame> = self.missed.iter().cloned().map(Frame::Missed).collect();
        let missed = serde_json::to_string(&missed).expect("missed frames are JSON");
        out.put(format!("],\"cursor\":\"{}\",\"more\":{},\"missed\":{missed}}}", self.cursor, self.more).as_bytes());
        out
    }
}

/// One question, and those that go on from there.
pub struct Poll {
    subscription: Subscription,
    /// Messages of the answer.
    limit: usize,
    /// What was read, and nobody has got yet. In a box: what is pushed passes it by.
    answer: Option<Box<Answer>>,
    /// Where the last answer continues.
    cursor: Id,
    /// There was more than it held.
    more: bool,
    /// How it waits, once it has waited.
    waiting: Option<Waiting>,
}

/// How a poll waits for its answer.
struct Waiting {
    slot: Arc<Slot>,
    way: Way,
}

impl Poll {
    /// Asks for what there is.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ask(subscription: Subscription, limit: usize) -> Result<Self, ReadError> {
        let cursor = subscription.cursor();
        let mut this = Self { subscription, limit, answer: None, cursor, more: false, waiting: None };
        this.gather().await?;
        Ok(this)
    }

    /// Asks for what comes after `last`, without a look at whether there is anything: it is pushed, if the poll is put off.
    /// `false` if it has to be asked anew: the cursor is not of this log, or there was more than an answer holds.
    pub fn ask_again(&mut self, last: Id) -> bool {
        let goes_on = !self.more && self.subscription.go_on_after(last);
        if goes_on {
            self.cursor = last;
        }
        goes_on
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.answer.is_none()
    }

    /// What there is.
    pub fn to_json(&self) -> Bytes {
        let nothing = || Answer { messages: Vec::new(), cursor: self.cursor, more: self.more, missed: Vec::new() };
        self.answer.as_ref().map_or_else(|| nothing().to_json(), |answer| answer.to_json()).freeze()
    }

    /// Puts the answer off until there is something, at most so long. All who wait at the same place get the same bytes,
    /// each past hyper and without waking its task.
    pub fn wait(mut self, response: &mut Response, hub: Hub, wait: Duration) {
        Takeover::answer(response, move |mut line| async move {
            let over = Instant::now() + wait;
            self.hold(&mut line, &mut Alarm::default(), &hub, over).await.then_some(line)
        });
    }

    /// Answers on this line when there is something, at the latest when the time is over; whether the line goes on.
    pub async fn hold(&mut self, line: &mut Line, alarm: &mut Alarm, hub: &Hub, over: Instant) -> bool {
        let waiting = self.waiting_on(line);
        let answered = self.answer_on(line, &waiting, alarm, hub, over).await;
        // What was answered is not kept until the next request.
        self.answer = None;
        self.waiting = Some(waiting);
        if line.head.closes {
            let _ = line.pipe.shut_down();
        }
        answered.is_ok() && !line.head.closes
    }

    /// How to wait: as it waited before, if the answer goes the same way.
    fn waiting_on(&mut self, line: &Line) -> Waiting {
        let more = !line.received.is_empty() || line.head.closes;
        let state = Answered { said: false, left: false, more };
        if let Some(waiting) = self.waiting.take_if(|waiting| waiting.slot.is_on(line)) {
            *waiting.slot.state() = state;
            return waiting;
        }
        let slot = Arc::new(Slot {
            limit: self.limit,
            pipe: Arc::clone(&line.pipe),
            head: line.head.clone(),
            state: Mutex::new(state),
        });
        Waiting { way: Way::new(Arc::clone(&slot) as _, &Json), slot }
    }

    async fn answer_on(
        &mut self,
        line: &mut Line,
        Waiting { slot, way }: &Waiting,
        alarm: &mut Alarm,
        hub: &Hub,
        over: Instant,
    ) -> Result<(), Gone> {
        // Over when the server stops, the time is over, or the next request is there.
        while self.subscription.wait(way).is_ok()
            && poll_fn(|cx| self.poll_pushed(cx, slot, line, alarm, over)).await?
            && !slot.has_said()
        {
            // What was to be pushed was more than was asked for. In a box: this is seldom, and there are many who wait.
            match Box::pin(self.gather_again()).await {
                Ok(()) if self.is_empty() => {}
                Ok(()) => break,
                Err(error) => {
                    slot.fail(error);
                    break;
                }
            }
        }
        // However long the next request lets wait: the lane has nothing more to say. Whoever waited until now has passed
        // what is not of its channels.
        let reached = self.subscription.rest();
        if !slot.has_said() {
            self.cursor = reached.unwrap_or(self.cursor);
            slot.say(|head, pipe| head.put(pipe, &self.to_json(), hub.return_after()));
        }
        if slot.is_whole() { Ok(()) } else { line.pipe.drain().await }
    }

    /// Waits for a push after which there is something to do; `false` when there is none to wait for any more.
    fn poll_pushed(
        &mut self,
        cx: &mut Context<'_>,
        slot: &Slot,
        line: &mut Line,
        alarm: &mut Alarm,
        over: Instant,
    ) -> task::Poll<Result<bool, Gone>> {
        // First: after most pushes nobody is woken before the next request comes.
        while line.has_room() && line.pipe.poll_readable(cx)?.is_ready() {
            if slot.has_said() {
                return task::Poll::Ready(Ok(false));
            }
            line.hear()?;
            if slot.more_came() {
                return task::Poll::Ready(Ok(false));
            }
        }
        if self.subscription.poll_put_out(cx).is_ready() {
            return task::Poll::Ready(Ok(true));
        }
        alarm.poll_at(over, cx).map(|()| Ok(false))
    }

    /// Reads what was not pushed.
    async fn gather_again(&mut self) -> Result<(), ReadError> {
        let goes_on = self.subscription.go_on_after(self.cursor);
        debug_assert!(goes_on, "the cursor of an answer is one of this log");
        self.gather().await
    }

    async fn gather(&mut self) -> Result<(), ReadError> {
        let Self { subscription, limit, .. } = self;
        let (mut messages, mut missed) = (Vec::new(), Vec::new());
        let mut room = ANSWER_BYTES;
        while messages.len() < *limit && room > 0 {
            let ready = subscription.ready(*limit - messages.len(), room).await?;
            let done = ready.is_empty() || matches!(ready.last(), Some(Delivery::Cursor(_)));
            for delivery in ready {
                match delivery {
                    Delivery::Message(stored) => {
                        room = room.saturating_sub(stored.weight());
                        messages.push(stored);
                    }
                    Delivery::Missed(gone) => missed.push(gone),
                    Delivery::Cursor(_) | Delivery::Behind(..) | Delivery::Presence(_) | Delivery::Typing(_) => {}
                }
            }
            if done {
                break;
            }
        }
        let cursor = subscription.cursor();
        let more = subscription.has_more().await?;
        let is_empty = messages.is_empty() && missed.is_empty();
        self.answer = (!is_empty).then(|| Box::new(Answer { messages, cursor, more, missed }));
        (self.cursor, self.more) = (cursor, more);
        Ok(())
    }
}

/// Where the answer of a poll goes, one at a time.
struct Slot {
    limit: usize,
    pipe: Arc<Pipe>,
    head: Head,
    /// Held while the answer is written: whoever finds that it was said may go on behind it.
    state: Mutex<Answered>,
}

struct Answered {
    said: bool,
    /// Not all of it was written.
    left: bool,
    /// There is more to do than to wait for the next request: one is here already, the connection is to be closed, or
    /// not all was written. Who waits is woken for it.
    more: bool,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, Answered> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is for answers with this head on this line.
    fn is_on(&self, line: &Line) -> bool {
        Arc::ptr_eq(&self.pipe, &line.pipe) && self.head.is_same(&line.head)
    }

    fn has_said(&self) -> bool {
        self.state().said
    }

    /// Whether all of the answer was written.
    fn is_whole(&self) -> bool {
        !self.state().left
    }

    /// Another request came; whether the answer was given before.
    fn more_came(&self) -> bool {
        let mut state = self.state();
        state.more = true;
        state.said
    }

    /// Answers, unless that was done: `put` says whether all of it was written. Whether who waits has to be woken.
    fn say(&self, put: impl FnOnce(&Head, &Pipe) -> bool) -> bool {
        let mut state = self.state();
        if !std::mem::replace(&mut state.said, true) {
            state.left = !put(&self.head, &self.pipe);
            state.more |= state.left;
        }
        state.more
    }

    /// Says that the store cannot be read, as an answer that is not put off does.
    fn fail(&self, error: ReadError) {
        tracing::error!(%error, "a poll had to be let go");
        let Refusal { code, message, last } = error.into();
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = ErrorBody { error: ErrorDetail { code, message, last } };
        let body = serde_json::to_vec(&body).expect("an error is JSON");
        self.say(|head, pipe| head.failed(status).put(pipe, &body.into(), None));
    }
}

impl Outlet for Slot {
    fn push(&self, chunk: &Chunk) -> Then {
        // More than was asked for: it is read again, as much as fits.
        if chunk.messages > self.limit {
            return Then::Leaves;
        }
        if self.say(|head, pipe| head.put_shared(pipe, &chunk.bytes)) { Then::Leaves } else { Then::Ends }
    }

    fn look(&self) {
        black_box(self.state.is_poisoned());
        self.pipe.look();
    }

    fn beat(&self, _: &Bytes) -> Then {
        Then::Stays
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
