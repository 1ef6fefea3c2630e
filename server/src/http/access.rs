//! The access log: one line per request when it is answered, and of what stays open one when it opens and one when it
//! closes. Method, path, status, bytes, time and client: no query, no header, no body.

use super::peer::Peer;
use crate::{
    clock,
    limits::LOG_BYTES,
    transport::{Ended, Farewell},
};
use app::wire::Time;
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
    response::Response,
};
use clap::ValueEnum;
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;
use std::{
    borrow::Cow,
    fmt::Write as _,
    io::Write as _,
    mem::take,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread,
    time::Duration,
};
use tokio::time::Instant;

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
    /// No line per request; the rest for people.
    Off,
}

/// Writes lines to standard error, from a thread of its own: a terminal that does not scroll holds no request up.
#[derive(Clone)]
pub struct AccessLog {
    format: LogFormat,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines there was no room for.
    dropped: u64,
    ended: bool,
    /// Everything was written, and the thread is gone.
    gone: bool,
}

impl AccessLog {
    /// Begins to write.
    pub fn new(format: LogFormat) -> Self {
        let shared = Arc::new(Shared::default());
        if format != LogFormat::Off {
            let writer = Arc::clone(&shared);
            thread::spawn(move || writer.write());
        }
        Self { format, shared }
    }

    /// Writes what is left, and no more after that.
    pub fn end(&self) {
        let mut waiting = self.shared.waiting();
        waiting.ended = true;
        self.shared.changed.notify_all();
        if self.format != LogFormat::Off {
            let patience = Duration::from_secs(1);
            let gone = self.shared.changed.wait_timeout_while(waiting, patience, |waiting| !waiting.gone);
            drop(gone.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// A request in the log; nothing if there is none. In a box, and what it `is` is found out for a log alone: without one
    /// no connection has room for it, nor is what it asked for fetched.
    pub(super) fn request<'a>(&self, is: impl FnOnce() -> (&'a Method, &'a str, Peer)) -> Option<Box<Request>> {
        (self.format != LogFormat::Off).then(|| {
            let (method, path, peer) = is();
            Box::new(Request {
                log: self.clone(),
                client: peer.address,
                method: method.clone(),
                path: path.into(),
                begun: Instant::now(),
                told: false,
            })
        })
    }

    fn say(&self, line: &Line<'_>) {
        let text = match self.format {
            LogFormat::Human => line.to_human(),
            LogFormat::Json => serde_json::to_string(line).unwrap_or_default(),
            LogFormat::Off => return,
        };
        let mut waiting = self.shared.waiting();
        if waiting.ended || waiting.lines.len() + text.len() > LOG_BYTES {
            waiting.dropped += 1;
            return;
        }
        waiting.lines.extend_from_slice(text.as_bytes());
        waiting.lines.push(b'\n');
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        loop {
            let mut waiting = self.waiting();
            while waiting.lines.is_empty() && !waiting.ended {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let (lines, dropped) = (take(&mut waiting.lines), take(&mut waiting.dropped));
            let ended = waiting.ended;
            drop(waiting);
            let _ = std::io::stderr().write_all(&lines);
            if dropped > 0 {
                tracing::warn!(dropped, "the access log could not be written as fast as requests came");
            }
            if ended {
                self.waiting().gone = true;
                self.changed.notify_all();
                return;
            }
        }
    }
}

/// A request that is under way.
pub(super) struct Request {
    log: AccessLog,
    client: IpAddr,
    method: Method,
    path: Box<str>,
    begun: Instant,
    /// Its end was told.
    told: bool,
}

/// The client was gone before there was an answer; nginx calls it so.
const GIVEN_UP: u16 = 499;

impl Drop for Request {
    fn drop(&mut self) {
        if !self.told {
            self.answered(StatusCode::from_u16(GIVEN_UP).unwrap_or(StatusCode::BAD_REQUEST), 0);
        }
    }
}

/// What stays open, as it is called in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    WebSocket,
    Sse,
}

impl Request {
    fn line(&self, event: Event, status: StatusCode) -> Line<'_> {
        Line {
            time: clock::now(),
            client: self.client,
            event,
            method: self.method.as_str(),
            path: printable(&self.path),
            status: status.as_u16(),
            bytes: None,
            ms: None,
            code: None,
        }
    }

    fn elapsed(&self) -> f64 {
        // Microseconds are enough, and short.
        (self.begun.elapsed().as_secs_f64() * 1e6).round() / 1e3
    }

    fn answered(&mut self, status: StatusCode, bytes: u64) {
        self.told = true;
        let line = Line { bytes: Some(bytes), ms: Some(self.elapsed()), ..self.line(Event::Request, status) };
        self.log.say(&line);
    }

    fn opened(&self, kind: Kind, status: StatusCode) {
        self.log.say(&self.line(Event::Open(kind), status));
    }

    fn closed(&mut self, kind: Kind, status: StatusCode, bytes: u64, code: Option<u16>) {
        self.told = true;
        let line = Line { bytes: Some(bytes), ms: Some(self.elapsed()), code, ..self.line(Event::Close(kind), status) };
        self.log.say(&line);
    }

    /// Tells of an answer that was sent.
    pub(super) fn end(mut self, status: StatusCode, bytes: u64) {
        self.answered(status, bytes);
    }

    /// Tells of an answer that hyper sends, when it was sent.
    pub(super) fn follow(self, response: Response) -> Response {
        let kind = stays_open(&response);
        let status = response.status();
        if let Some(kind) = kind {
            self.opened(kind, status);
        }
        response.map(|body| Body::new(Followed { body, bytes: 0, status, kind, request: self }))
    }

    /// Tells of an answer that a transport gives and that ends, when it was given.
    pub(super) fn taken(mut self, status: StatusCode) -> Farewell {
        Farewell::new(move |Ended { bytes, .. }| self.answered(status, bytes))
    }

    /// Tells of an answer that a transport gives, when it was given or has ended.
    pub(super) fn follow_taken(mut self, response: &Response) -> Farewell {
        let status = response.status();
        let Some(kind) = stays_open(response) else { return self.taken(status) };
        self.opened(kind, status);
        Farewell::new(move |Ended { code, bytes }| self.closed(kind, status, bytes, code))
    }
}

fn stays_open(response: &Response) -> Option<Kind> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Some(Kind::WebSocket);
    }
    let is_sse = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    is_sse.then_some(Kind::Sse)
}

