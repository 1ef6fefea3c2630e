//! A minimal HTTP/1.1 client for publishing: one keep-alive connection with one request in flight.

use crate::reader::body;
use anyhow::{Context, Result, bail, ensure};
use std::{io::Write as _, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The status of the response to a publish that was stored.
pub(crate) const CREATED: u16 = 201;
/// Far longer than any response takes; it only keeps a broken run from hanging.
const PATIENCE: Duration = Duration::from_secs(60);
/// The initial capacity of the receive buffer in bytes: larger than the response to a publish.
const ANSWER_BYTES: usize = 1024;

/// The head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status.
    pub(crate) status: u16,
    /// The length of the head in bytes, which is also where the body begins.
    pub(crate) end: usize,
    /// The length of the body in bytes.
    length: usize,
}

impl Head {
    /// Parses a head. Returns `None` if the head is not complete yet.
    pub(crate) fn read(received: &[u8]) -> Result<Option<Self>> {
        let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&received[..at]).context("the head of an answer is not text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse::<u16>().ok());
        let mut length = 0_usize;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse::<usize>().context("the length of an answer is not a number")?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                bail!("an answer came in chunks, which is not expected here: {text}");
            }
        }
        Ok(Some(Self { status: status.context("an answer has no status")?, end: at + 4, length }))
    }
}

/// A keep-alive connection.
pub(crate) struct Http {
    stream: TcpStream,
    address: SocketAddr,
    request: Vec<u8>,
    received: Vec<u8>,
}

impl Http {
    /// Opens the connection.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address} cannot be reached"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address, request: Vec::new(), received: Vec::with_capacity(ANSWER_BYTES) })
    }

    /// Publishes `text` and returns the status of the response.
    pub(crate) async fn publish(&mut self, channel: &str, text: &str) -> Result<u16> {
        self.request.clear();
        write!(
            self.request,
            "POST /c/{channel} HTTP/1.1\r\nHost: {}\r\nUser-Agent: baro-bench\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{text}",
            self.address,
            text.len()
        )?;
        self.stream.write_all(&self.request).await.context("a request cannot be sent")?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<u16> {
        self.received.clear();
        let head = loop {
            self.receive().await?;
            if let Some(head) = Head::read(&self.received)? {
                break head;
            }
        };
        let whole = head.end + head.length;
        while self.received.len() < whole {
            self.receive().await?;
        }
        ensure!(self.received.len() == whole, "the server sent more than one answer to one request");
        Ok(head.status)
    }

    async fn receive(&mut self) -> Result<()> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await.context("no answer came")?;
        let bytes = read.context("an answer cannot be read")?;
        ensure!(bytes > 0, "the server closed the connection instead of answering");
        Ok(())
    }
}

/// Publishes one message per number over a new connection, each after the response to the previous one.
pub(crate) async fn publish_all(address: SocketAddr, channel: &str, numbers: impl Iterator<Item = u64>) -> Result<()> {
    let mut http = Http::connect(address).await?;
    for number in numbers {
        let status = http.publish(channel, &body(number)).await?;
        ensure!(status == CREATED, "a publish was answered with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_complete() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nvary: Accept\r\n\r\n{}";
        let end = answer.len() - 2;
        assert_eq!(Head::read(&answer[..end - 1]).unwrap(), None);
        assert_eq!(Head::read(answer).unwrap(), Some(Head { status: 201, end, length: 2 }));
        assert!(Head::read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Head::read(b"nonsense\r\n\r\n").is_err());
    }
}
