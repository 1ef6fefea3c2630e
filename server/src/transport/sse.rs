//! Server-Sent Events (HTML Standard, section 9.2): messages are plain `data:` events with `id:`, all other
//! frames carry `event:` with their type, and the heartbeat is a real event with `id:`.

use super::{Farewell, Gone, Line, Pipe, Takeover};
use crate::{
    engine::Stored,
    hub::{Delivery, Ended, Form, Hub, Subscription, Way},
};
use app::wire::{Body, Format, Frame, Id};
use axum::{
    body::Body as HttpBody,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use std::{convert::Infallible, sync::Arc};

/// Time after which a browser comes back by itself, spread so that not all do at once.
fn retry_ms() -> u64 {
    1000 + u64::from(getrandom::u32().unwrap_or(0)) % 2000
}

/// A stream of a subscription that is registered already. Headers and a first event go out at once. It ends with the
/// connection (RFC 9112, section 6.3), so that nothing has to be said around the events.
pub fn respond(hub: Hub, subscription: Subscription, format: Format) -> Response {
    let mut response = (HEADERS, [(header::CONNECTION, HeaderValue::from_static("close"))]).into_response();
    Takeover::stream(&mut response, move |Line { pipe, farewell, .. }| {
        Reader { hub, subscription, format, pipe, _farewell: farewell }.serve()
    });
    response
}

struct Reader {
    hub: Hub,
    subscription: Subscription,
    format: Format,
    pipe: Arc<Pipe>,
    _farewell: Farewell,
}

impl Reader {
    async fn serve(mut self) {
        if let Err(Gone) = self.run().await {
            tracing::debug!("a reader of events is gone");
        }
    }

    async fn run(&mut self) -> Result<(), Gone> {
        let mut opening = BytesMut::from(format!("retry: {}\n", retry_ms()).as_str());
        frame(&mut opening, &Frame::Cursor { cursor: self.subscription.cursor() });
        self.pipe.put(&opening.freeze());
        let way = Way::new(Arc::clone(&self.pipe) as _, form(self.format));
        loop {
            // Nothing may wait to be written when the reader goes into its lane.
            self.pipe.drain().await?;
            let next = tokio::select! {
                next = self.subscription.next(&way) => next,
                () = self.pipe.gone() => return Err(Gone),
            };
            match next {
                Ok(deliveries) => {
                    let mut out = BytesMut::new();
                    deliveries.iter().for_each(|delivery| event(&mut out, delivery, self.format));
                    self.pipe.put(&out.freeze());
                }
                Err(Ended::Closed) => {
                    self.pipe.put(&self.goodbye());
                    self.pipe.drain().await?;
                    let _ = self.pipe.shut_down();
                    return Ok(());
                }
                Err(Ended::Store(error)) => {
                    tracing::error!(%error, "a reader had to be let go");
                    return Ok(());
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
struct Events(Format);

fn form(format: Format) -> &'static dyn Form {
    match format {
        Format::Frames => &Events(Format::Frames),
        Format::Bodies => &Events(Format::Bodies),
    }
}

impl Form for Events {
    fn name(&self) -> &'static str {
        match self.0 {
            Format::Frames => "events of frames",
            Format::Bodies => "events of bodies",
        }
    }

    fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
        deliveries.iter().for_each(|delivery| event(out, delivery, self.0));
    }

    fn beat(&self, cursor: Id) -> Bytes {
        let mut out = BytesMut::new();
        frame(&mut out, &Frame::Cursor { cursor });
        out.freeze()
    }
}

/// Of an answer that never ends: they keep proxies from gathering it.
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
];

/// A stream of events that is no subscription.
pub fn stream_response(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    (HEADERS, HttpBody::from_stream(events.map(Ok::<_, Infallible>))).into_response()
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
        (Format::Frames, _) => data(out, stored.frame()),
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
