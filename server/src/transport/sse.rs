//! Server-Sent Events (HTML Standard, section 9.2). A message is a plain `data:` event with `id:`; every other frame
//! has `event:` with its type. The heartbeat is an event with `id:`, so that it moves the browser's `Last-Event-ID`
//! forward.

use super::goodbye::Goodbye;
use crate::{
    engine::Stored,
    hub::{Delivery, Encoder, Ended, Hub, Reader, Subscription},
    net::{Connection, Disconnected, Handoff, OnClose, Upgraded},
    session::Outgoing,
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

/// Time after which a browser reconnects on its own. It is random, so that not all browsers reconnect at once.
fn retry_ms() -> u64 {
    1000 + u64::from(getrandom::u32().unwrap_or(0)) % 2000
}

/// Streams a subscription that is already registered. Headers and a first event are sent at once. The response ends
/// with the connection (RFC 9112, section 6.3), so that events need no chunk framing.
pub fn respond(hub: Hub, subscription: Subscription, format: Format) -> Response {
    let mut response = (HEADERS, [(header::CONNECTION, HeaderValue::from_static("close"))]).into_response();
    Handoff::stream(&mut response, move |Upgraded { connection, on_close, .. }| {
        EventStream { hub, subscription, format, connection, _on_close: on_close }.serve()
    });
    response
}

struct EventStream {
    hub: Hub,
    subscription: Subscription,
    format: Format,
    connection: Arc<Connection>,
    _on_close: OnClose,
}

impl EventStream {
    async fn serve(mut self) {
        if let Err(Disconnected) = self.run().await {
            tracing::debug!("a reader of events is gone");
        }
    }

    async fn run(&mut self) -> Result<(), Disconnected> {
        let mut opening = BytesMut::from(format!("retry: {}\n", retry_ms()).as_str());
        frame(&mut opening, &Frame::Cursor { cursor: self.subscription.cursor() });
        self.connection.write(&opening.freeze());
        let reader = Reader::new(Arc::clone(&self.connection) as _, encoder(self.format));
        loop {
            // The reader may join its lane only when nothing waits to be written.
            self.connection.flush().await?;
            let next = tokio::select! {
                next = self.subscription.next(&reader) => next,
                () = self.connection.closed() => return Err(Disconnected),
            };
            match next {
                Ok(deliveries) => {
                    let mut out = BytesMut::new();
                    deliveries.into_iter().for_each(|delivery| event(&mut out, &delivery.into(), self.format));
                    self.connection.write(&out.freeze());
                }
                Err(ended) => return self.end(ended).await,
            }
        }
    }

    async fn end(&mut self, ended: Ended) -> Result<(), Disconnected> {
        let Some(bye) = Goodbye::of(ended, &self.hub).frame() else { return Ok(()) };
        let mut out = BytesMut::new();
        if let Frame::Bye { retry_ms, .. } = &bye {
            out.put(format!("retry: {retry_ms}\n").as_bytes());
        }
        frame(&mut out, &bye);
        self.connection.write(&out.freeze());
        self.connection.flush().await?;
        let _ = self.connection.shutdown();
        Ok(())
    }
}

struct EventEncoder(Format);

fn encoder(format: Format) -> &'static dyn Encoder {
    match format {
        Format::Frames => &EventEncoder(Format::Frames),
        Format::Bodies => &EventEncoder(Format::Bodies),
    }
}

impl Encoder for EventEncoder {
    fn name(&self) -> &'static str {
        match self.0 {
            Format::Frames => "events of frames",
            Format::Bodies => "events of bodies",
        }
    }

    fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
        deliveries.iter().for_each(|delivery| event(out, &delivery.clone().into(), self.0));
    }

    fn heartbeat(&self, cursor: Id) -> Bytes {
        let mut out = BytesMut::new();
        frame(&mut out, &Frame::Cursor { cursor });
        out.freeze()
    }
}

/// Headers of an endless response. They stop proxies from buffering it.
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
];

/// Streams events that do not come from a subscription.
pub fn stream_response(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    (HEADERS, HttpBody::from_stream(events.map(Ok::<_, Infallible>))).into_response()
}

fn event(out: &mut BytesMut, outgoing: &Outgoing, format: Format) {
    match outgoing {
        Outgoing::Message(stored) => message(out, stored, format),
        Outgoing::Frame(other) => frame(out, other),
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

/// Appends a frame that is not a message. The id of a heartbeat moves the browser's `Last-Event-ID` forward.
pub fn frame(out: &mut BytesMut, frame: &Frame) {
    out.put(format!("event: {}\n", frame.kind()).as_bytes());
    data(out, frame.to_json().as_bytes());
    if let Frame::Cursor { cursor } | Frame::Behind { cursor, .. } = frame {
        out.put(format!("id: {cursor}\n").as_bytes());
    }
    out.put_u8(b'\n');
}

/// Appends one `data:` line. `line` must have no line breaks; JSON never has any.
pub fn data(out: &mut BytesMut, line: &[u8]) {
    out.put(&b"data: "[..]);
    out.put(line);
    out.put_u8(b'\n');
}

/// Appends a text that may have line breaks. Each kind of line break begins a new `data:` line, so that no text can end
/// its event.
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
