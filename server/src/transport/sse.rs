//! Server-Sent Events (HTML Standard, section 9.2): messages are plain `data:` events with `id:`, all other
//! frames carry `event:` with their type, and the heartbeat is a real event with `id:`.

use crate::{
    engine::Stored,
    hub::{Delivery, Hub, Subscription},
};
use app::wire::{Body, Format, Frame};
use axum::{
    body::Body as HttpBody,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, stream};
use std::convert::Infallible;

/// Time after which a browser comes back by itself, spread so that not all do at once.
fn retry_ms() -> u64 {
    1000 + u64::from(getrandom::u32().unwrap_or(0)) % 2000
}

/// A stream of a subscription that is registered already. Headers and a first event go out at once.
pub fn respond(hub: Hub, subscription: Subscription, format: Format) -> Response {
    let mut opening = BytesMut::from(format!("retry: {}\n", retry_ms()).as_str());
    frame(&mut opening, &Frame::Cursor { cursor: subscription.cursor() });
    let follow = stream::unfold(Some((hub, subscription)), move |state| async move {
        let (hub, mut subscription) = state?;
        tokio::select! {
            next = subscription.next() => {
                let Ok(deliveries) = next else { return None };
                let mut out = BytesMut::new();
                for delivery in deliveries {
                    event(&mut out, &delivery, format);
                }
                Some((out.freeze(), Some((hub, subscription))))
            }
            () = hub.closed() => {
                let retry = hub.return_after().map_or_else(retry_ms, |after| after.as_millis() as u64);
                let mut out = BytesMut::from(format!("retry: {retry}\n").as_str());
                let reason = "the server is stopping".to_owned();
                frame(&mut out, &Frame::Bye { code: 1001, reason, retry_ms: retry });
                Some((out.freeze(), None))
            }
        }
    });
    stream_response(stream_of(opening.freeze(), follow))
}

fn stream_of(
    first: Bytes,
    rest: impl Stream<Item = Bytes> + Send + 'static,
) -> impl Stream<Item = Bytes> + Send + 'static {
    use futures::StreamExt;
    stream::once(std::future::ready(first)).chain(rest)
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
