//! The limit: the least a server can do to get a message to all readers. One thread, one epoll; in each turn it reads
//! all that is ready, and then writes to each reader what has come, once.

mod conn;
mod log;

use crate::load::{frame_head, listen, room_for};
use anyhow::{Context, Result};
use clap::Args;
use conn::{Conn, Role};
pub(crate) use log::Log;
use mio::{Events, Interest, Poll, Token, net::TcpListener};
use std::io;

/// Where connections come in.
const LISTENER: Token = Token(usize::MAX);
/// Connections it can have.
const CONNECTIONS: usize = 19_000;
/// Room for one read.
const BUFFER: usize = 256 * 1024;

/// Options of `floor`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One write per reader and message, as servers do that do not gather.
    #[arg(long)]
    single: bool,
}

/// What came in this turn, encoded once for all readers.
#[derive(Default)]
pub(crate) struct Turn {
    /// WebSocket frames, and where each ends.
    frames: Vec<u8>,
    frame_ends: Vec<usize>,
    /// Events, and where each ends.
    events: Vec<u8>,
    event_ends: Vec<usize>,
}

impl Turn {
    fn add(&mut self, body: &[u8]) {
        frame_head(1, body.len(), false, &mut self.frames);
        self.frames.extend_from_slice(body);
        self.frame_ends.push(self.frames.len());
        self.events.extend_from_slice(b"data: ");
        self.events.extend_from_slice(body);
        self.events.extend_from_slice(b"\n\n");
        self.event_ends.push(self.events.len());
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.frame_ends.clear();
        self.events.clear();
        self.event_ends.clear();
    }
}

/// What connections share.
pub(crate) struct Shared {
    pub(crate) buffer: Vec<u8>,
    pub(crate) turn: Turn,
    pub(crate) log: Log,
}

/// Serves until it is ended.
pub(crate) fn run(options: &Options) -> Result<()> {
    room_for(CONNECTIONS)?;
    let mut poll = Poll::new().context("epoll is not to be had")?;
    let mut listener = TcpListener::from_std(listen()?);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening on {}", listener.local_addr()?);
    Server { listener, conns: Vec::new(), free: Vec::new(), single: options.single }.serve(&mut poll)
}

struct Server {
    listener: TcpListener,
    conns: Vec<Option<Conn>>,
    /// Places of connections that ended.
    free: Vec<usize>,
    single: bool,
}

impl Server {
    fn serve(&mut self, poll: &mut Poll) -> Result<()> {
        let mut events = Events::with_capacity(4096);
        let mut shared = Shared { buffer: vec![0; BUFFER], turn: Turn::default(), log: Log::default() };
        loop {
            match poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.context("epoll")?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept(poll)?;
                } else {
                    self.ready(event.token().0, event.is_read_closed(), &mut shared);
                }
            }
            if !shared.turn.frame_ends.is_empty() {
                self.hand_out(&mut shared);
                shared.turn.clear();
            }
        }
    }

    fn accept(&mut self, poll: &Poll) -> Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("a connection cannot be accepted"),
            };
            let _ = stream.set_nodelay(true);
            let place = self.free.pop().unwrap_or(self.conns.len());
            poll.registry().register(&mut stream, Token(place), Interest::READABLE | Interest::WRITABLE)?;
            if place == self.conns.len() {
                self.conns.push(None);
            }
            self.conns[place] = Some(Conn::new(stream));
        }
    }

    fn ready(&mut self, place: usize, ended: bool, shared: &mut Shared) {
        let Some(conn) = self.conns.get_mut(place).and_then(Option::as_mut) else { return };
        if conn.ready(ended, shared).is_err() {
            self.conns[place] = None;
            self.free.push(place);
        }
    }

    /// Each reader gets what has come.
    fn hand_out(&mut self, shared: &mut Shared) {
        for place in 0..self.conns.len() {
            let Some(conn) = &mut self.conns[place] else { continue };
            let turn = &shared.turn;
            let sent = match conn.role {
                Role::WebSocket => conn.send_pieces(&turn.frames, &turn.frame_ends, self.single),
                Role::Events => conn.send_pieces(&turn.events, &turn.event_ends, self.single),
                Role::Waiting(after) => conn.answer_poll(after, &mut shared.log),
                Role::Http => Ok(()),
            };
            if sent.is_err() {
                self.conns[place] = None;
                self.free.push(place);
            }
        }
    }
}
