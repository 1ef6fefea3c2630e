//! Measures pages per second: several connections request the same page repeatedly.

use super::{Clock, Figures, http, socket};
use crate::{peers::Peer, usage};
use anyhow::{Context, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    io::{self, Read as _},
    time::Duration,
};

/// The size of the read buffer in bytes.
const BUFFER: usize = 1024 * 1024;

/// A connection with the received part of its response and the time of its request.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    asked: Option<u64>,
}

/// Requests `path` over several connections, each request after the previous response. The figure `published` is the
/// number of responses, and `deliveries` is the size of all bodies in bytes.
pub(crate) fn pages(peer: &Peer, path: &str, connections: usize, time: Duration) -> Result<Figures> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: baro-bench\r\nAccept: text/html\r\n\r\n", peer.address);
    let mut poll = Poll::new().context("epoll is not to be had")?;
    let mut events = Events::with_capacity(256);
    let mut clients = Vec::with_capacity(connections);
    for index in 0..connections {
        let mut stream = socket::connect(peer.address, index)?;
        poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        clients.push(Client { stream, received: Vec::new(), asked: None });
    }
    let mut buffer = vec![0; BUFFER];
    let mut figures = Figures::default();
    let (clock, cpu) = (Clock::start(), usage::cpu(&peer.pids)?);
    while clock.now() < time.as_nanos() as u64 {
        poll.poll(&mut events, Some(Duration::from_secs(1))).context("epoll")?;
        for event in &events {
            clients[event.token().0].ready(&mut buffer, &request, clock, &mut figures)?;
        }
    }
    figures.seconds = clock.now() as f64 / 1e9;
    figures.server_cpu = usage::cpu(&peer.pids)? - cpu;
    Ok(figures)
}

impl Client {
    fn ready(&mut self, buffer: &mut [u8], request: &str, clock: Clock, figures: &mut Figures) -> Result<()> {
        if self.asked.is_none() && self.stream.peer_addr().is_ok() {
            self.ask(request, clock)?;
        }
        loop {
            match self.stream.read(buffer) {
                Ok(0) => bail!("the server closed a connection that asks for pages"),
                Ok(bytes) => self.received.extend_from_slice(&buffer[..bytes]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => break,
                Err(error) => return Err(error).context("a page cannot be read"),
            }
        }
        if let Some(answer) = http::answer(&mut self.received)? {
            ensure!(answer.status == 200, "a page was answered with {}", answer.status);
            figures.acks.record(clock.now() - self.asked.unwrap_or_default());
            figures.published += 1;
            figures.deliveries += answer.body.len() as u64;
            self.received.clear();
            self.ask(request, clock)?;
        }
        Ok(())
    }

    fn ask(&mut self, request: &str, clock: Clock) -> Result<()> {
        self.asked = Some(clock.now());
        ensure!(socket::write(&mut self.stream, &mut request.as_bytes().to_vec())?, "a request does not fit");
        Ok(())
    }
}
