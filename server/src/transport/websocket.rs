//! WebSocket (RFC 6455): each frame out is one text frame, each frame in is the session's.

use super::{
    Farewell, Gone, Line, Pipe, Takeover,
    assembler::{Assembler, Incoming, Violation},
};
use crate::{
    hub::{Delivery, Ended, Form, Hub, Way},
    session::{Line as Said, Session},
};
use app::wire::{Body, CloseCode, ErrorCode, Format, Frame, Id};
use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tungstenite::{
    handshake::derive_accept_key,
    protocol::frame::{
        FrameHeader,
        coding::{Control, Data, OpCode},
    },
};

/// Bytes a close's reason may have: a control frame has at most 125 (section 5.5).
const REASON_BYTES: usize = 123;

/// For logs (section 7.1.5): the other side closed without a code, or is gone without a close.
const NO_CODE: u16 = 1005;
pub(super) const NO_CLOSE: u16 = 1006;

/// Why a request is no opening handshake (section 4.2.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHandshake {
    /// Another method or an older HTTP.
    #[error("a WebSocket is opened with GET over HTTP/1.1")]
    Method,
    /// A header is missing or another one than asked for.
    #[error("a WebSocket's opening handshake has the header {0}")]
    Header(&'static str),
}

/// An opening handshake that can be answered.
pub struct Handshake {
    accept: HeaderValue,
}

