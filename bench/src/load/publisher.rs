//! A publisher: a keep-alive connection with publishes in flight.

use super::{
    body,
    frames::{self, CLOSE, PING, PONG},
    histogram::Histogram,
    http, socket,
};
use crate::peers::Post;
use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use std::{
    collections::VecDeque,
    io::{self, Read as _},
    net::SocketAddr,
};

/// Digits in a channel name that select one of many channels.
const CHANNEL_DIGITS: usize = 6;

/// The bytes of a publish. Only the digits of the channel, the number and the stamp change.
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where the digits of the channel begin, and the number of channels. `None` if there is only one channel.
    channel: Option<(usize, u32)>,
    /// The size of the body in bytes. The body is followed by `behind` more bytes.
    size: usize,
    behind: usize,
    /// The upgrade request that precedes publishes over WebSocket.
    upgrade: Option<Vec<u8>>,
}

impl Template {
    /// A `POST` of a body. With several channels, the path ends with the number of the channel.
    pub(crate) fn post(address: SocketAddr, post: &Post, size: usize, channels: u32) -> Self {
        let Post { path, around: (before, behind) } = post;
        let kind = if before.is_empty() { "text/plain" } else { "application/json" };
        let body = body::blank(size);
        let name = if channels > 1 { "-000000" } else { "" };
        let head = format!(
            "POST {path}{name} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: baro-bench\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n{before}",
            before.len() + body.len() + behind.len()
        );
        let channel = (channels > 1).then_some(("POST ".len() + path.len() + 1, channels));
        let bytes = [head.as_bytes(), &body, behind.as_bytes()].concat();
        Self { bytes, channel, size: body.len(), behind: behind.len(), upgrade: None }
    }

    /// A `publish` command for the WebSocket endpoint `/live`.
    pub(crate) fn live(address: SocketAddr, path: &str, channel: &str, size: usize) -> Self {
        let body = body::blank(size);
        let command = format!(r#"{{"type":"publish","ref":1,"channel":"{channel}","body":""#);
        let end = br#""}"#;
        let mut bytes = Vec::new();
        frames::head(frames::TEXT, command.len() + body.len() + end.len(), true, &mut bytes);
        bytes.extend_from_slice(command.as_bytes());
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(end);
        let target = super::protocol::Target { address, path: path.to_owned() };
        let mut upgrade = Vec::new();
        super::protocol::Protocol::WebSocket(target).first(&mut upgrade);
        Self { bytes, channel: None, size: body.len(), behind: end.len(), upgrade: Some(upgrade) }
    }

    fn write(&mut self, number: u32, due: u64, out: &mut Vec<u8>) {
        if let Some((at, channels)) = self.channel {
            body::digits(&mut self.bytes[at..at + CHANNEL_DIGITS], u64::from(number % channels));
        }
        let end = self.bytes.len() - self.behind;
        body::fill(&mut self.bytes[end - self.size..end], number, due);
        out.extend_from_slice(&self.bytes);
    }
}

/// The results of all publishers.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Whether acknowledgements are being counted.
    pub(crate) counting: bool,
    /// The time from when a publish was due until it was acknowledged, for counted acknowledgements.
    pub(crate) acks: Histogram,
    /// Publishes that were refused.
    pub(crate) refused: u64,
    /// The text of the first refusal.
    pub(crate) refusal: Option<String>,
}

/// The state of a publisher's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Upgrading,
    Open,
}

/// A publisher.
pub(crate) struct Publisher {
    pub(crate) stream: TcpStream,
    state: State,
    received: Vec<u8>,
    out: Vec<u8>,
    /// The due times of the publishes in flight. Answers arrive in the same order.
    due: VecDeque<u64>,
}

