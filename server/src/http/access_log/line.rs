//! One line of the access log, for people or for programs.

use app::wire::Time;
use serde::Serialize;
use std::{borrow::Cow, fmt::Write, net::IpAddr};

/// The kind of a connection that stays open, as the log names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StreamKind {
    WebSocket,
    Sse,
}

/// The fields of a line.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) time: Time,
    pub(super) client: IpAddr,
    #[serde(flatten)]
    pub(super) event: LineEvent,
    pub(super) method: &'a str,
    pub(super) path: Cow<'a, str>,
    pub(super) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ms: Option<f64>,
}

#[derive(Serialize)]
#[serde(tag = "event", content = "transport", rename_all = "lowercase")]
pub(super) enum LineEvent {
    Request,
    Open(StreamKind),
    Close(StreamKind),
}

impl Line<'_> {
    pub(super) fn to_human(&self) -> String {
        let Self { time, client, method, path, status, .. } = self;
        let mut out = format!("{time} {client} ");
        let _ = match self.event {
            LineEvent::Request => write!(out, "{method} {path} {status}"),
            LineEvent::Open(kind) => write!(out, "{} {path} open", kind.name()),
            LineEvent::Close(kind) => write!(out, "{} {path} closed", kind.name()),
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

impl StreamKind {
    fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::Sse => "SSE",
        }
    }
}

/// Escapes a path, so that it can neither begin a new line nor send control codes to a terminal.
pub(super) fn printable(path: &str) -> Cow<'_, str> {
    if path.bytes().all(|b| b.is_ascii_graphic()) { path.into() } else { path.escape_default().to_string().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: LineEvent) -> Line<'static> {
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
        assert_eq!(line(LineEvent::Request).to_human(), "1970-01-01T00:00:00.000Z 1.2.3.4 GET /c/demo 200 86 B 1.2 ms");
        let closed = Line { ms: Some(12_345.6), code: Some(1001), ..line(LineEvent::Close(StreamKind::WebSocket)) };
        assert_eq!(closed.to_human(), "1970-01-01T00:00:00.000Z 1.2.3.4 WebSocket /c/demo closed 1001 86 B 12.3 s");
    }

    #[test]
    fn lines_for_programs() {
        let json = serde_json::to_value(line(LineEvent::Request)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"time": "1970-01-01T00:00:00.000Z", "client": "1.2.3.4", "event": "request", "method": "GET",
                               "path": "/c/demo", "status": 200, "bytes": 86, "ms": 1.25})
        );
        let json = serde_json::to_value(line(LineEvent::Open(StreamKind::Sse))).unwrap();
        assert_eq!((&json["event"], &json["transport"]), (&"open".into(), &"sse".into()));
    }

    #[test]
    fn a_path_stays_on_its_line() {
        assert_eq!(printable("/c/%0A"), "/c/%0A");
        assert_eq!(printable("/c/é\u{1b}"), "/c/\\u{e9}\\u{1b}");
    }
}
