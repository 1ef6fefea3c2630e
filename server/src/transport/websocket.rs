//! WebSocket (RFC 6455): each frame out is one text frame, each frame in is the session's.

use super::Pulse;
use crate::{
    hub::Hub,
    limits::{HEARTBEAT, SILENCE, WEBSOCKET_READ_BUFFER},
    session::{Line, Session},
};
use app::wire::{Body, CloseCode, ErrorCode, Format, Frame};
use axum::{
    extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    response::Response,
};
use bytes::Bytes;
use futures::SinkExt;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// Written bytes wait at most until so many have gathered.
const WRITE_BUFFER: usize = 32 * 1024;

/// What the transport is told of a connection beside its session.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Frames or bodies, as the client asked for.
    pub format: Format,
    /// Begin with where the reader is.
    pub announce: bool,
    /// When a byte last moved.
    pub pulse: Pulse,
}

/// Answers the upgrade of a session whose subscription is registered already. `held` is dropped with the
/// connection.
pub fn upgrade(
    upgrade: WebSocketUpgrade,
    hub: Hub,
    session: Session,
    settings: Settings,
    held: impl Send + 'static,
) -> Response {
    // Room above the limit, so that a frame just too large is answered and not cut off.
    let limit = session.max_frame() * 2 + 64 * 1024;
    upgrade
        .read_buffer_size(WEBSOCKET_READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(limit)
        .max_frame_size(limit)
        .on_upgrade(move |socket| async move {
            let mut connection = Connection { socket, session, format: settings.format, pulse: settings.pulse };
            if let Err(Gone) = connection.run(hub, settings.announce).await {
                tracing::debug!("a WebSocket is gone");
            }
            drop(held);
        })
}

/// The other side is gone: nothing more can be said.
struct Gone;

struct Connection {
    socket: WebSocket,
    session: Session,
    format: Format,
    pulse: Pulse,
}

impl Connection {
    async fn run(&mut self, hub: Hub, announce: bool) -> Result<(), Gone> {
        if announce {
            let opening = self.session.opening();
            self.write(vec![Line::Frame(opening)]).await?;
        }
        // On a clock of its own: a busy reader that only listens must prove that it is there, too.
        let mut ping = Instant::now() + HEARTBEAT;
        let closed = hub.closed();
        tokio::pin!(closed);
        loop {
            tokio::select! {
                lines = self.session.next() => match lines {
                    Ok(lines) => {
                        self.write(lines).await?;
                    }
                    Err(error) => {
                        tracing::error!(%error, "a reader had to be let go");
                        return self.close(CloseCode::Internal, "the store cannot be read; come back".into()).await;
                    }
                },
                received = self.socket.recv(), if !self.session.is_full() => {
                    match received {
                        Some(Ok(message)) => {
                            if self.take(message).await? {
                                return self.answer_close().await;
                            }
                        }
                        Some(Err(error)) => {
                            tracing::debug!(%error, "a WebSocket broke");
                            return Err(Gone);
                        }
                        None => return Err(Gone),
                    }
                }
                () = sleep_until(ping) => {
                    ping = Instant::now() + HEARTBEAT;
                    self.send(Message::Ping(Bytes::new())).await?;
                    self.flush().await?;
                }
                // Looked at again when it was moved in the meantime: a client that reads slowly answers no ping
                // before it has read what lies in front of it.
                () = sleep_until(self.pulse.last() + SILENCE) => {
                    if self.pulse.last().elapsed() >= SILENCE {
                        return self.close(CloseCode::Silent, "nothing was heard for a minute; come back".into()).await;
                    }
                }
                () = &mut closed => return self.goodbye(&hub).await,
            }
        }
    }

    /// Handles one frame of the client; `true` when it closes.
    async fn take(&mut self, message: Message) -> Result<bool, Gone> {
        let answer = match message {
            Message::Text(text) if text.len() > self.session.max_frame() => Some(self.too_large()),
            Message::Binary(bytes) if bytes.len() > self.session.max_frame() => Some(self.too_large()),
            Message::Text(text) => self.session.text(text.as_str().to_owned()),
            Message::Binary(bytes) => self.session.binary(bytes.into()),
            Message::Ping(_) | Message::Pong(_) => None,
            Message::Close(_) => return Ok(true),
        };
        if let Some(frame) = answer {
            self.write(vec![Line::Frame(frame)]).await?;
        }
        Ok(false)
    }

    fn too_large(&self) -> Frame {
        let message = format!("a frame has at most {} bytes here (--max-message)", self.session.max_frame());
        Frame::Error { reference: None, code: ErrorCode::TooLarge, message }
    }

    /// A close is answered after the frames before it were handled.
    async fn answer_close(&mut self) -> Result<(), Gone> {
        let _ = self.session.finish().await;
        self.flush().await
    }

    async fn goodbye(&mut self, hub: &Hub) -> Result<(), Gone> {
        let answers = self.session.finish().await;
        self.write(answers).await?;
        let retry_ms = u64::try_from(hub.return_after().unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        let bye = Frame::Bye { code: CloseCode::GoingAway as u16, reason: "the server is stopping".into(), retry_ms };
        self.write(vec![Line::Frame(bye)]).await?;
        // Also as the close's reason, for clients that get bodies only. It has at most 123 bytes.
        self.close(CloseCode::GoingAway, format!("the server is stopping; come back in {retry_ms} ms")).await
    }

    async fn close(&mut self, code: CloseCode, reason: String) -> Result<(), Gone> {
        let frame = CloseFrame { code: code as u16, reason: reason.into() };
        self.send(Message::Close(Some(frame))).await?;
        self.flush().await?;
        // Wait for the answer, so that the client reads the reason before the socket goes.
        let answered = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _ = timeout(Duration::from_secs(1), answered).await;
        Ok(())
    }

    /// Writes as many lines as there are, then flushes once.
    async fn write(&mut self, lines: Vec<Line>) -> Result<(), Gone> {
        if lines.is_empty() {
            return Ok(());
        }
        for line in lines {
            if let Some(message) = encode(line, self.format) {
                self.send(message).await?;
            }
        }
        self.flush().await
    }

    // No timeouts here: a write that does not move for a minute fails by itself (`http/guarded.rs`).
    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        self.socket.feed(message).await.map_err(|_| Gone)
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        self.socket.flush().await.map_err(|_| Gone)
    }
}

fn encode(line: Line, format: Format) -> Option<Message> {
    match (line, format) {
        (Line::Stored(stored), Format::Frames) => text(stored.frame.clone()),
        (Line::Stored(stored), Format::Bodies) => match &stored.message.body {
            Body::Text(body) | Body::Json(body) => Some(Message::Text(body.as_str().into())),
            Body::Binary(bytes) => Some(Message::Binary(Bytes::copy_from_slice(bytes))),
        },
        (Line::Frame(frame), Format::Frames) => Some(Message::Text(frame.to_json().into())),
        // The plainest clients get bodies and errors; a heartbeat would look like a message.
        (Line::Frame(frame @ (Frame::Error { .. } | Frame::Missed(_))), Format::Bodies) => {
            Some(Message::Text(frame.to_json().into()))
        }
        (Line::Frame(_), Format::Bodies) => None,
    }
}

/// The frame's shared bytes, not copied.
fn text(bytes: Bytes) -> Option<Message> {
    Utf8Bytes::try_from(bytes).ok().map(Message::Text)
}
