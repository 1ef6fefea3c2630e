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
    limits::{BODY_TIMEOUT, ENGINE_PING, ENGINE_PONG, OUTBOUND_BYTES, UPGRADE_POLL, UPGRADE_TIMEOUT},
};
use app::wire::limits::COMMAND_OVERHEAD_BYTES;
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use edge::{Beginning, Edge, Watched};
use engineioxide::{TransportType, config::EngineIoConfig, service::EngineIoService, socket::Sid};
use futures::poll;
use handler::{Begin, Handler};
use http_body_util::Limited;
use rooms::{Channels, Rooms};
use std::{pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
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

/// Bytes of a payload that says no more than that the session ends: `1`, in Engine.IO 3 `1:1`.
const CLOSE_BYTES: u64 = 3;
/// Bytes a WebSocket reads in one go: each has such a buffer for as long as it lives. More of it is read for less when
/// clients publish much; most listen.
const READ_BYTES: usize = 1024;
/// Bytes of the answer that opens a session.
const HANDSHAKE_BYTES: usize = 4096;

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
    /// Bytes a client may send at once.
    max_payload: usize,
    /// Bytes of an answer to a poll.
    max_answer: usize,
    /// What a session's first packet waits.
    pause: Duration,
}

/// The official suites begin to listen for a session's first packet when they have seen its connection open, and measure
/// the server's times from the answer that opened it.
const SUITES_PAUSE: Duration = Duration::from_millis(10);

/// No more sessions are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are as many Socket.IO sessions as may be (--connections)")]
pub struct Full;

impl SocketIo {
    /// For channels, at `path`, which has no slash at its end.
    pub fn new(path: &str, hub: Hub, max_message: usize, sessions: u32) -> Self {
        // Escaped in JSON a text may be six times as long.
        let max_payload = max_message * 6 + COMMAND_OVERHEAD_BYTES;
        // What is left of a window, and the next one. engineioxide puts what does not fit into an answer aside, and forgets
        // it when the session goes over to a WebSocket: everything has to fit.
        let max_answer = 2 * max_payload.max(OUTBOUND_BYTES) + COMMAND_OVERHEAD_BYTES;
        let begin: Begin = Box::new(move |outbound, opened| {
            Box::new(Channels(Rooms::new(hub.clone(), max_message, outbound, opened)))
        });
        Self::with(path, begin, (ENGINE_PING, ENGINE_PONG), (max_payload, max_answer), sessions)
    }

    /// For the official test suites: Engine.IO's at `/engine.io`, Socket.IO's at `/socket.io`.
    pub fn echoes(sessions: u32) -> [Self; 2] {
        let beat = (Duration::from_millis(300), Duration::from_millis(200));
        let engine: Begin = Box::new(|outbound, _| Box::new(echo::Echo(outbound)));
        let events: Begin = Box::new(|outbound, _| Box::new(echo::EventEcho::new(outbound)));
        [("/engine.io", engine), ("/socket.io", events)].map(|(path, begin)| Self {
            pause: SUITES_PAUSE,
            ..Self::with(path, begin, beat, (1_000_000, 1_000_000), sessions)
        })
    }

