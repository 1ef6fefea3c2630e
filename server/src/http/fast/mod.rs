//! The fast path: publishes and polls that lie whole in what a connection received are answered without hyper and axum,
//! which would cost more than they do themselves (bench rows `durable`, `poll-cpu` and `poll-most`).
//!
//! It holds no rule of its own. [`parse`] reads a request with the functions that handlers use, [`super::publish`] and
//! [`super::read`] carry it out, and [`super::raw_response`] writes the answer. A request that is not plainly a publish or a
//! poll goes to hyper untouched.
//!
//! - [`mod@head`]: bytes to a head, pure. [`template`]: a head that comes again. [`memo`]: the last request.

pub mod head;
mod memo;
mod parse;
pub mod template;

use super::{
    access_log::LoggedRequest,
    error::HttpError,
    publish::{self, created},
    raw_response::RawHead,
    read::{
        LongPoll, Wait,
        poll::{self, Answer, Polled},
    },
    router::dress,
    state::App,
};
use crate::{
    engine::Draft,
    limits::HEAD_TIMEOUT,
    net::{Connection, Deadline, OnClose, Upgraded},
};
use axum::{
    body::to_bytes,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use memo::{Action, Again, LastRequest, Parsed};
use std::{
    net::IpAddr,
    pin::Pin,
    sync::{Arc, LazyLock},
};
use tokio::{task::coop::consume_budget, time::Instant};

/// The heads of answers that pages of other origins may not read, as axum would have them.
static CREATED: LazyLock<RawHead> = LazyLock::new(|| RawHead::of(&dress(created(Vec::new()), None)));
static POLLED: LazyLock<RawHead> = LazyLock::new(|| RawHead::of(&dress(poll::head(), None)));

/// What becomes of a connection.
pub(super) enum Next {
    /// These bytes are not for the fast path: hyper continues with them.
    Hyper(Bytes),
    /// The connection is closed.
    Closed,
}

/// The fast path of one connection.
pub(super) struct Fast {
    app: App,
    upgraded: Upgraded,
    address: IpAddr,
    deadline: Deadline,
    last: Option<Box<LastRequest>>,
}

/// What came on a connection.
enum Received {
    /// The last request once more, with its line in the log, and nothing behind it.
    Again(Again, Option<Box<LoggedRequest>>),
    Bytes(Bytes),
}

/// An answer, but for what is known when it is sent.
struct Reply {
    head: RawHead,
    answer: Answer,
    logged: Option<Box<LoggedRequest>>,
}

impl Fast {
    pub(super) fn new(app: App, connection: Arc<Connection>, address: IpAddr) -> Self {
        let upgraded = Upgraded { connection, received: BytesMut::new(), on_close: OnClose::default() };
        Self { app, upgraded, address, deadline: Deadline::default(), last: None }
    }

    /// Answers publishes and polls, until something else comes.
    pub(super) async fn serve(&mut self, mut bytes: Bytes, mut stopping: Pin<&mut impl Future<Output = ()>>) -> Next {
        loop {
            let received = if bytes.is_empty() {
                match self.receive(stopping.as_mut()).await {
                    Some(received) => received,
                    None => return Next::Closed,
                }
            } else {
                Received::Bytes(bytes)
            };
            // A client that sends many requests at once does not hold up the others.
            consume_budget().await;
            let rest = match received {
                Received::Again(Again::Publish(draft), logged) => {
                    let reply = self.publish(&CREATED, Ok(draft), logged).await;
                    self.send(reply, Bytes::new()).await
                }
                Received::Again(Again::Poll(poll, until), logged) => self.wait(&POLLED, poll, until, logged).await,
                Received::Bytes(received) => match self.read(&received) {
                    None => return Next::Hyper(received),
                    Some(parsed) => self.answer(received, parsed).await,
                },
            };
            match rest {
                Some(rest) => bytes = rest,
                None => return Next::Closed,
            }
        }
    }

    /// Waits for the next request. `None` if the connection is over.
    async fn receive(&mut self, stopping: Pin<&mut impl Future<Output = ()>>) -> Option<Received> {
        let Self { app, upgraded, deadline, last, .. } = self;
        let classify = |bytes: &[u8]| {
            let again = last.as_mut().and_then(|last| {
                let again = last.again(app, bytes)?;
                Some(Received::Again(again, last.logged(app)))
            });
            again.unwrap_or_else(|| Received::Bytes(Bytes::copy_from_slice(bytes)))
        };
        // In a block: the clock is not read for a client that has sent something already.
        let silent = async { deadline.at(Instant::now() + HEAD_TIMEOUT).await };
        tokio::select! {
            biased;
            received = upgraded.connection.receive_with(classify) => received.ok(),
            // Closes a connection that sends nothing between requests for this long, as hyper does.
            () = silent => None,
            () = stopping => None,
        }
    }

    /// Reads a request: the last one again, or another. `None` if the request is hyper's.
    fn read(&mut self, received: &Bytes) -> Option<Parsed> {
        if let Some(last) = self.last.take()
            && let Some((params, body)) = last.reread(received)
        {
            return Some(Parsed { request: last, params, body });
        }
        parse::parse(&self.app, self.address, received)
    }

    /// Answers a request, which becomes the last one. Returns the bytes behind it, unless the connection ends.
    async fn answer(&mut self, received: Bytes, parsed: Parsed) -> Option<Bytes> {
        let Parsed { request, params, body } = parsed;
        let app = self.app.clone();
        let (logged, origin, channel) = (request.logged(&app), request.origin.clone(), request.shape.channel.clone());
        let action = request.action.clone();
        self.last = Some(request);
        let rest = received.slice(body.end..);
        match action {
            Action::Publish(params) => {
                let head = head(&CREATED, origin.as_ref(), || created(Vec::new()));
                let draft = publish::draft(&app, channel, params, received[body].into());
                drop(received);
                let reply = self.publish(&head, draft, logged).await;
                self.send(reply, rest).await
            }
            Action::Read(from) => {
                let head = head(&POLLED, origin.as_ref(), poll::head);
                // A poll may wait for long: what it was read from is not kept meanwhile.
                drop(received);
                match poll::read(&app, from, vec![channel], &params).await {
                    Ok(Polled::Now(answer)) => self.send(Reply { head, answer, logged }, rest).await,
                    Ok(Polled::Later(poll)) => {
                        self.upgraded.received = BytesMut::from(rest);
                        self.wait(&head, poll, Instant::now() + params.wait, logged).await
                    }
                    Err(error) => {
                        let reply = refused(error, origin, logged).await;
                        self.send(reply, rest).await
                    }
                }
            }
        }
    }

    async fn publish(
        &mut self,
        head: &RawHead,
        draft: Result<Box<Draft>, HttpError>,
        logged: Option<Box<LoggedRequest>>,
    ) -> Reply {
        let published = match draft {
            Ok(draft) => publish::publish(&self.app, draft).await,
            Err(error) => Err(error),
        };
        match published {
            Ok(published) => {
                let answer = Answer { body: published.to_json().into(), retry_after: None };
                Reply { head: head.clone(), answer, logged }
            }
            Err(error) => {
                let origin = self.last.as_ref().and_then(|last| last.origin.clone());
                refused(error, origin, logged).await
            }
        }
    }

    /// Sends an answer. Returns the bytes behind its request, unless the connection ends.
    async fn send(&mut self, reply: Reply, rest: Bytes) -> Option<Bytes> {
        let Reply { head, answer: Answer { body, retry_after }, logged } = reply;
        self.app.fast_answers.count();
        let closes = self.app.hub.is_closing();
        let head = head.closing(closes);
        head.send(&self.upgraded.connection, &body, retry_after).await.ok()?;
        if let Some(logged) = logged {
            logged.end(head.status(), body.len() as u64);
        }
        (!closes).then_some(rest)
    }

    /// Answers a poll when there is something. Returns what came meanwhile, unless the connection ends.
    async fn wait(
        &mut self,
        head: &RawHead,
        mut poll: Box<LongPoll>,
        until: Instant,
        logged: Option<Box<LoggedRequest>>,
    ) -> Option<Bytes> {
        self.app.fast_answers.count();
        let Self { app, upgraded, deadline, last, .. } = self;
        if let Some(logged) = logged {
            upgraded.on_close = logged.on_answer(StatusCode::OK).on(&upgraded.connection);
        }
        let wait = Wait { deadline, until };
        let goes_on = if app.hub.is_closing() {
            poll.answer(upgraded, &head.clone().closing(true), wait).await
        } else {
            poll.answer(upgraded, head, wait).await
        };
        upgraded.on_close = OnClose::default();
        if let Some(last) = last {
            last.poll = Some(poll);
        }
        goes_on.then(|| std::mem::take(&mut upgraded.received).freeze())
    }
}

/// The head of an answer: made already, unless pages of another origin may read it.
fn head(made: &LazyLock<RawHead>, origin: Option<&HeaderValue>, response: impl FnOnce() -> Response) -> RawHead {
    match origin {
        None => (**made).clone(),
        Some(origin) => RawHead::of(&dress(response(), Some(origin.clone()))),
    }
}

/// A refusal, as axum would have it.
async fn refused(error: HttpError, origin: Option<HeaderValue>, logged: Option<Box<LoggedRequest>>) -> Reply {
    let response = dress(error.into_response(), origin);
    let head = RawHead::of(&response);
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
    Reply { head, answer: Answer { body, retry_after: None }, logged }
}
