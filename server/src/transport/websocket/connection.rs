//! One WebSocket, from its handshake to its close.

use super::{
    assembler::{Assembler, Incoming, Violation},
    encoder::{encode, encoder, frame},
    handshake::Handshake,
};
use crate::{
    hub::{Ended, Hub, Reader},
    limits::{CLOSE_TIMEOUT, UNREAD_MESSAGE_BYTES},
    net::{Connection, Disconnected, Handoff, OnClose, Upgraded},
    session::{Outgoing, Refusal, Session},
    transport::goodbye::Goodbye,
};
use app::wire::{ErrorCode, Format, Frame};
use axum::response::Response;
use bytes::BytesMut;
use std::sync::Arc;
use tokio::time::timeout;
use tungstenite::protocol::frame::coding::{Control, OpCode};

/// Bytes that the reason of a close may have: a control frame has at most 125 (RFC 6455, section 5.5), and the code
/// takes two.
const REASON_BYTES: usize = 123;

/// Code for logs (section 7.4.1): the client closed the connection without a code.
const NO_CODE: u16 = 1005;
/// Code for logs (section 7.4.1): the connection ended without a close frame.
pub const NO_CLOSE: u16 = 1006;

/// Answers a handshake. The session's subscription is already registered. With `announce` the first frame is the
/// reader's position.
pub fn respond(handshake: Handshake, hub: Hub, session: Session, format: Format, announce: bool) -> Response {
    let mut response = handshake.answer();
    Handoff::stream(&mut response, move |upgraded| {
        let Upgraded { connection, received, on_close } = upgraded;
        connection.expect_answers();
        // More than the limit, so that a message that is slightly too large gets an error and the connection stays
        // open.
        let mut assembler = Assembler::new(session.max_frame() * 2 + UNREAD_MESSAGE_BYTES);
        assembler.feed(&received);
        // Boxed, because the future would otherwise store it twice: as an argument and as a variable.
        Box::new(WebSocket { connection, assembler, session, format, hub, on_close }).serve(announce)
    });
    response
}

struct WebSocket {
    connection: Arc<Connection>,
    assembler: Assembler,
    session: Session,
    format: Format,
    hub: Hub,
    on_close: OnClose,
}

/// Why a WebSocket ends.
enum Ending {
    /// The client closed it, with or without a code.
    ByClient(Option<u16>),
    /// The client violated the protocol.
    Violation(Violation),
    /// The server closes it and tells the client why.
    ByServer(Goodbye),
}

/// What the WebSocket waited for.
enum Event {
    Outgoing(Result<Vec<Outgoing>, Ended>),
    Readable,
    Silent,
}

impl WebSocket {
    async fn serve(mut self: Box<Self>, announce: bool) {
        if announce {
            self.send(&[Outgoing::Frame(self.session.opening())]);
        }
        match self.run().await {
            // Boxed because it is rare, so that the future of an idle connection stays small.
            Ok(ending) => drop(Box::pin(self.end(ending)).await),
            Err(Disconnected) => self.on_close.set_code(NO_CLOSE),
        }
    }

    /// Serves until there is a reason to end.
    async fn run(&mut self) -> Result<Ending, Disconnected> {
        let reader = Reader::new(Arc::clone(&self.connection) as _, encoder(self.format));
        loop {
            // The reader may join its lane only when nothing waits to be written. The flush fails if no byte moves for
            // a minute.
            self.connection.flush().await?;
            if let Some(ending) = self.take_frames() {
                return Ok(ending);
            }
            let event = tokio::select! {
                outgoing = self.session.next(&reader) => Event::Outgoing(outgoing),
                readable = self.connection.readable(), if !self.session.is_full() => {
                    readable.map(|()| Event::Readable)?
                }
                () = self.connection.unresponsive() => Event::Silent,
            };
            match event {
                Event::Outgoing(Ok(outgoing)) => self.send(&outgoing),
                Event::Outgoing(Err(ended)) => return Ok(Ending::ByServer(Goodbye::of(ended, &self.hub))),
                Event::Readable => self.connection.read_with(|bytes| self.assembler.feed(bytes))?,
                Event::Silent => return Ok(Ending::ByServer(Goodbye::silent())),
            }
        }
    }

    /// Handles the complete frames that were received, until too many publishes wait for their answer. Returns how the
    /// WebSocket ends, if one of the frames ends it.
    fn take_frames(&mut self) -> Option<Ending> {
        while !self.session.is_full() {
            match self.assembler.take() {
                Ok(None) => return None,
                Ok(Some(Incoming::Close(code))) => return Some(Ending::ByClient(code)),
                Ok(Some(incoming)) => self.take(incoming),
                Err(violation) => return Some(Ending::Violation(violation)),
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
                self.send_control(Control::Pong, &payload);
                None
            }
            Incoming::Pong | Incoming::Close(_) => None,
        };
        if let Some(frame) = answer {
            self.send(&[Outgoing::Frame(frame)]);
        }
    }

    async fn end(&mut self, ending: Ending) -> Result<(), Disconnected> {
        match ending {
            Ending::ByClient(code) => {
                // Publishes that arrived before the close are finished first.
                let _ = self.session.finish().await;
                self.on_close.set_code(code.unwrap_or(NO_CODE));
                self.send_close(code, "");
                self.connection.flush().await?;
                let _ = self.connection.shutdown();
                Ok(())
            }
            Ending::Violation(violation) => {
                tracing::debug!(%violation, "a client breaks the protocol of WebSocket");
                let _ = self.session.finish().await;
                self.close(violation.code(), &violation.to_string()).await
            }
            Ending::ByServer(goodbye) => {
                if let Some(bye) = goodbye.frame() {
                    let answers = self.session.finish().await;
                    self.send(&answers);
                    self.send(&[Outgoing::Frame(bye)]);
                }
                self.close(goodbye.code as u16, &goodbye.close_reason()).await
            }
        }
    }

    async fn close(&mut self, code: u16, reason: &str) -> Result<(), Disconnected> {
        self.on_close.set_code(code);
        self.send_close(Some(code), reason);
        self.connection.flush().await?;
        let _ = self.connection.shutdown();
        // Waits for the client's close, so that the client reads the reason before the socket is closed.
        let _ = timeout(CLOSE_TIMEOUT, self.connection.closed()).await;
        Ok(())
    }

    fn send_close(&self, code: Option<u16>, reason: &str) {
        debug_assert!(reason.len() <= REASON_BYTES, "{reason}");
        let mut payload = code.map(|code| code.to_be_bytes().to_vec()).unwrap_or_default();
        payload.extend_from_slice(reason.as_bytes());
        self.send_control(Control::Close, &payload);
    }

    fn send_control(&self, control: Control, payload: &[u8]) {
        let mut out = BytesMut::new();
        frame(&mut out, OpCode::Control(control), payload);
        self.connection.write(&out.freeze());
    }

    /// Sends these frames in one write.
    fn send(&self, all: &[Outgoing]) {
        let mut out = BytesMut::new();
        all.iter().for_each(|outgoing| encode(&mut out, outgoing, self.format));
        if !out.is_empty() {
            self.connection.write(&out.freeze());
        }
    }
}

/// The answer to a message over the limit. It names the limit of a frame, not of a body.
fn too_large(max: usize) -> Frame {
    let message = format!("a frame has at most {max} bytes here (--max-message)");
    Refusal::new(ErrorCode::TooLarge, message).frame(None)
}
