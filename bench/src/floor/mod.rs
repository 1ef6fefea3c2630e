//! The reference server `floor`: the least work that delivers a message to all readers. It has one thread and one
//! epoll. In each turn of its event loop it reads from all ready sockets, and then sends the new messages to each
//! reader in one write.

mod conn;
mod log;

use crate::load::{frame_head, listen, room_for};
use anyhow::{Context, Result};
use clap::Args;
use conn::{Conn, Role};
pub(crate) use log::Log;
use mio::{Events, Interest, Poll, Token, net::TcpListener};
use std::io;

/// The epoll token of the listening socket.
const LISTENER: Token = Token(usize::MAX);
/// The number of connections this server must be able to hold.
const CONNECTIONS: usize = 19_000;
/// The size of the read buffer in bytes, which also limits the size of a request.
const BUFFER: usize = 256 * 1024;

/// Options of `floor`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One write per reader and message, as servers do that do not gather.
    #[arg(long)]
    single: bool,
}

/// The messages published in this turn of the event loop, encoded once for all readers.
#[derive(Default)]
pub(crate) struct Turn {
    /// The messages as WebSocket frames; `frame_ends` has the end of each frame.
    frames: Vec<u8>,
    frame_ends: Vec<usize>,
    /// The messages as Server-Sent Events; `event_ends` has the end of each event.
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

/// The state shared by all connections.
pub(crate) struct Shared {
    pub(crate) buffer: Vec<u8>,
    pub(crate) turn: Turn,
    pub(crate) log: Log,
}

/// Serves until the process is stopped.
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
    /// The free indices in `conns`, left by closed connections.
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

    /// Sends the messages of this turn to each reader.
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
