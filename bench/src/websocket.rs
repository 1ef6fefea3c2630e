//! A WebSocket (RFC 6455) by hand, as little as reading a channel needs: text frames in, pongs out.

use crate::http::Head;
use anyhow::{Context, Result, bail, ensure};
use std::{net::SocketAddr, ops::Range, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The key and its answer from the RFC: a fixed one is as valid as any.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// The server says something every 15 seconds: nothing at all for so long means that it is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// Room made for one read. Thousands of these are open at once.
const READ_BYTES: usize = 8 * 1024;
/// No frame of the server is longer.
const FRAME_BYTES: usize = 16 * 1024 * 1024;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// An open WebSocket.
pub(crate) struct WebSocket {
    stream: TcpStream,
    received: Vec<u8>,
    /// Bytes of `received` that were handed out.
    taken: usize,
}

impl WebSocket {
    /// Connects and upgrades.
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

    /// The next text frame; `None` when the connection has ended, however it did. Pings are answered in between.
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

    /// Reads on; `false` when nothing more comes.
    async fn receive(&mut self) -> bool {
        self.received.drain(..self.taken);
        self.taken = 0;
        self.received.reserve(READ_BYTES);
        matches!(timeout(SILENCE, self.stream.read_buf(&mut self.received)).await, Ok(Ok(1..)))
    }
}

/// One whole frame at the beginning of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    opcode: u8,
    payload: Range<usize>,
}

impl Frame {
    /// Reads a frame; `None` while it is not complete.
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

/// The answer to a ping. A client's frames are masked; a mask of zeros leaves the payload as it is.
fn pong(payload: &[u8]) -> Vec<u8> {
    // A ping carries at most 125 bytes.
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
