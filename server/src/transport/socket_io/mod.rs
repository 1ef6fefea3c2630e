//! Socket.IO, for its stock clients: a namespace is a channel's path, an event `message` a message.
//!
//! Engine.IO below it (handshake, polling, upgrade, heartbeat) is engineioxide's; packets of Socket.IO are ours
//! ([`app::wire::socket_io`]), and so is everything about messages: each namespace of a connection is a session with a
//! subscription, like every other transport's.
//!
//! - `edge`: where bytes come in and go out; both ends wait there.
//! - `outbound`: what a connection has to say, a window at a time.
//! - `handler`: what Engine.IO calls; `rooms`: the namespaces of a connection; `room`: one of them.
//! - `opening`: how a client comes in, and recovers; `voice`: how frames look as events.
//! - `echo`: what the protocols' official test suites talk to.

mod echo;
mod edge;
mod handler;
mod opening;
mod outbound;
mod room;
mod rooms;
mod voice;

pub use edge::Introduce;

use super::{Gone, Line, Takeover, websocket::Handshake};
use crate::{
    hub::Hub,
    limits::{BODY_TIMEOUT, ENGINE_PING, ENGINE_PONG, OUTBOUND_PACKETS, UPGRADE_TIMEOUT},
};
use app::wire::limits::COMMAND_OVERHEAD_BYTES;
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use edge::{Edge, Watched};
use engineioxide::{config::EngineIoConfig, service::EngineIoService, socket::Sid};
use handler::{Begin, Handler};
use rooms::{Channels, Rooms};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use tower::Service;

/// Which Socket.IO protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revision {
    /// 2.x clients.
    Four,
    /// 3.x and 4.x clients.
    Five,
}

/// What is known of a connection from the request that opened it.
struct Opened {
    revision: Revision,
    /// The client resumes by itself: each message carries its offset.
    recovers: bool,
    query: String,
    max_payload: usize,
}

/// Goes with the request that opens a connection.
#[derive(Clone)]
struct Introduced(Arc<Edge>);

/// Socket.IO at one path.
pub struct SocketIo {
    path: String,
    service: EngineIoService<Handler>,
    handler: Arc<Handler>,
    /// Sessions at once.
    places: Arc<Semaphore>,
    max_payload: usize,
}

/// No more sessions are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are as many Socket.IO sessions as may be (--connections)")]
pub struct Full;

impl SocketIo {
    /// For channels, at `path`, which has no slash at its end.
    pub fn new(path: &str, hub: Hub, max_message: usize, sessions: u32) -> Self {
        // Escaped in JSON a text may be six times as long.
        let max_payload = max_message * 6 + COMMAND_OVERHEAD_BYTES;
        let begin: Begin = Box::new(move |outbound, opened| {
            Box::new(Channels(Rooms::new(hub.clone(), max_message, outbound, opened)))
        });
        Self::with(path, begin, (ENGINE_PING, ENGINE_PONG), max_payload, sessions)
    }

    /// For the official test suites: Engine.IO's at `/engine.io`, Socket.IO's at `/socket.io`.
    pub fn echoes(sessions: u32) -> [Self; 2] {
        let beat = (Duration::from_millis(300), Duration::from_millis(200));
        let engine: Begin = Box::new(|outbound, _| Box::new(echo::Echo(outbound)));
        let events: Begin = Box::new(|outbound, _| Box::new(echo::EventEcho::new(outbound)));
        [("/engine.io", engine), ("/socket.io", events)]
            .map(|(path, begin)| Self::with(path, begin, beat, 1_000_000, sessions))
    }

    fn with(path: &str, begin: Begin, beat: (Duration, Duration), max_payload: usize, sessions: u32) -> Self {
        let config = EngineIoConfig::builder()
            .req_path(path.to_owned())
            .ping_interval(beat.0)
            .ping_timeout(beat.1)
            .upgrade_timeout(UPGRADE_TIMEOUT)
            .max_buffer_size(OUTBOUND_PACKETS + outbound::SPARE)
            .max_payload(max_payload as u64)
            .ws_max_message_size(max_payload)
            .ws_max_frame_size(max_payload)
            .build();
        let handler = Handler::new(begin, max_payload);
        Self {
            path: path.to_owned(),
            service: EngineIoService::with_config(Arc::clone(&handler), config),
            handler,
            places: Arc::new(Semaphore::new(sessions as usize)),
            max_payload,
        }
    }

