//! Publishes and polls that lie whole in what a connection received: answered without hyper and axum, which would cost
//! more than they do themselves. They go through the same checks and the same rooms as all others. Whatever is not
//! plainly one of them is hyper's: it finds what was received untouched.

mod caller;
pub mod head;

use super::{App, HttpError, access, channel, dress, negotiate::accepted, params::reading, publish};
use crate::{
    engine::Draft,
    limits::HEAD_TIMEOUT,
    transport::{Alarm, Farewell, Gone, Head, Line, Pipe},
};
use app::wire::{Answer, ChannelName, Reading};
use axum::{
    body::to_bytes,
    http::{HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use caller::{Caller, What};
use head::{Fields, RequestLine};
use percent_encoding::percent_decode_str;
use std::{
    net::IpAddr,
    ops::Range,
    pin::Pin,
    sync::{Arc, LazyLock},
};
use tokio::{task::coop::consume_budget, time::Instant};

/// The heads of answers, as axum would have them.
static CREATED: LazyLock<Head> = LazyLock::new(|| Head::of(&dress(publish::created(Vec::new()), None), false));
static POLLED: LazyLock<Head> = LazyLock::new(|| Head::of(&dress(channel::polled(), None), false));

/// What becomes of a connection.
pub(super) enum Next {
    /// It goes on with this, which is not for here.
    Other(Bytes),
    /// It is over.
    Over,
}

/// One connection.
pub(super) struct Direct {
    app: App,
    line: Line,
    address: IpAddr,
    alarm: Alarm,
    /// Who asked last.
    caller: Option<Box<Caller>>,
}

/// What came on a connection.
enum Heard {
    /// The last poll, once more, and nothing else: it waits until then.
    PollAgain(Instant),
    /// The last publish, once more, with this message, and nothing else.
    PublishAgain(Box<Draft>),
    Other(Bytes),
}

impl Heard {
    fn of(app: &App, caller: &mut Option<Box<Caller>>, bytes: &[u8]) -> Self {
        Self::again(app, caller, bytes).unwrap_or_else(|| Self::Other(Bytes::copy_from_slice(bytes)))
    }

    fn again(app: &App, caller: &mut Option<Box<Caller>>, bytes: &[u8]) -> Option<Self> {
        let caller = caller.as_mut()?;
        match caller.poll_again(app, bytes) {
            Some((over, end)) => (end == bytes.len()).then_some(Self::PollAgain(over)),
            None => caller.publish_again(app, bytes).map(Self::PublishAgain),
        }
    }
}

/// A request that is for here.
struct Request {
    channel: ChannelName,
    reading: Reading,
    /// What is published, if it is no poll.
    body: Option<Bytes>,
    /// Whose pages may read the answer.
    origin: Option<HeaderValue>,
    logged: Option<Box<access::Request>>,
}

/// What is left of a request when it is known what it came to.
struct Rest {
    origin: Option<HeaderValue>,
    logged: Option<Box<access::Request>>,
    /// What came behind it.
    received: Bytes,
}

/// What a request came to, but for the head of the answer.
enum Outcome {
    Created(Bytes),
    Polled(Bytes),
    /// The poll is put off, until then.
    Waits(Instant),
}

impl Direct {
    pub(super) fn new(app: App, pipe: Arc<Pipe>, address: IpAddr) -> Self {
        let line = Line { pipe, received: BytesMut::new(), head: POLLED.clone(), farewell: Farewell::default() };
        Self { app, line, address, alarm: Alarm::default(), caller: None }
    }

    /// Answers publishes and polls, until something else comes.
    pub(super) async fn serve(&mut self, mut received: Bytes, mut closed: Pin<&mut impl Future<Output = ()>>) -> Next {
        loop {
            let heard = if received.is_empty() {
                let Self { app, line, alarm, caller, .. } = self;
                // In a block: who has said something already is not given a time.
                let silent = async { alarm.at(Instant::now() + HEAD_TIMEOUT).await };
                tokio::select! {
                    biased;
                    heard = line.pipe.hear_with(|bytes| Heard::of(app, caller, bytes)) => heard,
                    // Who is silent for so long between requests is let go, as hyper does.
                    () = silent => return Next::Over,
                    () = closed.as_mut() => return Next::Over,
                }
            } else {
                Ok(Heard::Other(received))
            };
            // A client that sends many requests at once does not hold up the others.
            consume_budget().await;
            let rest = match heard {
                Err(Gone) => return Next::Over,
                Ok(Heard::PollAgain(over)) => self.hold_again(over).await,
                Ok(Heard::PublishAgain(draft)) => self.publish_again(draft).await,
                Ok(Heard::Other(bytes)) => match self.read(&bytes) {
                    None => return Next::Other(bytes),
                    Some((request, rest)) => {
                        // A poll may wait for long: what it was read from is not kept meanwhile.
                        drop(bytes);
                        self.answer(request, rest).await
                    }
                },
            };
            match rest {
                Some(rest) => received = rest,
                None => return Next::Over,
            }
        }
    }

    /// Answers a publish that came again.
    async fn publish_again(&mut self, draft: Box<Draft>) -> Option<Bytes> {
        let Self { app, caller, .. } = self;
        let caller = caller.as_ref().expect(ASKED);
        let logged = app.log.request(|| caller.logged().expect(ASKED));
        let outcome = publish::publish(app, draft).await.map(|body| Outcome::Created(body.into()));
        self.tell(outcome, Rest { origin: None, logged, received: Bytes::new() }).await
    }

    /// Puts off a poll that came again.
    async fn hold_again(&mut self, over: Instant) -> Option<Bytes> {
        let Self { app, line, caller, .. } = self;
        let caller = caller.as_ref().expect(ASKED);
        let logged = app.log.request(|| caller.logged().expect(ASKED));
        if app.hub.is_closing() {
            line.head = line.head.clone().closing(true);
        }
        self.hold(over, logged).await
    }

    /// Reads a request, and what lies behind it; `None` if it is not plainly one that is for here.
    fn read(&mut self, received: &Bytes) -> Option<(Request, Bytes)> {
        let again = self.caller.as_ref().and_then(|caller| caller.again(received));
        let (reading, body, origin) = match again {
            Some((reading, body)) => (reading, body, None),
            None => self.read_anew(received)?,
        };
        let caller = self.caller.as_ref()?;
        let What { method, channel, .. } = &*caller.last.as_ref()?.what;
        let logged = self.app.log.request(|| caller.logged().expect(ASKED));
        let rest = received.slice(body.end..);
        let body = (*method == Method::POST).then(|| received.slice(body));
        Some((Request { channel: channel.clone(), reading, body, origin, logged }, rest))
    }

    /// Reads a request that is not the last one again: what it asks for, where its body lies, and whose pages may read
    /// the answer.
    fn read_anew(&mut self, received: &Bytes) -> Option<(Reading, Range<usize>, Option<HeaderValue>)> {
        let Self { app, address, caller, .. } = self;
        let line = RequestLine::read(received)?;
        let RequestLine { method, uri, end: begin } = &line;
        let sent = &received[*begin..];
        let known = caller.as_ref().and_then(|caller| Some((caller, caller.fields.are_in(sent)?)));
        let mut fresh = None;
        let (headers, accepts, (length, end)) = match known {
            Some((caller, body)) => (&caller.asked.headers, caller.asked.answer, body),
            None => {
                let fresh = fresh.insert(Fields::read(sent)?);
                (&fresh.headers, accepted(&fresh.headers), fresh.are_in(sent)?)
            }
        };
        let body = begin + end;
        let body = body..body.checked_add(length).filter(|end| *end <= received.len())?;
        let channel = match known.and_then(|(caller, _)| caller.channel_at(uri.path())) {
            Some(channel) => channel,
            None => channel_of(app, uri.path())?,
        };
        let reading = reading(uri, headers).ok()?;
        // Errors of a request that accepts pages are pages.
        let is_poll = body.is_empty() && accepts != Answer::Html && reading.answer.unwrap_or(accepts) == Answer::Json;
        if *method != Method::POST && !is_poll {
            return None;
        }
        let origin = match known {
            Some((caller, _)) if caller.is_program => None,
            _ => app.origins.check(method, uri, headers, false).ok()?,
        };
        if let Some(fields) = fresh {
            *caller = Some(Box::new(Caller::new(fields, app, *address)));
        }
        caller.as_mut()?.asks(line, &received[..body.start], channel, reading.clone());
        Some((reading, body, origin))
    }

    /// Answers; gives back what lies behind the request, unless the connection ends.
    async fn answer(&mut self, request: Request, rest: Bytes) -> Option<Bytes> {
        let Request { channel, reading, body, origin, logged } = request;
        let outcome = match body {
            Some(body) => self.publish(channel, reading, body).await,
            None => self.poll(channel, reading).await,
        };
        self.tell(outcome, Rest { origin, logged, received: rest }).await
    }

    /// Says what a request came to, or puts off the answer.
    async fn tell(&mut self, outcome: Result<Outcome, HttpError>, rest: Rest) -> Option<Bytes> {
        let Rest { origin, logged, received } = rest;
        let closes = self.app.hub.is_closing();
        let mut retry_after = None;
        let (head, body) = match outcome {
            Ok(Outcome::Created(body)) => (head(&CREATED, origin, || publish::created(Vec::new())), body),
            Ok(Outcome::Polled(body)) => {
                retry_after = self.app.hub.return_after();
                (head(&POLLED, origin, channel::polled), body)
            }
            Ok(Outcome::Waits(over)) => {
                self.line.head = head(&POLLED, origin, channel::polled).closing(closes);
                self.line.received = BytesMut::from(received);
                return self.hold(over, logged).await;
            }
            Err(error) => {
                let response = dress(error.into_response(), origin);
                let head = Head::of(&response, false);
                (head, to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default())
            }
        };
        head.clone().closing(closes).send(&self.line.pipe, &body, retry_after).await.ok()?;
        if let Some(logged) = logged {
            logged.end(head.status(), body.len() as u64);
        }
        (!closes).then_some(received)
    }

    /// Gives the answer to the poll when there is one; what came meanwhile, unless the connection ends.
    async fn hold(&mut self, over: Instant, logged: Option<Box<access::Request>>) -> Option<Bytes> {
        let Self { app, line, alarm, caller, .. } = self;
        let last = caller.as_mut().and_then(|caller| caller.last.as_mut());
        let poll = last.and_then(|last| last.poll.as_mut()).expect("there is a poll to be put off");
        if let Some(logged) = logged {
            line.farewell = logged.taken(StatusCode::OK).on(&line.pipe);
        }
        let goes_on = poll.hold(line, alarm, &app.hub, over).await;
        line.farewell = Farewell::default();
        goes_on.then(|| std::mem::take(&mut line.received).freeze())
    }

    async fn publish(&mut self, channel: ChannelName, reading: Reading, body: Bytes) -> Result<Outcome, HttpError> {
        let caller = self.caller.as_mut().expect(ASKED);
        let draft = caller.draft(&self.app, channel, reading.from, body.into())?;
        Ok(Outcome::Created(publish::publish(&self.app, draft).await?.into()))
    }

    async fn poll(&mut self, channel: ChannelName, mut reading: Reading) -> Result<Outcome, HttpError> {
        let caller = self.caller.as_mut().expect(ASKED);
        let from = caller.sender(&self.app, reading.from.take());
        Ok(match channel::ask(&self.app, from, vec![channel], &reading).await? {
            channel::Asking::Answered(body) => Outcome::Polled(body),
            channel::Asking::Waits(poll) => {
                caller.waits(poll);
                Outcome::Waits(Instant::now() + reading.wait)
            }
        })
    }
}

const ASKED: &str = "who asks is known since the request was read";

/// The head of an answer: made already, unless pages of another origin may read it.
fn head(made: &LazyLock<Head>, origin: Option<HeaderValue>, response: impl FnOnce() -> Response) -> Head {
    match origin {
        None => (**made).clone(),
        Some(origin) => Head::of(&dress(response(), Some(origin)), false),
    }
}

/// The channel of `/c/{channel}`.
fn channel_of(app: &App, path: &str) -> Option<ChannelName> {
    if app.socket_io.iter().any(|at| at.is_at(path) || at.has_script_at(path)) {
        return None;
    }
    let name = path.strip_prefix("/c/").filter(|name| !name.contains('/'))?;
    percent_decode_str(name).decode_utf8().ok()?.parse().ok()
}
