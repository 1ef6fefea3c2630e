//! Socket.IO at one path: how polls and upgrades reach Engine.IO.

use super::{
    backpressure::{Backpressure, Beginning, Introduce, WatchedIo},
    channels::Channels,
    echo,
    handler::{Begin, Handler},
    namespaces::Namespaces,
    opened::Introduced,
    outbound,
};
use crate::{
    hub::Hub,
    limits::{
        BODY_TIMEOUT, ENGINE_CLOSE_BYTES, ENGINE_HANDSHAKE_BYTES, ENGINE_PING, ENGINE_PONG, ENGINE_READ_BYTES,
        OUTBOUND_BYTES, UPGRADE_POLL, UPGRADE_TIMEOUT,
    },
    net::{Disconnected, Handoff, Upgraded},
    transport::websocket::Handshake,
};
use app::wire::limits::{COMMAND_OVERHEAD_BYTES, command_bytes};
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use engineioxide::{TransportType, config::EngineIoConfig, service::EngineIoService, socket::Sid};
use futures::poll;
use http_body_util::Limited;
use std::{pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower::Service;

/// Serves Socket.IO at one path.
pub struct SocketIo {
    path: String,
    service: EngineIoService<Handler>,
    handler: Arc<Handler>,
    /// Limits the number of open sessions.
    places: Arc<Semaphore>,
    /// The largest payload of a client, in bytes.
    max_payload: usize,
    /// The largest answer to a poll, in bytes.
    max_answer: usize,
    /// The delay before the first packet of a session.
    pause: Duration,
}

/// The official suites listen for a session's first packet only after they have seen its connection open, so the packet
/// must not arrive earlier. They measure the server's intervals from the answer that opened the session.
const SUITES_PAUSE: Duration = Duration::from_millis(10);

/// The limit of open sessions is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are as many Socket.IO sessions as may be (--connections)")]
pub struct Full;

impl SocketIo {
    /// Serves channels at `path`, which has no slash at its end.
    pub fn new(path: &str, hub: Hub, max_message: usize, sessions: u32) -> Self {
        let max_payload = command_bytes(max_message);
        // The rest of one window, and the whole next one. engineioxide sets aside what does not fit into an answer, and
        // loses it when the session upgrades to a WebSocket. Everything must therefore fit.
        let max_answer = 2 * max_payload.max(OUTBOUND_BYTES) + COMMAND_OVERHEAD_BYTES;
        let begin: Begin = Box::new(move |outbound, opened| {
            Box::new(Channels::new(Namespaces::new(hub.clone(), max_message, outbound, opened)))
        });
        Self::with(path, begin, (ENGINE_PING, ENGINE_PONG), (max_payload, max_answer), sessions)
    }

    /// The echo servers for the official test suites: of Engine.IO at `/engine.io`, of Socket.IO at `/socket.io`.
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
            .ws_read_buffer_size(ENGINE_READ_BYTES)
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

    /// Whether this path is served. Clients add a slash at its end, unless they are configured not to.
    pub fn is_at(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest == "/")
    }

    /// Whether the script of the client is served at this path.
    pub fn has_script_at(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| ["/socket.io.js", "/socket.io.min.js"].contains(&rest))
    }

    /// Closes the connections that are in no namespace, because the server stops. Each namespace ends by itself.
    pub fn stop(&self) {
        self.handler.stop();
    }

    /// Answers a request of a polling client.
    ///
    /// # Errors
    /// Returns an error if the request opens a session and the limit of sessions is reached.
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
        let Some((sid, backpressure)) = sid.and_then(|sid| Some((sid, self.handler.backpressure(sid)?))) else {
            return Ok(unknown_session());
        };
        Ok(match parts.method {
            Method::POST => self.hear(&parts.headers, head.map(|()| body), &backpressure).await,
            _ => self.tell(sid, head, &backpressure).await,
        })
    }

    /// Opens a session.
    async fn open(&self, mut request: Request<Body>, introduce: Introduce) -> Result<Response, Full> {
        let uri = request.uri().clone();
        request.extensions_mut().insert(Introduced(self.new_edge(introduce)?));
        let response = self.ask(request).await;
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        let body = axum::body::to_bytes(body, ENGINE_HANDSHAKE_BYTES).await.unwrap_or_default();
        // engineioxide announces the largest payload that it sends, but clients need the largest that they may send.
        let body = String::from_utf8_lossy(&body)
            .replace(&format!("\"maxPayload\":{}", self.max_answer), &format!("\"maxPayload\":{}", self.max_payload));
        let body = Bytes::from(adjusted(body, &uri));
        // engineioxide sends its first ping at once. It is polled and answered here, so that the client does not get it
        // (see `Beginning`).
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

    /// Passes a client's packets to Engine.IO, once few enough events are unhandled.
    async fn hear(&self, headers: &HeaderMap, request: Request<Body>, backpressure: &Backpressure) -> Response {
        if announced(headers).is_some_and(|length| length > self.max_payload as u64) {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        backpressure.room().await;
        let request = request.map(|body| Body::new(Limited::new(body, self.max_payload)));
        let small = announced(headers).is_some_and(|length| length <= ENGINE_CLOSE_BYTES);
        let heard = async {
            if !small {
                return self.ask(request).await;
            }
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, ENGINE_CLOSE_BYTES as usize).await.unwrap_or_default();
            if ["1", "1:1"].contains(&std::str::from_utf8(&body).unwrap_or_default()) {
                // A client sends its close packet and a poll at the same time, on two connections. The close packet
                // waits, so that the poll still finds its session.
                let _ = timeout(UPGRADE_POLL, backpressure.until(|| backpressure.is_polled())).await;
            }
            self.ask(Request::from_parts(parts, Body::from(body))).await
        };
        timeout(BODY_TIMEOUT, heard).await.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
    }

    /// Answers a poll once there are packets to send.
    async fn tell(&self, sid: Sid, request: Request<()>, backpressure: &Backpressure) -> Response {
        if backpressure.is_upgrading() {
            // During an upgrade Engine.IO answers a poll at once without packets, and the client polls again at once.
            // Without this wait they would loop until the upgrade is complete.
            let _ =
                timeout(UPGRADE_POLL, backpressure.until(|| self.handler.is_on(sid, TransportType::Websocket))).await;
        }
        // The answer to an aborted poll may hold packets that nobody will read. The session is closed, so that the
        // client reconnects and recovers.
        let abandoned = Abandoned(Some((Arc::clone(&self.handler), sid)));
        let mut answer = pin!(self.ask(request.map(|()| Body::empty())));
        let answer = match poll!(answer.as_mut()) {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                backpressure.set_polled(true);
                answer.await
            }
        };
        backpressure.set_polled(false);
        abandoned.answered();
        backpressure.went_out();
        answer
    }

    async fn ask(&self, request: Request<Body>) -> Response {
        let answer = self.service.clone().call(request).await;
        answer.unwrap_or_else(|never| match never {}).map(Body::new)
    }

    /// Upgrades a request to a WebSocket, for a new session or for one that used polling before.
    ///
    /// # Errors
    /// Returns an error if the request opens a session and the limit of sessions is reached.
    pub fn upgrade(&self, handshake: Handshake, uri: &Uri, introduce: Introduce) -> Result<Response, Full> {
        let sid: Option<Sid> = match sid(uri).map(|sid| sid.parse()) {
            Some(Ok(sid)) => Some(sid),
            Some(Err(_)) => return Ok(unknown_session()),
            None => None,
        };
        let backpressure = match sid {
            Some(sid) => match self.handler.backpressure(sid) {
                Some(backpressure) => backpressure,
                None => return Ok(unknown_session()),
            },
            None => self.new_edge(introduce)?,
        };
        let mut request = Request::new(());
        let beginning = if sid.is_none() && is_four(uri) { Beginning::BeforePing } else { Beginning::Over };
        *request.uri_mut() = detached(uri);
        request.extensions_mut().insert(Introduced(Arc::clone(&backpressure)));
        let mut service = self.service.clone();
        let pause = self.pause;
        let mut response = handshake.answer();
        Handoff::stream(&mut response, move |mut upgraded| async move {
            if sid.is_some() {
                // The session has already upgraded, or another upgrade is in progress.
                if backpressure.is_upgrading() {
                    return;
                }
                // The session keeps polling until the client shows that frames pass. Some proxies let a WebSocket open
                // and then pass nothing, and the session would wait in vain.
                match timeout(UPGRADE_TIMEOUT, first_bytes(&mut upgraded)).await {
                    Ok(Ok(())) if backpressure.upgrades() => {}
                    _ => return,
                }
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
            let io = WatchedIo::new(upgraded, backpressure, beginning);
            if let Err(error) = service.call((io, request)).await {
                tracing::debug!(%error, "a WebSocket that speaks no Engine.IO");
            }
        });
        Ok(response)
    }

    fn new_edge(&self, introduce: Introduce) -> Result<Arc<Backpressure>, Full> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Full)?;
        Ok(Backpressure::new(introduce, permit))
    }
}

