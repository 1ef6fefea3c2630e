//! Measures handshakes per second: opens WebSockets and closes each one as soon as it is open.

use super::{
    Clock, Figures, Protocol,
    reader::{Reader, Shared, State},
    socket,
    tally::Tally,
};
use crate::{peers::Peer, usage};
use anyhow::{Context, Result, ensure};
use mio::{Events, Interest, Poll, Token};
use std::time::Duration;

/// Keeps `at_once` handshakes in progress and replaces each connection once it is open. The figure `published` is the
/// number of handshakes.
pub(crate) fn handshakes(peer: &Peer, protocol: Protocol, at_once: usize, time: Duration) -> Result<Figures> {
    socket::room_for(at_once)?;
    let mut poll = Poll::new().context("epoll is not to be had")?;
    let mut events = Events::with_capacity(1024);
    let mut shared =
        Shared { buffer: vec![0; 64 * 1024], tally: Tally::default(), protocol, size: 128, request: Vec::new() };
    let mut count = 0;
    let mut readers = Vec::with_capacity(at_once);
    for index in 0..at_once {
        readers.push(fresh(&poll, peer, index, count)?);
        count += 1;
    }
    let clock = Clock::start();
    let mut figures = Figures::default();
    let cpu = usage::cpu(&peer.pids)?;
    let own = usage::cpu(&[std::process::id()])?;
    let mut asked = vec![0; at_once];
    while clock.now() < time.as_nanos() as u64 {
        poll.poll(&mut events, Some(Duration::from_secs(1))).context("epoll")?;
        for event in &events {
            let index = event.token().0;
            let reader = &mut readers[index];
            reader.ready(&mut shared, event.is_read_closed(), || clock.now())?;
            ensure!(reader.state != State::Closed, "{} closed a connection instead of upgrading it", peer.name);
            if reader.state == State::Open {
                let now = clock.now();
                figures.acks.record(now - asked[index]);
                figures.published += 1;
                reader.leave()?;
                asked[index] = now;
                readers[index] = fresh(&poll, peer, index, count)?;
                count += 1;
            }
        }
    }
    figures.seconds = clock.now() as f64 / 1e9;
    figures.server_cpu = usage::cpu(&peer.pids)? - cpu;
    figures.own_cpu = usage::cpu(&[std::process::id()])? - own;
    Ok(figures)
}

/// A new connection for this index. Each connection uses the next source address, so that ports do not run out.
fn fresh(poll: &Poll, peer: &Peer, index: usize, count: usize) -> Result<Reader> {
    let mut stream = socket::connect(peer.address, count)?;
    poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
    Ok(Reader::new(stream))
}
