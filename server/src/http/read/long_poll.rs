//! A poll that waits: the same subscription as every transport's, asked for one answer at a time.

use super::{
    super::raw_response::RawHead,
    messages::{JsonEncoder, Messages},
    poll_sink::PollSink,
};
use crate::{
    engine::ReadError,
    hub::{Delivery, Hub, Reader, Start, Subscription},
    limits::{ANSWER_BYTES, POLL_ATTENDANCE},
    net::{Deadline, Disconnected, Upgraded},
};
use app::wire::{ChannelName, Id, ReadParams, Sender};
use bytes::Bytes;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// One poll, and those that continue where its answer ended. Remembering it between two requests of a connection saves a
/// subscription, a reader and their allocations for each (bench row `poll-cpu`).
pub(in super::super) struct LongPoll {
    hub: Hub,
    /// Who polls.
    from: Sender,
    subscription: Subscription,
    /// Messages of one answer.
    limit: usize,
    /// What was read and not delivered yet. Boxed: what is pushed passes it by.
    unread: Option<Box<Messages>>,
    /// Where the last answer continues.
    cursor: Id,
    /// There was more than the last answer held.
    more: bool,
    /// Until when the presence of who polls need not be renewed.
    present_until: Option<Instant>,
    /// Where answers are written, since the poll first waited.
    waiting: Option<(Arc<PollSink>, Arc<Reader>)>,
}

/// How long a poll waits.
pub(in super::super) struct Wait<'a> {
    /// A timer of the poll's task.
    pub(in super::super) deadline: &'a mut Deadline,
    /// When it answers that there is nothing.
    pub(in super::super) until: Instant,
}

impl LongPoll {
    /// Asks for what there is.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub(super) async fn ask(
        hub: Hub,
        from: Sender,
        channels: Vec<ChannelName>,
        params: &ReadParams,
    ) -> Result<Self, ReadError> {
        if params.continues() {
            hub.polled(&channels, &from, params.wait);
        }
        let start = params.start.unwrap_or(Start::Last(params.limit));
        let limit = match start {
            Start::Last(count) => count.max(params.limit),
            Start::Now | Start::After(_) | Start::Earliest => params.limit,
        };
        let subscription = hub.subscribe(channels, start).await?;
        let cursor = subscription.cursor();
        let mut this = Self {
            hub,
            from,
            subscription,
            limit,
            unread: None,
            cursor,
            more: false,
            present_until: None,
            waiting: None,
        };
        this.gather().await?;
        Ok(this)
    }

    /// Asks for what comes after `last`, without a look whether there is anything: it is pushed when the poll waits.
    /// Returns `false` if it has to be asked anew: the cursor is not one of this log, or there was more than the last
    /// answer held.
    pub(in super::super) fn ask_again(&mut self, last: Id, wait: Duration) -> bool {
        if self.more || !self.subscription.move_to(last) {
            return false;
        }
        self.cursor = last;
        let now = Instant::now();
        if self.present_until.is_none_or(|until| until <= now) {
            self.present_until = Some(now + POLL_ATTENDANCE);
            self.hub.polled(self.subscription.channels(), &self.from, wait + POLL_ATTENDANCE);
        }
        true
    }

    /// Whether there is nothing to answer.
    pub(super) fn is_empty(&self) -> bool {
        self.unread.is_none()
    }

    /// The answer.
    pub(super) fn to_json(&self) -> Bytes {
        let nothing = || Messages { messages: Vec::new(), cursor: self.cursor, more: self.more, missed: Vec::new() };
        self.unread.as_ref().map_or_else(|| nothing().to_json(), |unread| unread.to_json()).freeze()
    }

    /// Answers on this connection when there is something, at the latest when the wait is over. All who wait at the same place get the
    /// same bytes, past hyper and without waking a task for each. Returns whether the connection continues.
    pub(in super::super) async fn answer(
        &mut self,
        upgraded: &mut Upgraded,
        head: &RawHead,
        mut wait: Wait<'_>,
    ) -> bool {
        let (sink, reader) = self.begin(upgraded, head);
        let answered = self.answer_through(upgraded, &sink, &reader, &mut wait).await;
        // What was answered is not kept until the next request.
        self.unread = None;
        self.waiting = Some((sink, reader));
        if head.closes {
            let _ = upgraded.connection.shutdown();
        }
        answered.is_ok() && !head.closes
    }

    /// Where the answer is written: the same as last time, on the same connection.
    fn begin(&mut self, upgraded: &Upgraded, head: &RawHead) -> (Arc<PollSink>, Arc<Reader>) {
        let known = self.waiting.take().filter(|(sink, _)| sink.is_on(&upgraded.connection));
        let (sink, reader) = known.unwrap_or_else(|| {
            let sink = Arc::new(PollSink::new(self.limit, Arc::clone(&upgraded.connection), head.clone()));
            let reader = Reader::new(Arc::clone(&sink) as _, &JsonEncoder);
            (sink, reader)
        });
        sink.begin(head, !upgraded.received.is_empty());
        (sink, reader)
    }

    async fn answer_through(
        &mut self,
        upgraded: &mut Upgraded,
        sink: &PollSink,
        reader: &Arc<Reader>,
        wait: &mut Wait<'_>,
    ) -> Result<(), Disconnected> {
        // Ends when the server stops, the time is over, or the next request is there.
        while self.subscription.wait(reader).is_ok()
            && poll_fn(|cx| self.poll_pushed(cx, sink, upgraded, wait)).await?
            && !sink.is_answered()
        {
            // What was to be pushed was more than the client asked for. Boxed: this is rare, and many polls wait.
            match Box::pin(self.gather_again()).await {
                Ok(()) if self.is_empty() => {}
                Ok(()) => break,
                Err(error) => {
                    sink.fail(error);
                    break;
                }
            }
        }
        // From here on the lane writes nothing, however long the next request lets wait. A reader that waited until now has
        // passed the messages of other channels.
        let reached = self.subscription.rest();
        if !sink.is_answered() {
            self.cursor = reached.unwrap_or(self.cursor);
            sink.answer(&self.to_json(), self.hub.return_after());
        }
        if sink.is_sent() { Ok(()) } else { upgraded.connection.flush().await }
    }

    /// Waits for a push after which there is something to do. Resolves to `false` if nothing more is to be waited for.
    fn poll_pushed(
        &mut self,
        cx: &mut Context<'_>,
        sink: &PollSink,
        upgraded: &mut Upgraded,
        wait: &mut Wait<'_>,
    ) -> Poll<Result<bool, Disconnected>> {
        // First: after most pushes the task is not woken before the next request comes.
        while upgraded.has_room() && upgraded.connection.poll_readable(cx)?.is_ready() {
            if sink.is_answered() {
                return Poll::Ready(Ok(false));
            }
            upgraded.receive()?;
            if sink.request_came() {
                return Poll::Ready(Ok(false));
            }
        }
        if self.subscription.poll_put_out(cx).is_ready() {
            return Poll::Ready(Ok(true));
        }
        wait.deadline.poll_at(wait.until, cx).map(|()| Ok(false))
    }

    /// Reads what was not pushed.
    async fn gather_again(&mut self) -> Result<(), ReadError> {
        let moved = self.subscription.move_to(self.cursor);
        debug_assert!(moved, "the cursor of an answer is one of this log");
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
        self.unread = (!is_empty).then(|| Box::new(Messages { messages, cursor, more, missed }));
        (self.cursor, self.more) = (cursor, more);
        Ok(())
    }
}
