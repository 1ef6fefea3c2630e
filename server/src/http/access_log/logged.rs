//! The access log, and a request in progress, which writes its line when it ends.

use super::{
    line::{Line, LineEvent, StreamKind, printable},
    writer::LogWriter,
};
use crate::{
    clock,
    http::who::Peer,
    net::{Closed, OnClose},
};
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
    response::Response,
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
    /// No lines for requests. Other logs are for people.
    Off,
}

/// The access log.
#[derive(Clone)]
pub struct AccessLog {
    format: LogFormat,
    /// `None` with [`LogFormat::Off`].
    writer: Option<Arc<LogWriter>>,
}

impl AccessLog {
    /// Starts the log.
    pub fn new(format: LogFormat) -> Self {
        Self { format, writer: (format != LogFormat::Off).then(LogWriter::start) }
    }

    /// Writes the remaining lines and stops. Blocks for a second at most.
    pub fn end(&self) {
        if let Some(writer) = &self.writer {
            writer.end();
        }
    }

    /// Begins the line of a request. `None` if there is no log: connections then keep no memory for a line, and `is` is
    /// not called.
    pub(in super::super) fn request<'a>(
        &self,
        is: impl FnOnce() -> (&'a Method, &'a str, Peer),
    ) -> Option<Box<LoggedRequest>> {
        self.writer.as_ref().map(|_| {
            let (method, path, peer) = is();
            Box::new(LoggedRequest {
                log: self.clone(),
                client: peer.address,
                method: method.clone(),
                path: path.into(),
                begun: Instant::now(),
                told: false,
            })
        })
    }

    fn write(&self, line: &Line<'_>) {
        let Some(writer) = &self.writer else { return };
        match self.format {
            LogFormat::Json => writer.write(&serde_json::to_string(line).unwrap_or_default()),
            LogFormat::Human | LogFormat::Off => writer.write(&line.to_human()),
        }
    }
}

/// A request in progress. Its line is written when it is answered or dropped.
pub(in super::super) struct LoggedRequest {
    log: AccessLog,
    client: IpAddr,
    method: Method,
    path: Box<str>,
    begun: Instant,
    /// Its last line was written.
    told: bool,
}

/// The status of a request whose client disconnected before there was an answer. nginx uses the same number.
const GIVEN_UP: u16 = 499;

impl Drop for LoggedRequest {
    fn drop(&mut self) {
        if !self.told {
            self.answered(StatusCode::from_u16(GIVEN_UP).unwrap_or(StatusCode::BAD_REQUEST), 0);
        }
    }
}

impl LoggedRequest {
    fn line(&self, event: LineEvent, status: StatusCode) -> Line<'_> {
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
        // Microseconds are precise enough and keep the line short.
        (self.begun.elapsed().as_secs_f64() * 1e6).round() / 1e3
    }

    fn answered(&mut self, status: StatusCode, bytes: u64) {
        self.told = true;
        let line = self.line(LineEvent::Request, status);
        self.log.write(&Line { bytes: Some(bytes), ms: Some(self.elapsed()), ..line });
    }

    fn opened(&self, kind: StreamKind, status: StatusCode) {
        self.log.write(&self.line(LineEvent::Open(kind), status));
    }

    fn closed(&mut self, kind: StreamKind, status: StatusCode, closed: Closed) {
        self.told = true;
        let line = self.line(LineEvent::Close(kind), status);
        self.log.write(&Line { bytes: Some(closed.bytes), ms: Some(self.elapsed()), code: closed.code, ..line });
    }

    /// Logs an answer that was sent.
    pub(in super::super) fn end(mut self, status: StatusCode, bytes: u64) {
        self.answered(status, bytes);
    }

    /// Logs an answer that hyper sends, once its body has ended.
    pub(in super::super) fn on_body_end(self, response: Response) -> Response {
        let kind = stream_kind(&response);
        let status = response.status();
        if let Some(kind) = kind {
            self.opened(kind, status);
        }
        response.map(|body| Body::new(LoggedBody { body, bytes: 0, status, kind, request: self }))
    }

    /// Logs one answer that is written without hyper, once it was written.
    pub(in super::super) fn on_answer(mut self, status: StatusCode) -> OnClose {
        OnClose::new(move |Closed { bytes, .. }| self.answered(status, bytes))
    }

    /// Logs an answer that is handed off, once it was written or its stream has ended.
    pub(in super::super) fn on_handoff(mut self, response: &Response) -> OnClose {
        let status = response.status();
        let Some(kind) = stream_kind(response) else { return self.on_answer(status) };
        self.opened(kind, status);
        OnClose::new(move |closed| self.closed(kind, status, closed))
    }
}

fn stream_kind(response: &Response) -> Option<StreamKind> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Some(StreamKind::WebSocket);
    }
    let is_sse = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    is_sse.then_some(StreamKind::Sse)
}

/// A body that logs its end.
struct LoggedBody {
    body: Body,
    bytes: u64,
    status: StatusCode,
    kind: Option<StreamKind>,
    request: LoggedRequest,
}

impl HttpBody for LoggedBody {
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

impl Drop for LoggedBody {
    fn drop(&mut self) {
        match self.kind {
            Some(kind) => self.request.closed(kind, self.status, Closed { bytes: self.bytes, code: None }),
            None => self.request.answered(self.status, self.bytes),
        }
    }
}