/// A poll in progress. Its session is closed if the poll is aborted.
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

/// The part of a request's head that Engine.IO needs. It is kept for as long as the session lives.
fn head_of(parts: &Parts) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = parts.method.clone();
    *head.uri_mut() = detached(&parts.uri);
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        head.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    head
}

/// Copies a URI, because the URI of hyper is a slice of its read buffer and would keep the whole buffer alive.
fn detached(uri: &Uri) -> Uri {
    uri.to_string().parse().unwrap_or_default()
}

/// Whether a request uses Engine.IO 4, in which the server sends the pings.
fn is_four(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "EIO=4"))
}

/// Corrects the length before a packet of Engine.IO 3, which counts UTF-16 units.
fn adjusted(body: String, uri: &Uri) -> String {
    match body.split_once(':') {
        Some((length, packet)) if !is_four(uri) && length.parse::<usize>().is_ok() => {
            format!("{}:{packet}", packet.encode_utf16().count())
        }
        _ => body,
    }
}

/// The session id in the packet that opens a session.
fn opened_sid(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Opened {
        sid: String,
    }
    let opened: Opened = serde_json::from_slice(body.strip_prefix(b"0")?).ok()?;
    Some(opened.sid)
}

async fn first_bytes(upgraded: &mut Upgraded) -> Result<(), Disconnected> {
    upgraded.connection.flush().await?;
    while upgraded.received.is_empty() {
        upgraded.connection.readable().await?;
        upgraded.receive()?;
    }
    Ok(())
}

/// The session id in a request's query.
fn sid(uri: &Uri) -> Option<String> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("sid=")).map(str::to_owned)
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The same answer as from Engine.IO's own server.
fn unknown_session() -> Response {
    let body = r#"{"code":1,"message":"Session ID unknown"}"#;
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
