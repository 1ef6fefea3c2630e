//! A connection of the floor server, with the least possible state.

use super::Shared;
use crate::load::{http_header, write_some};
use mio::net::TcpStream;
use std::io::{self, Read as _, Write as _};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// How a connection is used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// The client sends HTTP requests.
    Http,
    /// The client receives WebSocket frames.
    WebSocket,
    /// The client receives Server-Sent Events.
    Events,
    /// A long poll waits for messages after this position.
    Waiting(u64),
}

/// A connection of the floor server.
pub(crate) struct Conn {
    stream: TcpStream,
    pub(crate) role: Role,
    /// The bytes of an incomplete request, or empty.
    rest: Vec<u8>,
    /// The bytes that the socket did not accept yet, or empty.
    out: Vec<u8>,
}

impl Conn {
    /// A new connection, which begins with HTTP requests.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, role: Role::Http, rest: Vec::new(), out: Vec::new() }
    }

    /// Handles a readiness event of epoll.
    ///
    /// # Errors
    /// Returns an error if the connection must be closed.
    pub(crate) fn ready(&mut self, ended: bool, shared: &mut Shared) -> io::Result<()> {
        if !self.out.is_empty() {
            write_some(&mut self.stream, &mut self.out)?;
        }
        loop {
            let kept = self.rest.len();
            if kept >= shared.buffer.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            shared.buffer[..kept].copy_from_slice(&self.rest);
            let bytes = match self.stream.read(&mut shared.buffer[kept..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // Input from WebSocket and event readers is ignored.
            if !matches!(self.role, Role::WebSocket | Role::Events) {
                self.requests(kept + bytes, shared)?;
            }
            if !ended && kept + bytes < shared.buffer.len() {
                return Ok(());
            }
        }
    }

    fn requests(&mut self, filled: usize, shared: &mut Shared) -> io::Result<()> {
        let buffer = std::mem::take(&mut shared.buffer);
        let mut at = 0;
        let mut result = Ok(());
        while let Some(end) = whole(&buffer[at..filled]) {
            result = self.request(&buffer[at..at + end.0], &buffer[at + end.0..at + end.1], shared);
            at += end.1;
            if result.is_err() {
                break;
            }
        }
        self.rest.clear();
        self.rest.extend_from_slice(&buffer[at..filled]);
        shared.buffer = buffer;
        result
    }

    fn request(&mut self, head: &[u8], body: &[u8], shared: &mut Shared) -> io::Result<()> {
        if head.starts_with(b"POST /pub ") {
            shared.turn.add(body);
            shared.log.push(body);
            return self.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
        if head.starts_with(b"GET /ws ") {
            let key = http_header(head, "sec-websocket-key").unwrap_or_default();
            let accept = derive_accept_key(key);
            self.role = Role::WebSocket;
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-accept: {accept}\r\n\r\n"
            );
            return self.send(head.as_bytes());
        }
        if head.starts_with(b"GET /sse ") {
            self.role = Role::Events;
            return self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
        }
        if head.starts_with(b"GET /poll") {
            return self.poll(head, shared);
        }
        self.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    }

    /// Answers a long poll at once if there are newer messages or if the request has no cursor. Otherwise the poll
    /// waits.
    fn poll(&mut self, head: &[u8], shared: &mut Shared) -> io::Result<()> {
        let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let after = line.split_once("after=").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect());
        let after = after.and_then(|digits: String| digits.parse::<u64>().ok());
        match after {
            Some(after) if after >= shared.log.next => self.role = Role::Waiting(after),
            after => return self.answer_poll(after.unwrap_or(shared.log.next), &mut shared.log),
        }
        Ok(())
    }

    /// Answers a long poll. The connection then expects the next request.
    pub(crate) fn answer_poll(&mut self, after: u64, log: &mut super::Log) -> io::Result<()> {
        self.role = Role::Http;
        let answer = log.answer(after).whole.clone();
        self.send(&answer)
    }

    /// Sends all pieces in one write, or with `single` each piece in its own write.
    pub(crate) fn send_pieces(&mut self, all: &[u8], ends: &[usize], single: bool) -> io::Result<()> {
        if !single {
            return self.send(all);
        }
        let mut start = 0;
        for &end in ends {
            self.send(&all[start..end])?;
            start = end;
        }
        Ok(())
    }

    /// Writes the bytes and keeps those that the socket does not accept.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while self.out.is_empty() && sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}

/// Where the head and the whole request end, or `None` if the request is not complete yet.
fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let length = http_header(&bytes[..head], "content-length")
        .and_then(|length| std::str::from_utf8(length).ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    (bytes.len() >= head + length).then_some((head, head + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_split_anywhere() {
        let request = b"POST /pub HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 0..request.len() {
            assert_eq!(whole(&request[..cut]), None);
        }
        assert_eq!(whole(request), Some((request.len() - 3, request.len())));
    }
}
