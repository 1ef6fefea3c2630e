//! Server-Sent Events (HTML Standard, section 9.2): messages are plain `data:` events with `id:`, all other
//! frames carry `event:` with their type, and the heartbeat is a real event with `id:`.

use super::Pipe;
use crate::{
    engine::Stored,
    hub::{Delivery, Ended, Form, Hub, Subscription, Way},
};
use app::wire::{Body, Format, Frame, Id};
use axum::{
    body::Body as HttpBody,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, stream};
use std::{convert::Infallible, sync::Arc};

/// Time after which a browser comes back by itself, spread so that not all do at once.
fn retry_ms() -> u64 {
    1000 + u64::from(getrandom::u32().unwrap_or(0)) % 2000
}

/// The line a stream is written to.
pub struct Line {
    /// The connection's.
    pub pipe: Arc<Pipe>,
    /// The answer is sent in chunks: over HTTP/1.1 (RFC 9112, section 7.1). Over HTTP/1.0 it ends with the connection.
    pub chunked: bool,
}

/// A stream of a subscription that is registered already. Headers and a first event go out at once.
///
/// hyper writes these, and what the reader catches up with. Once it is up to date and hyper has written everything,
/// what comes is pushed past hyper, to the pipe: whole chunks, or nothing.
pub fn respond(hub: Hub, subscription: Subscription, format: Format, line: Line) -> Response {
    let mut opening = BytesMut::from(format!("retry: {}\n", retry_ms()).as_str());
    frame(&mut opening, &Frame::Cursor { cursor: subscription.cursor() });
    let opening = opening.freeze();
    let way = Way { outlet: Arc::clone(&line.pipe) as _, form: form(format, line.chunked) };
    let reader = Reader { hub, subscription, format, pipe: line.pipe, way };
    let follow = stream::unfold(Some((Some(opening), reader)), |state| async move {
        let (opening, mut reader) = state?;
        let (bytes, ended) = match opening {
            Some(opening) => (opening, false),
            None => reader.next().await?,
        };
        // From here on this is hyper's to write, until it has.
        reader.pipe.lend();
        Some((bytes, (!ended).then_some((None, reader))))
    });
    stream_response(follow)
}

struct Reader {
    hub: Hub,
    subscription: Subscription,
    format: Format,
    pipe: Arc<Pipe>,
    way: Way,
}

impl Reader {
    /// What hyper writes next, and whether it is the end.
    async fn next(&mut self) -> Option<(Bytes, bool)> {
        loop {
            self.pipe.returned().await.ok()?;
            match self.subscription.next(&self.way).await {
                Ok(deliveries) if deliveries.is_empty() => {}
                Ok(deliveries) => {
                    let mut out = BytesMut::new();
                    deliveries.iter().for_each(|delivery| event(&mut out, delivery, self.format));
                    return Some((out.freeze(), false));
                }
                Err(Ended::Closed) => return Some((self.goodbye(), true)),
                Err(Ended::Store(error)) => {
                    tracing::error!(%error, "a reader had to be let go");
                    return None;
                }
            }
        }
    }

    fn goodbye(&self) -> Bytes {
        let retry = self.hub.return_after().map_or_else(retry_ms, |after| after.as_millis() as u64);
        let mut out = BytesMut::from(format!("retry: {retry}\n").as_str());
        let reason = "the server is stopping".to_owned();
        frame(&mut out, &Frame::Bye { code: 1001, reason, retry_ms: retry });
        out.freeze()
    }
}

/// How deliveries look as events.
struct Events {
    format: Format,
    chunked: bool,
}

fn form(format: Format, chunked: bool) -> &'static dyn Form {
    match (format, chunked) {
        (Format::Frames, true) => &Events { format: Format::Frames, chunked: true },
        (Format::Frames, false) => &Events { format: Format::Frames, chunked: false },
        (Format::Bodies, true) => &Events { format: Format::Bodies, chunked: true },
        (Format::Bodies, false) => &Events { format: Format::Bodies, chunked: false },
    }
}

impl Events {
    fn put(&self, out: &mut BytesMut, events: &[u8]) {
        if self.chunked {
            out.put(format!("{:x}\r\n", events.len()).as_bytes());
            out.put(events);
            out.put(&b"\r\n"[..]);
        } else {
            out.put(events);
        }
    }
}

impl Form for Events {
    fn name(&self) -> &'static str {
        match (self.format, self.chunked) {
            (Format::Frames, true) => "events of frames, chunked",
            (Format::Frames, false) => "events of frames",
            (Format::Bodies, true) => "events of bodies, chunked",
            (Format::Bodies, false) => "events of bodies",
        }
    }

    fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
        let mut events = BytesMut::new();
        deliveries.iter().for_each(|delivery| event(&mut events, delivery, self.format));
        self.put(out, &events);
    }

    fn beat(&self, cursor: Id) -> Bytes {
        let (mut events, mut out) = (BytesMut::new(), BytesMut::new());
        frame(&mut events, &Frame::Cursor { cursor });
        self.put(&mut out, &events);
        out.freeze()
    }
}

/// An answer that never ends, with the headers that keep proxies from gathering it.
pub fn stream_response(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    use futures::StreamExt;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, HttpBody::from_stream(events.map(Ok::<_, Infallible>))).into_response()
}

fn event(out: &mut BytesMut, delivery: &Delivery, format: Format) {
    match delivery {
        Delivery::Message(stored) => message(out, stored, format),
        Delivery::Missed(missed) => frame(out, &Frame::Missed(missed.clone())),
        Delivery::Cursor(cursor) => frame(out, &Frame::Cursor { cursor: *cursor }),
        Delivery::Behind(cursor, behind) => frame(out, &Frame::Behind { cursor: *cursor, behind: *behind }),
        Delivery::Presence(presence) => frame(out, &Frame::Presence(presence.clone())),
        Delivery::Typing(typing) => frame(out, &Frame::Typing(typing.clone())),
    }
}

fn message(out: &mut BytesMut, stored: &Stored, format: Format) {
    match (format, &stored.message.body) {
        (Format::Frames, _) => data(out, &stored.frame),
        (Format::Bodies, Body::Text(body) | Body::Json(body)) => lines(out, body),
        (Format::Bodies, Body::Binary(bytes)) => data(out, BASE64_STANDARD.encode(bytes).as_bytes()),
    }
    out.put(format!("id: {}\n\n", stored.message.id).as_bytes());
}

/// Any frame but a message; a heartbeat's id moves the browser's `Last-Event-ID` forward.
pub fn frame(out: &mut BytesMut, frame: &Frame) {
    out.put(format!("event: {}\n", frame.kind()).as_bytes());
    data(out, frame.to_json().as_bytes());
    if let Frame::Cursor { cursor } | Frame::Behind { cursor, .. } = frame {
        out.put(format!("id: {cursor}\n").as_bytes());
    }
    out.put_u8(b'\n');
}

/// One line of data; JSON has no line breaks.
pub fn data(out: &mut BytesMut, line: &[u8]) {
    out.put(&b"data: "[..]);
    out.put(line);
    out.put_u8(b'\n');
}

/// Text of any shape: every kind of line break begins a new `data:` line, so that none can end the event.
fn lines(out: &mut BytesMut, text: &str) {
    for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
        data(out, line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_body_can_end_its_event() {
        let mut out = BytesMut::new();
        lines(&mut out, "a\r\nb\rc\n\nid: x");
        assert_eq!(&out[..], b"data: a\ndata: b\ndata: c\ndata: \ndata: id: x\n");
    }
}