    /// Whether it lives at this path; clients say it with a slash at the end, unless they are told not to.
    pub fn is_at(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest == "/")
    }

    /// The server stops: says goodbye to those who are in no namespace. All others hear of it there.
    pub fn stop(&self) {
        self.handler.stop();
    }

    /// Answers a request of a polling client.
    ///
    /// # Errors
    /// It opens a session, and there are too many.
    pub async fn poll(&self, request: Request<Body>, introduce: Introduce) -> Result<Response, Full> {
        let (mut parts, body) = request.into_parts();
        let sid = sid(&parts.uri);
        // Kept for as long as the session: nothing else of the request is needed.
        let mut head = Request::new(());
        *head.method_mut() = parts.method.clone();
        *head.uri_mut() = std::mem::take(&mut parts.uri);
        if let Some(kind) = parts.headers.remove(header::CONTENT_TYPE) {
            head.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        let edge = match sid.as_deref() {
            None if parts.method == Method::GET => {
                let edge = self.new_edge(introduce)?;
                head.extensions_mut().insert(Introduced(Arc::clone(&edge)));
                Some(edge)
            }
            sid => sid.and_then(|sid| sid.parse().ok()).and_then(|sid| self.handler.edge(sid)),
        };
        let is_post = parts.method == Method::POST;
        if is_post && announced(&parts.headers).is_some_and(|length| length > self.max_payload as u64) {
            return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        }
        if let Some(edge) = edge.as_ref().filter(|_| is_post) {
            edge.room().await;
        }
        let answer = self.service.clone().call(head.map(|()| body));
        let answer = if is_post {
            match timeout(BODY_TIMEOUT, answer).await {
                Ok(answer) => answer,
                Err(_) => return Ok(StatusCode::REQUEST_TIMEOUT.into_response()),
            }
        } else {
            answer.await
        };
        if let Some(edge) = edge {
            edge.went_out();
        }
        Ok(answer.unwrap_or_else(|never| match never {}).map(Body::new))
    }

    /// Makes a WebSocket of a request: a session's first transport, or the one it goes over to.
    ///
    /// # Errors
    /// It opens a session, and there are too many.
    pub fn upgrade(&self, handshake: Handshake, uri: Uri, introduce: Introduce) -> Result<Response, Full> {
        let sid: Option<Sid> = match sid(&uri).map(|sid| sid.parse()) {
            Some(Ok(sid)) => Some(sid),
            Some(Err(_)) => return Ok(unknown_session()),
            None => None,
        };
        let edge = match sid {
            Some(sid) => match self.handler.edge(sid) {
                Some(edge) => edge,
                None => return Ok(unknown_session()),
            },
            None => self.new_edge(introduce)?,
        };
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        request.extensions_mut().insert(Introduced(Arc::clone(&edge)));
        let mut service = self.service.clone();
        let handler = Arc::clone(&self.handler);
        let mut response = handshake.answer();
        Takeover::stream(&mut response, move |mut line| async move {
            let mut farewell: Option<Box<dyn FnOnce() + Send>> = None;
            if let Some(sid) = sid {
                // The session stays with its polls until the client shows that frames come through: behind a proxy that
                // lets a WebSocket open and then says nothing, it would wait in vain.
                match timeout(UPGRADE_TIMEOUT, first_bytes(&mut line)).await {
                    Ok(Ok(())) => farewell = Some(Box::new(move || handler.abandoned(sid))),
                    Ok(Err(Gone)) | Err(_) => return,
                }
            }
            let io = Watched::new(line.pipe, line.received.freeze(), edge, farewell);
            if let Err(error) = service.call((io, request)).await {
                tracing::debug!(%error, "a WebSocket that speaks no Engine.IO");
            }
        });
        Ok(response)
    }

    fn new_edge(&self, introduce: Introduce) -> Result<Arc<Edge>, Full> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Full)?;
        Ok(Edge::new(introduce, place))
    }
}

async fn first_bytes(line: &mut Line) -> Result<(), Gone> {
    line.pipe.drain().await?;
    while line.received.is_empty() {
        line.pipe.readable().await?;
        line.hear()?;
    }
    Ok(())
}

/// The session a request belongs to.
fn sid(uri: &Uri) -> Option<String> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("sid=")).map(str::to_owned)
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// In the words of Engine.IO's own server.
fn unknown_session() -> Response {
    let body = r#"{"code":1,"message":"Session ID unknown"}"#;
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
