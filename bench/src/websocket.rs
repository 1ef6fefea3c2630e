//! A minimal WebSocket client (RFC 6455) for reading a channel: it receives text frames and answers pings.

use crate::http::Head;
use anyhow::{Context, Result, bail, ensure};
use std::{net::SocketAddr, ops::Range, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The sample key and its accept value from RFC 6455, section 1.3. A server accepts any valid key.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// The server sends a heartbeat every 15 seconds, so a connection that is silent for this long is broken.
const SILENCE: Duration = Duration::from_secs(60);
/// Buffer space reserved for one read; small, because thousands of connections are open at once.
const READ_BYTES: usize = 8 * 1024;
/// The largest frame accepted from the server, in bytes.
const FRAME_BYTES: usize = 16 * 1024 * 1024;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// An open WebSocket.
pub(crate) struct WebSocket {
    stream: TcpStream,
    received: Vec<u8>,
    /// The number of bytes at the start of `received` that were already returned.
    taken: usize,
}

impl WebSocket {
    /// Connects and performs the opening handshake.
    pub(crate) async fn open(address: SocketAddr, target: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await.with_context(|| format!("{address} cannot be reached"))?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: baro-bench\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.context("an upgrade cannot be sent")?;
        let mut this = Self { stream, received: Vec::new(), taken: 0 };
        let head = loop {
            ensure!(this.receive().await, "the connection ended before the upgrade was answered");
            if let Some(head) = Head::read(&this.received)? {
                break head;
            }
        };
        ensure!(head.status == 101, "an upgrade was answered with {}", head.status);
        let accepted = String::from_utf8_lossy(&this.received[..head.end]).contains(ACCEPT);
        ensure!(accepted, "an upgrade was answered with the wrong key");
        this.taken = head.end;
        Ok(this)
    }

    /// The next text frame, or `None` if the connection ended for any reason. Answers pings.
    pub(crate) async fn text(&mut self) -> Result<Option<&str>> {
        let payload = loop {
            let Some(frame) = Frame::read(&self.received[self.taken..])? else {
                if self.receive().await {
                    continue;
                }
                return Ok(None);
            };
            let payload = self.taken + frame.payload.start..self.taken + frame.payload.end;
            self.taken = payload.end;
            match frame.opcode {
                TEXT => break payload,
                PING => {
                    let pong = pong(&self.received[payload]);
                    if self.stream.write_all(&pong).await.is_err() {
                        return Ok(None);
                    }
                }
                PONG => {}
                CLOSE => return Ok(None),
                other => bail!("the server sent a frame of the kind {other}"),
            }
        };
        let text = std::str::from_utf8(&self.received[payload]).context("a text frame is not UTF-8")?;
        Ok(Some(text))
    }

    /// Reads more bytes. Returns `false` if the connection ended or was silent for too long.
    async fn receive(&mut self) -> bool {
        self.received.drain(..self.taken);
        self.taken = 0;
        self.received.reserve(READ_BYTES);
        matches!(timeout(SILENCE, self.stream.read_buf(&mut self.received)).await, Ok(Ok(1..)))
    }
}

/// A complete frame at the beginning of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    opcode: u8,
    payload: Range<usize>,
}

impl Frame {
    /// Parses a frame. Returns `None` if the frame is not complete yet.
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        ensure!(first & 0xf0 == 0x80, "the server sent a frame in parts, or with extensions");
        ensure!(second & 0x80 == 0, "the server masked a frame");
        let (length, start): (usize, usize) = match second {
            126 => {
                let Some(length) = rest.first_chunk::<2>() else { return Ok(None) };
                (usize::from(u16::from_be_bytes(*length)), 4)
            }
            127 => {
                let Some(length) = rest.first_chunk::<8>() else { return Ok(None) };
                (usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX), 10)
            }
            short => (usize::from(short), 2),
        };
        ensure!(length <= FRAME_BYTES, "the server sent a frame of {length} bytes");
        let payload = start..start + length;
        Ok((bytes.len() >= payload.end).then_some(Self { opcode: first & 0x0f, payload }))
    }
}

/// The pong for a ping. Client frames must be masked; a mask of zeros leaves the payload unchanged.
fn pong(payload: &[u8]) -> Vec<u8> {
    // The payload of a control frame has at most 125 bytes (RFC 6455, section 5.5).
    let length = u8::try_from(payload.len()).unwrap_or(125).min(125);
    let mut frame = vec![0x80 | PONG, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(&payload[..usize::from(length)]);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length() {
        for (length, head) in [(125, vec![0x81, 125]), (126, vec![0x81, 126, 0, 126]), (70_000, vec![0x81, 127])] {
            let mut bytes = head;
            if bytes[1] == 127 {
                bytes.extend_from_slice(&70_000u64.to_be_bytes());
            }
            let start = bytes.len();
            bytes.resize(start + length, b'x');
            assert_eq!(Frame::read(&bytes[..bytes.len() - 1]).unwrap(), None);
            bytes.push(0x81);
            let payload = start..start + length;
            assert_eq!(Frame::read(&bytes).unwrap(), Some(Frame { opcode: TEXT, payload }));
        }
        assert_eq!(Frame::read(&[]).unwrap(), None);
        assert!(Frame::read(&[0x01, 0]).is_err(), "a part of a frame");
        assert!(Frame::read(&[0x81, 0x80]).is_err(), "masked");
    }

    #[test]
    fn a_pong_has_what_the_ping_had() {
        assert_eq!(pong(b"hi"), [0x8a, 0x82, 0, 0, 0, 0, b'h', b'i']);
    }
}