impl Publisher {
    /// A publisher whose connection is still being opened.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, state: State::Connecting, received: Vec::new(), out: Vec::new(), due: VecDeque::new() }
    }

    /// Whether the publisher can publish.
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The number of publishes in flight.
    pub(crate) fn under_way(&self) -> usize {
        self.due.len()
    }

    /// Queues a publish; [`Self::flush`] sends it.
    pub(crate) fn publish(&mut self, template: &mut Template, number: u32, due: u64) {
        template.write(number, due, &mut self.out);
        self.due.push_back(due);
    }

    /// Sends as many queued bytes as the socket accepts.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            socket::write(&mut self.stream, &mut self.out).context("a publish cannot be sent")?;
        }
        Ok(())
    }

    /// Handles a readiness event of epoll.
    pub(crate) fn ready(
        &mut self,
        template: &Template,
        buffer: &mut [u8],
        published: &mut Published,
        now: impl Fn() -> u64,
    ) -> Result<()> {
        if self.state == State::Connecting {
            self.connected(template)?;
        }
        self.flush()?;
        loop {
            let bytes = match self.stream.read(buffer) {
                Ok(0) => bail!("the server closed the connection of a publisher"),
                Ok(bytes) => bytes,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("an answer to a publisher cannot be read"),
            };
            self.received.extend_from_slice(&buffer[..bytes]);
            self.parse(template, published, now())?;
            if bytes < buffer.len() {
                break;
            }
        }
        Ok(())
    }

    fn connected(&mut self, template: &Template) -> Result<()> {
        if let Some(error) = self.stream.take_error()? {
            bail!("a publisher cannot connect: {error}");
        }
        if self.stream.peer_addr().is_err() {
            return Ok(());
        }
        match &template.upgrade {
            Some(upgrade) => {
                self.out.extend_from_slice(upgrade);
                self.state = State::Upgrading;
            }
            None => self.state = State::Open,
        }
        Ok(())
    }

    fn parse(&mut self, template: &Template, published: &mut Published, now: u64) -> Result<()> {
        let mut received = std::mem::take(&mut self.received);
        let mut at = 0;
        if self.state == State::Upgrading
            && let Some(head) = http::head(&received)?
        {
            ensure!(head.status == 101, "a publisher's upgrade was answered with {}", head.status);
            self.state = State::Open;
            at = head.end;
        }
        if self.state == State::Open {
            at += match template.upgrade {
                Some(_) => self.frames(&received[at..], published, now)?,
                None => self.answers(&mut received[at..], published, now)?,
            };
        }
        received.drain(..at);
        self.received = received;
        Ok(())
    }

    fn answers(&mut self, bytes: &mut [u8], published: &mut Published, now: u64) -> Result<usize> {
        let mut at = 0;
        while let Some(answer) = http::answer(&mut bytes[at..])? {
            let good = (200..300).contains(&answer.status);
            self.answered(good.then_some(()).ok_or(&bytes[at..at + answer.end]), published, now);
            at += answer.end;
        }
        Ok(at)
    }

    fn frames(&mut self, bytes: &[u8], published: &mut Published, now: u64) -> Result<usize> {
        let mut at = 0;
        while let Some(frame) = frames::first(&bytes[at..])? {
            let payload = &bytes[at + frame.start..at + frame.end];
            at += frame.end;
            match frame.opcode {
                PING => {
                    frames::head(PONG, payload.len(), true, &mut self.out);
                    self.out.extend_from_slice(payload);
                    self.flush()?;
                }
                CLOSE => bail!("the server closed the WebSocket of a publisher"),
                _ if payload.starts_with(br#"{"type":"ack""#) => self.answered(Ok(()), published, now),
                _ if payload.starts_with(br#"{"type":"error""#) => self.answered(Err(payload), published, now),
                _ => {}
            }
        }
        Ok(at)
    }

    fn answered(&mut self, result: Result<(), &[u8]>, published: &mut Published, now: u64) {
        let due = self.due.pop_front();
        match result {
            Ok(()) => {
                if let Some(due) = due.filter(|_| published.counting) {
                    published.acks.record(now.saturating_sub(due));
                }
            }
            Err(answer) => {
                published.refused += 1;
                published.refusal.get_or_insert_with(|| String::from_utf8_lossy(answer).into_owned());
            }
        }
    }
}
