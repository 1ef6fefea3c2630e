//! Publishes and polls that lie whole in what a connection received: answered without hyper and axum, which would cost
//! more than they do themselves. They go through the same checks and the same rooms as all others. Whatever is not
//! plainly one of them is hyper's: it finds what was received untouched.

use super::{
    App, access, channel, dress,
    negotiate::{Asked, accepted},
    params::reading,
    peer::Peer,
    publish::{self, Post},
};
use crate::{
    limits::HEAD_TIMEOUT,
    transport::{Head, Line, Pipe},
};
use app::wire::{Answer, ChannelName, Reading};
use axum::{
    body::to_bytes,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::IntoResponse,
};
use bytes::{Bytes, BytesMut};
use percent_encoding::percent_decode_str;
use std::{
    net::IpAddr,
    pin::Pin,
    sync::{Arc, LazyLock},
};
use tokio::time::timeout;

/// Fields of a head that is looked at here; browsers send about fifteen.
const FIELDS: usize = 32;

/// The head of an answer to a publish, and of one to a poll, as axum would have them.
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
pub(super) struct Direct<'a> {
    pub(super) app: &'a App,
    pub(super) pipe: &'a Arc<Pipe>,
    pub(super) address: IpAddr,
}

impl Direct<'_> {
    /// Answers publishes and polls, until something else comes.
    pub(super) async fn serve(&self, mut received: Bytes, mut closed: Pin<&mut impl Future<Output = ()>>) -> Next {
        loop {
            if received.is_empty() {
                // Who is silent for so long between requests is let go, as hyper does.
                let heard = tokio::select! {
                    heard = timeout(HEAD_TIMEOUT, self.pipe.hear()) => heard,
                    () = closed.as_mut() => return Next::Over,
                };
                let Ok(Ok(bytes)) = heard else { return Next::Over };
                received = bytes;
            }
            let Some((request, rest)) = Request::read(&received, self) else { return Next::Other(received) };
            match request.answer(self, rest).await {
                Some(rest) => received = rest,
                None => return Next::Over,
            }
        }
    }
}

/// A request that is for here.
struct Request {
    asked: Asked,
    /// Whose pages may read the answer.
    origin: Option<HeaderValue>,
    work: Work,
    logged: Option<access::Request>,
}

/// What it asks for.
enum Work {
    Publish(ChannelName, Bytes),
    Poll(ChannelName, Reading),
}

impl Request {
    /// Reads a request, and what lies behind it; `None` if it is not plainly one that is for here.
    fn read(received: &Bytes, Direct { app, address, .. }: &Direct<'_>) -> Option<(Self, Bytes)> {
        let (method, uri, headers, end) = read_head(received)?;
        let end_of_body = end.checked_add(body_length(&headers)?)?;
        if received.len() < end_of_body {
            return None;
        }
        let body = received.slice(end..end_of_body);
        let path = uri.path();
        if app.socket_io.iter().any(|at| at.is_at(path) || at.has_script_at(path)) {
            return None;
        }
        let channel = channel_of(path)?;
        let origin = app.origins.check(&method, &uri, &headers, false).ok()?;
        let work = match method {
            Method::POST => Work::Publish(channel, body),
            Method::GET if body.is_empty() => {
                let reading = reading(&uri, &headers).ok()?;
                let is_poll = reading.answer.unwrap_or_else(|| accepted(&headers)) == Answer::Json;
                is_poll.then_some(Work::Poll(channel, reading))?
            }
            _ => return None,
        };
        let peer = Peer::of(*address, &headers, &app.trusted);
        let logged = app.log.request(&method, path, peer);
        let asked = Asked::of(app, peer, uri, headers);
        Some((Self { asked, origin, work, logged }, received.slice(end_of_body..)))
    }

    /// Answers it; gives back what lies behind it, unless the connection ends.
    async fn answer(self, direct: &Direct<'_>, rest: Bytes) -> Option<Bytes> {
        let Self { asked, origin, work, logged } = self;
        let app = direct.app;
        let closes = app.hub.is_closing();
        let outcome = match work {
            Work::Publish(channel, body) => match Post::read(app, &asked, channel) {
                Ok(post) => post.publish(app, body.into()).await.map(|published| {
                    let head = origin.clone().map(|origin| dress(publish::created(Vec::new()), Some(origin)));
                    (head.map_or_else(|| CREATED.clone(), |response| Head::of(&response, false)), published.into(), None)
                }),
                Err(refusal) => Err(refusal),
            },
            Work::Poll(channel, reading) => {
                let head = origin.clone().map(|origin| dress(channel::polled(), Some(origin)));
                let head = head.map_or_else(|| POLLED.clone(), |response| Head::of(&response, false));
                match channel::ask(app, &asked, vec![channel], &reading).await {
                    Ok(channel::Asking::Answered(body)) => Ok((head, body, app.hub.return_after())),
                    Ok(channel::Asking::Waits(poll)) => {
                        let farewell = logged.map(|logged| logged.taken(StatusCode::OK)).unwrap_or_default();
                        let line = Line {
                            pipe: Arc::clone(direct.pipe),
                            received: BytesMut::from(rest),
                            head: head.closing(closes),
                            farewell: farewell.on(direct.pipe),
                        };
                        drop(asked);
                        let line = Box::pin(poll.hold(line, app.hub.clone(), reading.wait)).await?;
                        return Some(line.received.freeze());
                    }
                    Err(error) => Err(error),
                }
            }
        };
        let (head, body, retry_after) = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                let response = dress(error.into_response(), origin);
                let head = Head::of(&response, false);
                (head, to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default(), None)
            }
        };
        let head = head.closing(closes);
        head.send(direct.pipe, &body, retry_after).await.ok()?;
        if let Some(logged) = logged {
            logged.end(head.status(), body.len() as u64);
        }
        (!closes).then_some(rest)
    }
}

/// Reads a head (RFC 9112, sections 3 and 5) of HTTP/1.1; where it ends.
fn read_head(received: &Bytes) -> Option<(Method, Uri, HeaderMap, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(end)) = request.parse(received) else { return None };
    let method = match (request.method, request.version) {
        (Some("GET"), Some(1)) => Method::GET,
        (Some("POST"), Some(1)) => Method::POST,
        _ => return None,
    };
    let target = request.path.filter(|target| target.starts_with('/'))?;
    let uri = Uri::from_maybe_shared(received.slice_ref(target.as_bytes())).ok()?;
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for field in &*request.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_maybe_shared(received.slice_ref(field.value)).ok()?);
    }
    Some((method, uri, headers, end))
}

/// How long the body is (RFC 9112, section 6), where that is beyond doubt and the connection is to go on as it is.
fn body_length(headers: &HeaderMap) -> Option<usize> {
    let special = [header::TRANSFER_ENCODING, header::UPGRADE, header::EXPECT, header::TE, header::TRAILER];
    if special.iter().any(|name| headers.contains_key(name)) {
        return None;
    }
    let goes_on = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
    if !headers.get_all(header::CONNECTION).iter().all(goes_on) {
        return None;
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Some(0),
        (Some(length), None) => {
            let digits = length.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse().ok()
        }
        (Some(_), Some(_)) => None,
    }
}

/// The channel of `/c/{channel}`.
fn channel_of(path: &str) -> Option<ChannelName> {
    let name = path.strip_prefix("/c/").filter(|name| !name.contains('/'))?;
    percent_decode_str(name).decode_utf8().ok()?.parse().ok()
}