/// A body whose end is told.
struct Followed {
    body: Body,
    bytes: u64,
    status: StatusCode,
    kind: Option<Kind>,
    request: Request,
}

impl HttpBody for Followed {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        match self.kind {
            Some(kind) => self.request.closed(kind, self.status, self.bytes, None),
            None => self.request.answered(self.status, self.bytes),
        }
    }
}

/// What a line tells.
#[derive(Serialize)]
struct Line<'a> {
    time: Time,
    client: IpAddr,
    #[serde(flatten)]
    event: Event,
    method: &'a str,
    path: Cow<'a, str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<f64>,
}

#[derive(Serialize)]
#[serde(tag = "event", content = "transport", rename_all = "lowercase")]
enum Event {
    Request,
    Open(Kind),
    Close(Kind),
}

impl Line<'_> {
    fn to_human(&self) -> String {
        let Self { time, client, method, path, status, .. } = self;
        let mut out = format!("{time} {client} ");
        let _ = match self.event {
            Event::Request => write!(out, "{method} {path} {status}"),
            Event::Open(kind) => write!(out, "{} {path} open", kind.name()),
            Event::Close(kind) => write!(out, "{} {path} closed", kind.name()),
        };
        if let Some(code) = self.code {
            let _ = write!(out, " {code}");
        }
        if let Some(bytes) = self.bytes {
            let _ = write!(out, " {bytes} B");
        }
        match self.ms {
            Some(ms) if ms >= 10_000.0 => drop(write!(out, " {:.1} s", ms / 1000.0)),
            Some(ms) => drop(write!(out, " {ms:.1} ms")),
            None => {}
        }
        out
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::Sse => "SSE",
        }
    }
}

/// A path as text that cannot write a line of its own, nor turn a terminal's colours.
fn printable(path: &str) -> Cow<'_, str> {
    if path.bytes().all(|b| b.is_ascii_graphic()) { path.into() } else { path.escape_default().to_string().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: Event) -> Line<'static> {
        Line {
            time: Time(0),
            client: IpAddr::V4([1, 2, 3, 4].into()),
            event,
            method: "GET",
            path: "/c/demo".into(),
            status: 200,
            bytes: Some(86),
            ms: Some(1.25),
            code: None,
        }
    }

    #[test]
    fn lines_for_people() {
        assert_eq!(line(Event::Request).to_human(), "1970-01-01T00:00:00.000Z 1.2.3.4 GET /c/demo 200 86 B 1.2 ms");
        let closed = Line { ms: Some(12_345.6), code: Some(1001), ..line(Event::Close(Kind::WebSocket)) };
        assert_eq!(closed.to_human(), "1970-01-01T00:00:00.000Z 1.2.3.4 WebSocket /c/demo closed 1001 86 B 12.3 s");
    }

    #[test]
    fn lines_for_programs() {
        let json = serde_json::to_value(line(Event::Request)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"time": "1970-01-01T00:00:00.000Z", "client": "1.2.3.4", "event": "request", "method": "GET",
                               "path": "/c/demo", "status": 200, "bytes": 86, "ms": 1.25})
        );
        let json = serde_json::to_value(line(Event::Open(Kind::Sse))).unwrap();
        assert_eq!((&json["event"], &json["transport"]), (&"open".into(), &"sse".into()));
    }

    #[test]
    fn a_path_stays_on_its_line() {
        assert_eq!(printable("/c/%0A"), "/c/%0A");
        assert_eq!(printable("/c/é\u{1b}"), "/c/\\u{e9}\\u{1b}");
    }
}
