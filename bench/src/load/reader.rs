//! A reader: a connection and its state. Received bytes are parsed in a buffer that all readers share.

use super::{
    frames::{self, CLOSE, PING, PONG},
    http::{self, Chunks, Ending},
    protocol::{Outcome, Protocol},
    socket,
    tally::{Place, Tally},
};
use crate::load::body;
use anyhow::{Result, bail, ensure};
use mio::net::TcpStream;
use socket2::SockRef;
use std::{
    io::{self, Read as _},
    time::Duration,
};

/// The state shared by all readers.
pub(crate) struct Shared {
    /// The receive buffer: first the bytes that a reader kept from earlier reads, then the new bytes.
    pub(crate) buffer: Vec<u8>,
    /// The tally of received messages.
    pub(crate) tally: Tally,
    /// The protocol of the readers.
    pub(crate) protocol: Protocol,
    /// The size of a message body in bytes.
    pub(crate) size: usize,
    /// A buffer in which requests are composed.
    pub(crate) request: Vec<u8>,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The connection is being opened.
    Connecting,
    /// The first request was sent, and its response has not arrived.
    Asked,
    /// The upgrade succeeded, and the Socket.IO handshake is in progress.
    Greeting,
    /// The reader receives messages.
    Open,
    /// The connection has ended.
    Closed,
}

/// A reader.
pub(crate) struct Reader {
    pub(crate) stream: TcpStream,
    pub(crate) state: State,
    pub(crate) place: Place,
    /// The bytes of an incomplete frame, line or response, or empty.
    rest: Vec<u8>,
    /// The decoder of the stream, if the stream is chunked.
    chunks: Option<Chunks>,
}

