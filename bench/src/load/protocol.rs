//! The requests that readers send for each protocol.

use super::http::header;
use crate::peers::Poll;
use anyhow::{Context, Result, bail};
use std::{io::Write as _, net::SocketAddr};

/// The sample key of RFC 6455, section 1.3. A server accepts any valid key.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// How readers receive messages.
#[derive(Clone, Debug)]
pub(crate) enum Protocol {
    /// WebSocket.
    WebSocket(Target),
    /// Socket.IO over WebSocket.
    SocketIo(Target),
    /// Server-Sent Events.
    Sse(Target),
    /// Long poll.
    Poll(Polled),
}

/// A path on a server.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The address of the server.
    pub(crate) address: SocketAddr,
    /// The path and the query.
    pub(crate) path: String,
}

/// A long poll on a server.
#[derive(Clone, Debug)]
pub(crate) struct Polled {
    /// The address of the server.
    pub(crate) address: SocketAddr,
    /// How the next request is made.
    pub(crate) poll: Poll,
}

/// What follows a response to a long poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The reader sends the next request.
    Ask,
    /// The server closes the connection.
    Ended,
}

impl Protocol {
    /// Whether readers use long polls.
    pub(crate) fn is_poll(&self) -> bool {
        matches!(self, Self::Poll(_))
    }

    /// Whether the first request already waits for a message.
    pub(crate) fn waits_at_once(&self) -> bool {
        matches!(self, Self::Poll(Polled { poll: Poll::Nchan(_), .. }))
    }

    /// The expected status of the first response.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::WebSocket(_) | Self::SocketIo(_) => 101,
            Self::Sse(_) | Self::Poll(_) => 200,
        }
    }

    /// Writes the first request to `out`.
    pub(crate) fn first(&self, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::WebSocket(Target { address, path }) | Self::SocketIo(Target { address, path }) => push(
                out,
                format_args!(
                    "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: baro-bench\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
                ),
            ),
            Self::Sse(Target { address, path }) => push(
                out,
                format_args!(
                    "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: baro-bench\r\n\
                     Accept: text/event-stream\r\n\r\n"
                ),
            ),
            Self::Poll(Polled { address, poll: Poll::Cursor(path) | Poll::Nchan(path) }) => {
                push(out, format_args!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: baro-bench\r\n\r\n"))
            }
        }
    }

    /// Writes the request that follows a response to a long poll to `out`.
    pub(crate) fn next(&self, status: u16, head: &[u8], body: &[u8], out: &mut Vec<u8>) -> Result<Outcome> {
        let Self::Poll(Polled { address, poll }) = self else { bail!("only a long poll asks again") };
        out.clear();
        match poll {
            Poll::Cursor(path) => {
                if status != 200 {
                    bail!("a long poll was answered with {status}");
                }
                let cursor = header(head, "x-cursor").or_else(|| cursor(body)).context("an answer has no cursor")?;
                let and = if path.contains('?') { '&' } else { '?' };
                push(out, format_args!("GET {path}{and}wait=30&after="));
                out.extend_from_slice(cursor);
                push(out, format_args!(" HTTP/1.1\r\nHost: {address}\r\nUser-Agent: baro-bench\r\n\r\n"));
            }
            Poll::Nchan(path) => {
                if status != 200 && status != 304 && status != 408 {
                    bail!("a long poll was answered with {status}");
                }
                push(out, format_args!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: baro-bench\r\n"));
                for (from, to) in [("last-modified", "If-Modified-Since"), ("etag", "If-None-Match")] {
                    if let Some(value) = header(head, from) {
                        push(out, format_args!("{to}: "));
                        out.extend_from_slice(value);
                        push(out, format_args!("\r\n"));
                    }
                }
                push(out, format_args!("\r\n"));
            }
        }
        let closes = header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        Ok(if closes { Outcome::Ended } else { Outcome::Ask })
    }
}

/// Appends formatted text.
fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes everything");
}

/// The cursor of a JSON response. The last match is used, because the cursor follows the messages.
fn cursor(body: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = br#""cursor":""#;
    let at = memchr::memmem::rfind(body, KEY)? + KEY.len();
    let length = memchr::memchr(b'"', &body[at..])?;
    Some(&body[at..at + length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_goes_on_with_its_cursor() {
        let polled = |poll| Protocol::Poll(Polled { address: ([127, 0, 0, 1], 80).into(), poll });
        let mut out = Vec::new();
        let json = br#"{"messages":[{"body":"\"cursor\":\"x"}],"cursor":"k3.7","more":false,"missed":[]}"#;
        let baro = polled(Poll::Cursor("/c/a?as=json".to_owned()));
        assert_eq!(baro.next(200, b"", json, &mut out).unwrap(), Outcome::Ask);
        assert!(out.starts_with(b"GET /c/a?as=json&wait=30&after=k3.7 HTTP/1.1\r\n"));
        let floor = polled(Poll::Cursor("/poll".to_owned()));
        assert_eq!(floor.next(200, b"\r\nX-Cursor: 9\r\n", b"", &mut out).unwrap(), Outcome::Ask);
        assert!(out.starts_with(b"GET /poll?wait=30&after=9 HTTP/1.1\r\n"));
        let nchan = polled(Poll::Nchan("/poll".to_owned()));
        let head = b"HTTP/1.1 200 OK\r\nEtag: 0\r\nLast-Modified: Thu\r\nConnection: close\r\n";
        assert_eq!(nchan.next(200, head, b"", &mut out).unwrap(), Outcome::Ended);
        assert!(out.ends_with(b"If-Modified-Since: Thu\r\nIf-None-Match: 0\r\n\r\n"));
    }
}