impl Handshake {
    /// Reads a request's.
    ///
    /// # Errors
    /// It is none.
    pub fn read(method: &Method, version: Version, headers: &HeaderMap) -> Result<Self, NoHandshake> {
        if method != Method::GET || version != Version::HTTP_11 {
            return Err(NoHandshake::Method);
        }
        let names = |name, wanted: &str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(wanted))
        };
        if !names(header::CONNECTION, "upgrade") {
            return Err(NoHandshake::Header("Connection: upgrade"));
        }
        if !names(header::UPGRADE, "websocket") {
            return Err(NoHandshake::Header("Upgrade: websocket"));
        }
        if !names(header::SEC_WEBSOCKET_VERSION, "13") {
            return Err(NoHandshake::Header("Sec-WebSocket-Version: 13"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(NoHandshake::Header("Sec-WebSocket-Key"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        let accept = accept.map_err(|_| NoHandshake::Header("Sec-WebSocket-Key"))?;
        Ok(Self { accept })
    }

    /// The answer: from there on the connection is a WebSocket.
    pub fn answer(self) -> Response {
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }

    /// Answers it. The session's subscription is registered already.
    pub fn accept(self, hub: Hub, session: Session, format: Format, announce: bool) -> Response {
        let mut response = self.answer();
        Takeover::stream(&mut response, move |Line { pipe, received, farewell, .. }| {
            pipe.expect_answers();
            // Room above the limit, so that a frame just too large is answered and not cut off.
            let mut assembler = Assembler::new(session.max_frame() * 2 + 64 * 1024);
            assembler.feed(&received);
            // In a box, so that it is not twice in the future: as its argument and as what it works with.
            Box::new(Connection { pipe, assembler, session, format, hub, farewell }).serve(announce)
        });
        response
    }
}

struct Connection {
    pipe: Arc<Pipe>,
    assembler: Assembler,
    session: Session,
    format: Format,
    hub: Hub,
    farewell: Farewell,
}

/// Why a connection ends.
enum Ending {
    /// The client closes, with a code or without.
    Asked(Option<u16>),
    /// The client does not speak the protocol.
    Broken(Violation),
    /// Nothing was heard of the client for too long.
    Silent,
    /// There is nothing more to say.
    Ours(Ended),
}

/// What a turn of the connection came to.
enum Turn {
    Lines(Result<Vec<Said>, Ended>),
    Readable,
    Silent,
}

impl Connection {
    async fn serve(mut self: Box<Self>, announce: bool) {
        if announce {
            self.put(&[Said::Frame(self.session.opening())]);
        }
        match self.run().await {
            // In a box, as is whatever is seldom: an idle connection keeps no room for it.
            Ok(ending) => drop(Box::pin(self.end(ending)).await),
            Err(Gone) => self.farewell.closes_with(NO_CLOSE),
        }
    }

    /// Serves until there is a reason to end.
    async fn run(&mut self) -> Result<Ending, Gone> {
        let way = Way::new(Arc::clone(&self.pipe) as _, form(self.format));
        loop {
            // Nothing may wait to be written when the reader goes into its lane. A write that does not move for a
            // minute fails by itself.
            self.pipe.drain().await?;
            if let Some(ending) = self.take_frames() {
                return Ok(ending);
            }
            let turn = tokio::select! {
                lines = self.session.next(&way) => Turn::Lines(lines),
                readable = self.pipe.readable(), if !self.session.is_full() => readable.map(|()| Turn::Readable)?,
                () = self.pipe.silent() => Turn::Silent,
            };
            match turn {
                Turn::Lines(Ok(lines)) => self.put(&lines),
                Turn::Lines(Err(ended)) => return Ok(Ending::Ours(ended)),
                Turn::Readable => self.receive()?,
                Turn::Silent => return Ok(Ending::Silent),
            }
        }
    }

    async fn end(&mut self, ending: Ending) -> Result<(), Gone> {
        match ending {
            Ending::Asked(code) => {
                // What came before it is finished first.
                let _ = self.session.finish().await;
                self.farewell.closes_with(code.unwrap_or(NO_CODE));
                self.put_close(code, "");
                self.pipe.drain().await?;
                let _ = self.pipe.shut_down();
                Ok(())
            }
            Ending::Broken(violation) => {
                tracing::debug!(%violation, "a WebSocket broke");
                let _ = self.session.finish().await;
                self.close(violation.code(), &violation.to_string()).await
            }
            Ending::Silent => self.close(CloseCode::Silent as u16, "nothing was heard for a minute; come back").await,
            Ending::Ours(Ended::Closed) => self.goodbye().await,
            Ending::Ours(Ended::Store(error)) => {
                tracing::error!(%error, "a reader had to be let go");
                self.close(CloseCode::Internal as u16, "the store cannot be read; come back").await
            }
        }
    }

    fn receive(&mut self) -> Result<(), Gone> {
        self.pipe.read_with(|bytes| self.assembler.feed(bytes))
    }

    /// Handles what came whole, as far as there is room for more publishes; how it ends, if it does.
    fn take_frames(&mut self) -> Option<Ending> {
        while !self.session.is_full() {
            match self.assembler.take() {
                Ok(None) => return None,
                Ok(Some(Incoming::Close(code))) => return Some(Ending::Asked(code)),
                Ok(Some(incoming)) => self.take(incoming),
                Err(violation) => return Some(Ending::Broken(violation)),
            }
        }
        None
    }

    fn take(&mut self, incoming: Incoming) {
        let max = self.session.max_frame();
        let answer = match incoming {
            Incoming::Text(text) if text.len() > max => Some(too_large(max)),
            Incoming::Binary(bytes) if bytes.len() > max => Some(too_large(max)),
            Incoming::Text(text) => self.session.text(text),
            Incoming::Binary(bytes) => self.session.binary(bytes),
            Incoming::Ping(payload) => {
                let mut out = BytesMut::new();
                frame(&mut out, OpCode::Control(Control::Pong), &payload);
                self.pipe.put(&out.freeze());
                None
            }
            Incoming::Pong | Incoming::Close(_) => None,
        };
        if let Some(frame) = answer {
            self.put(&[Said::Frame(frame)]);
        }
    }

    async fn goodbye(&mut self) -> Result<(), Gone> {
        let answers = self.session.finish().await;
        self.put(&answers);
        let retry_ms = u64::try_from(self.hub.return_after().unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        let bye = Frame::Bye { code: CloseCode::GoingAway as u16, reason: "the server is stopping".into(), retry_ms };
        self.put(&[Said::Frame(bye)]);
        // Also as the close's reason, for clients that get bodies only.
        let reason = format!("the server is stopping; come back in {retry_ms} ms");
        self.close(CloseCode::GoingAway as u16, &reason).await
    }

    async fn close(&mut self, code: u16, reason: &str) -> Result<(), Gone> {
        self.farewell.closes_with(code);
        self.put_close(Some(code), reason);
        self.pipe.drain().await?;
        let _ = self.pipe.shut_down();
        // Wait for the answer, so that the client reads the reason before the socket goes.
        let answered = async { while self.pipe.readable().await.is_ok() && self.pipe.read_with(|_| ()).is_ok() {} };
        let _ = timeout(Duration::from_secs(1), answered).await;
        Ok(())
    }

    fn put_close(&self, code: Option<u16>, reason: &str) {
        debug_assert!(reason.len() <= REASON_BYTES, "{reason}");
        let mut payload = code.map(|code| code.to_be_bytes().to_vec()).unwrap_or_default();
        payload.extend_from_slice(reason.as_bytes());
        let mut out = BytesMut::new();
        frame(&mut out, OpCode::Control(Control::Close), &payload);
        self.pipe.put(&out.freeze());
    }

    /// Writes as many lines as there are in one go.
    fn put(&self, lines: &[Said]) {
        let mut out = BytesMut::new();
        for line in lines {
            encode(&mut out, line, self.format);
        }
        if !out.is_empty() {
            self.pipe.put(&out.freeze());
        }
    }
}

fn too_large(max: usize) -> Frame {
    let message = format!("a frame has at most {max} bytes here (--max-message)");
    Frame::Error { reference: None, code: ErrorCode::TooLarge, message }
}

/// How deliveries look as WebSocket frames.
struct Sockets(Format);

fn form(format: Format) -> &'static dyn Form {
    match format {
        Format::Frames => &Sockets(Format::Frames),
        Format::Bodies => &Sockets(Format::Bodies),
    }
}

impl Form for Sockets {
    fn name(&self) -> &'static str {
        match self.0 {
            Format::Frames => "websocket frames",
            Format::Bodies => "websocket bodies",
        }
    }

    fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
        for delivery in deliveries {
            encode(out, &Said::from(delivery.clone()), self.0);
        }
    }

    fn beat(&self, cursor: Id) -> Bytes {
        let mut out = BytesMut::new();
        encode(&mut out, &Said::Frame(Frame::Cursor { cursor }), self.0);
        frame(&mut out, OpCode::Control(Control::Ping), &[]);
        out.freeze()
    }
}

fn encode(out: &mut BytesMut, line: &Said, format: Format) {
    match (line, format) {
        (Said::Stored(stored), Format::Frames) => text(out, stored.frame()),
        (Said::Stored(stored), Format::Bodies) => match &stored.message.body {
            Body::Text(body) | Body::Json(body) => text(out, body.as_bytes()),
            Body::Binary(bytes) => frame(out, OpCode::Data(Data::Binary), bytes),
        },
        (Said::Frame(frame), Format::Frames) => text(out, frame.to_json().as_bytes()),
        // The plainest clients get bodies and errors; a heartbeat would look like a message.
        (Said::Frame(frame @ (Frame::Error { .. } | Frame::Missed(_))), Format::Bodies) => {
            text(out, frame.to_json().as_bytes());
        }
        (Said::Frame(_), Format::Bodies) => {}
    }
}

fn text(out: &mut BytesMut, payload: &[u8]) {
    frame(out, OpCode::Data(Data::Text), payload);
}

/// One whole frame; a server does not mask (section 5.1).
fn frame(out: &mut BytesMut, opcode: OpCode, payload: &[u8]) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let length = payload.len() as u64;
    out.reserve(header.len(length) + payload.len());
    let mut writer = out.writer();
    header.format(length, &mut writer).expect("memory takes what is written to it");
    out.put_slice(payload);
}