    fn with(path: &str, begin: Begin, beat: (Duration, Duration), max: (usize, usize), sessions: u32) -> Self {
        let (max_payload, max_answer) = max;
        let config = EngineIoConfig::builder()
            .req_path(path.to_owned())
            .ping_interval(beat.0)
            .ping_timeout(beat.1)
            .upgrade_timeout(UPGRADE_TIMEOUT)
            .max_buffer_size(outbound::CAPACITY)
            .max_payload(max_answer as u64)
            .ws_read_buffer_size(READ_BYTES)
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
            max_answer,
            pause: Duration::ZERO,
        }
    }

    /// Whether it lives at this path; clients say it with a slash at the end, unless they are told not to.
    pub fn is_at(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest == "/")
    }

    /// Whether its clients' script lives at this path.
    pub fn has_script_at(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| ["/socket.io.js", "/socket.io.min.js"].contains(&rest))
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
        let (parts, body) = request.into_parts();
        let head = head_of(&parts);
        let Some(sid) = sid(&parts.uri) else {
            return if parts.method == Method::GET {
                self.open(head.map(|()| body), introduce).await
            } else {
                Ok(self.ask(head.map(|()| body)).await)
            };
        };
        let sid: Option<Sid> = sid.parse().ok();
        let Some((sid, edge)) = sid.and_then(|sid| Some((sid, self.handler.edge(sid)?))) else {
            return Ok(unknown_session());
        };
        Ok(match parts.method {
            Method::POST => self.hear(&parts.headers, head.map(|()| body), &edge).await,
            _ => self.tell(sid, head, &edge).await,
        })
    }

    /// Opens a session.
    async fn open(&self, mut request: Request<Body>, introduce: Introduce) -> Result<Response, Full> {
        let uri = request.uri().clone();
        request.extensions_mut().insert(Introduced(self.new_edge(introduce)?));
        let response = self.ask(request).await;
        // Of engineioxide's first ping, which comes at once, the client hears nothing: see [`edge::Beginning`].
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        let body = axum::body::to_bytes(body, HANDSHAKE_BYTES).await.unwrap_or_default();
        // It says how much it would send; clients want to know how much they may.
        let body = String::from_utf8_lossy(&body)
            .replace(&format!("\"maxPayload\":{}", self.max_answer), &format!("\"maxPayload\":{}", self.max_payload));
        let body = Bytes::from(adjusted(body, &uri));
        if let Some(sid) = opened_sid(&body).filter(|_| is_four(&uri)) {
            let session: Result<Uri, _> = format!("{}?EIO=4&transport=polling&sid={sid}", self.path).parse();
            if let Ok(session) = session {
                let about = |method: Method, body| {
                    let mut request = Request::new(body);
                    (*request.method_mut(), *request.uri_mut()) = (method, session.clone());
                    request
                };
                self.ask(about(Method::GET, Body::empty())).await;
                self.ask(about(Method::POST, Body::from("3"))).await;
            }
        }
        if !self.pause.is_zero() {
            sleep(self.pause).await;
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    /// Takes what a client says, when there is room for it.
    async fn hear(&self, headers: &HeaderMap, request: Request<Body>, edge: &Edge) -> Response {
        if announced(headers).is_some_and(|length| length > self.max_payload as u64) {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        edge.room().await;
        let request = request.map(|body| Body::new(Limited::new(body, self.max_payload)));
        let small = announced(headers).is_some_and(|length| length <= CLOSE_BYTES);
        let heard = async {
            if !small {
                return self.ask(request).await;
            }
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, CLOSE_BYTES as usize).await.unwrap_or_default();
            if ["1", "1:1"].contains(&std::str::from_utf8(&body).unwrap_or_default()) {
                // Clients say goodbye and poll at once, on two connections: the poll is to find its session.
                let _ = timeout(UPGRADE_POLL, edge.until(|| edge.is_polled())).await;
            }
            self.ask(Request::from_parts(parts, Body::from(body))).await
        };
        timeout(BODY_TIMEOUT, heard).await.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
    }

    /// Waits for something to say.
    async fn tell(&self, sid: Sid, request: Request<()>, edge: &Edge) -> Response {
        if edge.is_upgrading() {
            // Engine.IO answers at once that there is nothing, and the client asks at once again, until it went over.
            let _ = timeout(UPGRADE_POLL, edge.until(|| self.handler.is_on(sid, TransportType::Websocket))).await;
        }
        // Whoever gives a poll up may have been given what nobody will read: the client comes back and resumes.
        let abandoned = Abandoned(Some((Arc::clone(&self.handler), sid)));
        let mut answer = pin!(self.ask(request.map(|()| Body::empty())));
        let answer = match poll!(answer.as_mut()) {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                edge.set_polled(true);
                answer.await
            }
        };
        edge.set_polled(false);
        abandoned.answered();
        edge.went_out();
        answer
    }

    async fn ask(&self, request: Request<Body>) -> Response {
        let answer = self.service.clone().call(request).await;
        answer.unwrap_or_else(|never| match never {}).map(Body::new)
    }

    /// Makes a WebSocket of a request: a session's first transport, or the one it goes over to.
    ///
    /// # Errors
    /// It opens a session, and there are too many.
    pub fn upgrade(&self, handshake: Handshake, uri: &Uri, introduce: Introduce) -> Result<Response, Full> {
        let sid: Option<Sid> = match sid(uri).map(|sid| sid.parse()) {
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
        let beginning = if sid.is_none() && is_four(uri) { Beginning::BeforePing } else { Beginning::Over };
        *request.uri_mut() = detached(uri);
        request.extensions_mut().insert(Introduced(Arc::clone(&edge)));
        let mut service = self.service.clone();
        let pause = self.pause;
        let mut response = handshake.answer();
        Takeover::stream(&mut response, move |mut line| async move {
            if sid.is_some() {
                // It went over already, or does so now.
                if edge.is_upgrading() {
                    return;
                }
                // The session stays with its polls until the client shows that frames come through: behind a proxy that
                // lets a WebSocket open and then says nothing, it would wait in vain.
                match timeout(UPGRADE_TIMEOUT, first_bytes(&mut line)).await {
                    Ok(Ok(())) if edge.upgrades() => {}
                    _ => return,
                }
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
            let io = Watched::new(line, edge, beginning);
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

/// A poll under way: if it is given up, its session ends.
struct Abandoned(Option<(Arc<Handler>, Sid)>);

impl Abandoned {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some((handler, sid)) = self.0.take() {
            handler.abandoned(sid);
        }
    }
}

/// What is kept of a request, for as long as its session lives.
fn head_of(parts: &Parts) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = parts.method.clone();
    *head.uri_mut() = detached(&parts.uri);
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        head.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    head
}

/// A copy of its own: hyper's is a piece of the buffer it read the request into, and would keep all of it.
fn detached(uri: &Uri) -> Uri {
    uri.to_string().parse().unwrap_or_default()
}

/// Whether a request speaks Engine.IO 4, where the server pings.
fn is_four(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "EIO=4"))
}

/// In Engine.IO 3 the packet's length stands before it.
fn adjusted(body: String, uri: &Uri) -> String {
    match body.split_once(':') {
        Some((length, packet)) if !is_four(uri) && length.parse::<usize>().is_ok() => {
            format!("{}:{packet}", packet.encode_utf16().count())
        }
        _ => body,
    }
}

/// The id of a session, from what opened it.
fn opened_sid(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Opened {
        sid: String,
    }
    let opened: Opened = serde_json::from_slice(body.strip_prefix(b"0")?).ok()?;
    Some(opened.sid)
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