impl Reader {
    /// A reader whose connection is still being opened.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, state: State::Connecting, place: Place::default(), rest: Vec::new(), chunks: None }
    }

    /// Handles a readiness event of epoll.
    pub(crate) fn ready(&mut self, shared: &mut Shared, ended: bool, now: impl Fn() -> u64) -> Result<()> {
        if self.state == State::Connecting {
            self.connected(shared)?;
        }
        while matches!(self.state, State::Asked | State::Greeting | State::Open) {
            let kept = self.rest.len();
            shared.buffer[..kept].copy_from_slice(&self.rest);
            let room = shared.buffer.len() - kept;
            let bytes = match self.stream.read(&mut shared.buffer[kept..]) {
                Ok(0) => {
                    self.state = State::Closed;
                    break;
                }
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    self.state = State::Closed;
                    break;
                }
            };
            self.received(shared, kept, bytes, now())?;
            // A short read has emptied the socket, so another read would only cost time.
            if bytes < room && !ended {
                break;
            }
        }
        Ok(())
    }

    fn connected(&mut self, shared: &mut Shared) -> Result<()> {
        if let Some(error) = self.stream.take_error()? {
            bail!("a reader cannot connect: {error}");
        }
        if let Err(error) = self.stream.peer_addr() {
            ensure!(error.kind() == io::ErrorKind::NotConnected, "a reader cannot connect: {error}");
            return Ok(());
        }
        self.state = State::Asked;
        shared.protocol.first(&mut shared.request);
        self.send(&mut shared.request)?;
        if shared.protocol.waits_at_once() {
            self.state = State::Open;
        }
        Ok(())
    }

    /// Sends a short request. A socket that does not accept it at once is treated as broken.
    fn send(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        match socket::write(&mut self.stream, bytes) {
            Ok(true) => Ok(()),
            Ok(false) => bail!("a server does not read what a reader asks"),
            Err(_) => {
                self.state = State::Closed;
                Ok(())
            }
        }
    }

    /// Handles `bytes` new bytes, which follow `kept` bytes of earlier reads.
    fn received(&mut self, shared: &mut Shared, kept: usize, bytes: usize, now: u64) -> Result<()> {
        let mut buffer = std::mem::take(&mut shared.buffer);
        let mut filled = kept + bytes;
        if let Some(chunks) = &mut self.chunks {
            filled = kept + chunks.decode(&mut buffer[kept..filled]);
        }
        let taken = self.parse(shared, &mut buffer, filled, now);
        let size = buffer.len();
        if let Ok((taken, filled)) = taken {
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[taken..filled]);
        }
        shared.buffer = buffer;
        taken?;
        ensure!(self.rest.len() < size, "a server sent more in one piece than {size} bytes");
        Ok(())
    }

    /// Parses all complete frames, lines or responses. Returns the number of bytes parsed, and the number of bytes in
    /// the buffer after chunk framing was removed.
    fn parse(&mut self, shared: &mut Shared, buffer: &mut [u8], filled: usize, now: u64) -> Result<(usize, usize)> {
        let mut filled = filled;
        let mut taken = 0;
        if self.state == State::Asked && !shared.protocol.is_poll() {
            let Some(head) = http::head(&buffer[..filled])? else { return Ok((0, filled)) };
            ensure!(head.status == shared.protocol.status(), "a reader was answered with {}", head.status);
            taken = head.end;
            if head.ending == Ending::Chunked {
                let mut chunks = Chunks::default();
                filled = taken + chunks.decode(&mut buffer[taken..filled]);
                self.chunks = Some(chunks);
            }
            let greets = matches!(shared.protocol, Protocol::SocketIo(_));
            self.state = if greets { State::Greeting } else { State::Open };
        }
        taken += match shared.protocol {
            Protocol::Sse(_) => self.events(shared, &buffer[taken..filled], now),
            Protocol::Poll(_) => self.answers(shared, &mut buffer[taken..filled], now)?,
            Protocol::WebSocket(_) | Protocol::SocketIo(_) => self.frames(shared, &buffer[taken..filled], now)?,
        };
        Ok((taken, filled))
    }

    fn frames(&mut self, shared: &mut Shared, bytes: &[u8], now: u64) -> Result<usize> {
        let mut at = 0;
        while let Some(frame) = frames::first(&bytes[at..])? {
            let payload = &bytes[at + frame.start..at + frame.end];
            at += frame.end;
            match frame.opcode {
                PING => self.pong(payload)?,
                PONG => {}
                CLOSE => self.state = State::Closed,
                _ if matches!(shared.protocol, Protocol::SocketIo(_)) => self.packet(shared, payload, now)?,
                _ => self.payload(shared, payload, now),
            }
        }
        Ok(at)
    }

    /// Counts the messages in the payload of a frame, in a `data:` line or in the body of a response.
    fn payload(&mut self, shared: &mut Shared, payload: &[u8], now: u64) {
        let Shared { tally, size, .. } = shared;
        let any = body::each(payload, *size, |found| tally.seen(&mut self.place, found, now));
        if !any && memchr::memmem::find(payload, br#""type":"missed""#).is_some() {
            tally.told += 1;
        }
    }

    fn pong(&mut self, payload: &[u8]) -> Result<()> {
        let mut out = Vec::with_capacity(payload.len() + 6);
        frames::head(PONG, payload.len(), true, &mut out);
        out.extend_from_slice(payload);
        self.send(&mut out)
    }

    /// Handles an Engine.IO packet, which may contain a Socket.IO packet.
    fn packet(&mut self, shared: &mut Shared, packet: &[u8], now: u64) -> Result<()> {
        let answer: &[u8] = match packet {
            [b'0', ..] => b"40",
            [b'2', ..] => b"3",
            [b'4', b'0', ..] => {
                self.state = State::Open;
                return Ok(());
            }
            _ => {
                self.payload(shared, packet, now);
                return Ok(());
            }
        };
        let mut out = Vec::with_capacity(8);
        frames::head(frames::TEXT, answer.len(), true, &mut out);
        out.extend_from_slice(answer);
        self.send(&mut out)
    }

    /// Counts the messages in the `data:` lines of an event stream. Returns the number of bytes parsed.
    fn events(&mut self, shared: &mut Shared, bytes: &[u8], now: u64) -> usize {
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
            let line = &bytes[at..at + length];
            at += length + 1;
            if let Some(data) = line.strip_prefix(b"data:") {
                let data = data.strip_prefix(b" ").unwrap_or(data);
                self.payload(shared, data.strip_suffix(b"\r").unwrap_or(data), now);
            }
        }
        at
    }

    /// Counts the messages in responses to long polls, and sends the next request after each response. Returns the
    /// number of bytes parsed.
    fn answers(&mut self, shared: &mut Shared, bytes: &mut [u8], now: u64) -> Result<usize> {
        let mut at = 0;
        while let Some(answer) = http::answer(&mut bytes[at..])? {
            let (head, body) = (&bytes[at..at + answer.head], &bytes[at + answer.body.start..at + answer.body.end]);
            // The first response only contains the cursor at which reading begins.
            if self.state == State::Open {
                self.payload(shared, body, now);
            }
            at += answer.end;
            match shared.protocol.next(answer.status, head, body, &mut shared.request)? {
                Outcome::Ask => {
                    let mut request = std::mem::take(&mut shared.request);
                    let sent = self.send(&mut request);
                    shared.request = request;
                    sent?;
                }
                Outcome::Ended => self.state = State::Closed,
            }
            if self.state == State::Asked {
                self.state = State::Open;
            }
        }
        Ok(at)
    }

    /// Resets the connection, so that its port is free again at once. Otherwise tens of thousands of ports in TIME_WAIT
    /// would make the search for a free port dominate the measurement.
    pub(crate) fn leave(&mut self) -> Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
        self.state = State::Closed;
        Ok(())
    }
}
