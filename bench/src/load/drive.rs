//! Connecting, publishing, reading, draining: the course of a measurement.

use super::{
    Clock, Figures, Pace, Plan, Protocol,
    publisher::{Published, Publisher, Template},
    reader::{Reader, Shared, State},
    socket,
    tally::Tally,
};
use crate::{peers::Peer, usage};
use anyhow::{Context, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token};
use std::time::Duration;

/// Connections being made at once: below the queue of those a server has not accepted yet.
const HALF_OPEN: usize = 512;
/// No server takes so long to accept all, or to answer all.
const PATIENCE: u64 = 20_000_000_000;
/// Room for what is received at once, and the longest frame or answer.
const BUFFER: usize = 1024 * 1024;
/// What is due is looked for so often among events.
const EVENTS_BETWEEN: usize = 32;
/// Nearer than this a publish that is due is waited for by looking, because epoll counts in milliseconds.
const NEAR: u64 = 2_000_000;
/// After so long without a message nothing more comes.
const SILENCE: u64 = 1_000_000_000;
/// The longest readers may take to get what is left.
const DRAIN: u64 = 10_000_000_000;
/// Between connecting and publishing, so that what connecting left behind is over.
const CALM: Duration = Duration::from_millis(200);
/// How long memory is given to settle.
const SETTLE: Duration = Duration::from_secs(2);

/// All connections to one server.
pub(crate) struct Load {
    poll: Poll,
    clock: Clock,
    shared: Shared,
    readers: Vec<Reader>,
    publishers: Vec<Publisher>,
    template: Option<Template>,
    published: Published,
    /// For what publishers receive.
    answers: Vec<u8>,
    /// The number of the next message.
    number: u32,
    /// When the next publish is due, and the time between two; `None` for publishes that follow answers.
    paced: Option<(u64, u64)>,
    /// Publishes a connection may have under way.
    depth: usize,
    publishing: bool,
    /// Publishers that were answered in this turn.
    free: Vec<usize>,
}

/// Does all of it with one server.
pub(crate) fn run(peer: &Peer, plan: &Plan) -> Result<Figures> {
    let mut events = Events::with_capacity(4096);
    let before = usage::resident(&peer.pids)?;
    let mut load = Load::new(peer, plan)?;
    load.open(&mut events, peer, plan)?;
    load.turn_for(&mut events, CALM)?;
    let with_readers = usage::resident(&peer.pids)?;

    load.begin(plan.pace);
    load.turn_for(&mut events, plan.warm_up)?;
    let figures = load.window(&mut events, peer, plan)?;
    load.publishing = false;
    load.drain(&mut events)?;
    let mut figures = load.finish(&figures)?;
    figures.memory = [before, with_readers, usage::resident(&peer.pids)?];
    Ok(figures)
}

/// Bytes of the server per connection on which nothing happens.
pub(crate) fn idle(peer: &Peer, count: usize, protocol: Protocol) -> Result<f64> {
    let plan = Plan::new(Some((count, protocol)), Pace::InFlight(0), Duration::ZERO);
    let mut events = Events::with_capacity(4096);
    let mut load = Load::new(peer, &plan)?;
    load.turn_for(&mut events, SETTLE / 4)?;
    let before = usage::resident(&peer.pids)?;
    load.open(&mut events, peer, &plan)?;
    load.turn_for(&mut events, SETTLE)?;
    let after = usage::resident(&peer.pids)?;
    let closed = load.closed();
    ensure!(closed == 0, "{closed} of {count} connections were closed");
    Ok((after as f64 - before as f64) / count as f64)
}

impl Load {
    fn new(peer: &Peer, plan: &Plan) -> Result<Self> {
        socket::room_for(plan.connections())?;
        let target = super::Target { address: peer.address, path: String::new() };
        let protocol = plan.readers.as_ref().map_or(Protocol::WebSocket(target), |(_, protocol)| protocol.clone());
        Ok(Self {
            poll: Poll::new().context("epoll is not to be had")?,
            clock: Clock::start(),
            shared: Shared {
                buffer: vec![0; BUFFER],
                tally: Tally::default(),
                protocol,
                size: plan.size,
                request: Vec::new(),
            },
            readers: Vec::new(),
            publishers: Vec::new(),
            template: plan.template(peer),
            published: Published::default(),
            answers: vec![0; 64 * 1024],
            number: 0,
            paced: None,
            depth: plan.depth(),
            publishing: false,
            free: Vec::new(),
        })
    }

    /// Connects all readers, so many at once, and then the publishers.
    fn open(&mut self, events: &mut Events, peer: &Peer, plan: &Plan) -> Result<()> {
        let until = self.clock.now() + PATIENCE;
        let count = plan.readers.as_ref().map_or(0, |(count, _)| *count);
        let mut open = 0;
        while open < count {
            while self.readers.len() < count && self.readers.len() - open < HALF_OPEN {
                self.add_reader(peer)?;
            }
            self.turn(events, Duration::from_millis(100))?;
            ensure!(self.closed() == 0, "{} closed the connection of a reader that had just come", peer.name);
            // They open nearly in order: what is open before the first that is not does not change.
            while self.readers.get(open).is_some_and(|reader| reader.state == State::Open) {
                open += 1;
            }
            ensure!(self.clock.now() < until, "{open} of {count} readers could connect to {}", peer.name);
        }
        for index in 0..plan.publishers() {
            let mut stream = socket::connect(peer.address, index)?;
            let token = Token(self.readers.len() + index);
            self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            self.publishers.push(Publisher::new(stream));
        }
        while !self.publishers.iter().all(Publisher::is_open) {
            self.turn(events, Duration::from_millis(100))?;
            ensure!(self.clock.now() < until, "the publishers cannot connect to {}", peer.name);
        }
        Ok(())
    }

    fn add_reader(&mut self, peer: &Peer) -> Result<()> {
        let index = self.readers.len();
        let mut stream = socket::connect(peer.address, index)?;
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        self.readers.push(Reader::new(stream));
        Ok(())
    }

    fn closed(&self) -> usize {
        self.readers.iter().filter(|reader| reader.state == State::Closed).count()
    }

    /// Lets publishers begin.
    fn begin(&mut self, pace: Pace) {
        self.publishing = true;
        match pace {
            Pace::PerSecond(rate) => {
                let step = 1_000_000_000 / u64::from(rate.max(1));
                self.paced = Some((self.clock.now() + step, step));
            }
            Pace::InFlight(count) => {
                self.free.clear();
                let all = (0..self.publishers.len()).cycle();
                self.free.extend(all.take(if self.publishers.is_empty() { 0 } else { count }));
            }
        }
    }

    fn turn_for(&mut self, events: &mut Events, time: Duration) -> Result<()> {
        let until = self.clock.now() + time.as_nanos() as u64;
        loop {
            let left = until.saturating_sub(self.clock.now());
            if left == 0 {
                return Ok(());
            }
            self.turn(events, Duration::from_nanos(left))?;
        }
    }

    /// What counts: figures of it, to which what is known at the end is added.
    fn window(&mut self, events: &mut Events, peer: &Peer, plan: &Plan) -> Result<Figures> {
        let own = [std::process::id()];
        let (server_before, own_before, began) = (usage::cpu(&peer.pids)?, usage::cpu(&own)?, self.clock.now());
        self.shared.tally.counting = true;
        self.published.counting = true;
        self.turn_for(events, plan.window)?;
        self.shared.tally.counting = false;
        self.published.counting = false;
        let seconds = (self.clock.now() - began) as f64 / 1e9;
        let server_cpu = usage::cpu(&peer.pids)? - server_before;
        let own_cpu = usage::cpu(&own)? - own_before;
        Ok(Figures { seconds, server_cpu, own_cpu, ..Figures::default() })
    }

    /// Reads until all have all, or nothing comes any more.
    fn drain(&mut self, events: &mut Events) -> Result<()> {
        let until = self.clock.now() + DRAIN;
        let (mut seen, mut since) = (self.shared.tally.all, self.clock.now());
        while self.behind() > 0 || self.publishers.iter().any(|publisher| publisher.under_way() > 0) {
            self.turn(events, Duration::from_millis(50))?;
            let now = self.clock.now();
            if self.shared.tally.all != seen {
                (seen, since) = (self.shared.tally.all, now);
            }
            if now > until || now > since + SILENCE {
                break;
            }
        }
        Ok(())
    }

    /// Messages that readers have still to get.
    fn behind(&self) -> u64 {
        self.readers.iter().map(|reader| self.shared.tally.ahead(&reader.place)).sum()
    }

    fn finish(self, figures: &Figures) -> Result<Figures> {
        if let Some(refusal) = &self.published.refusal
            && self.published.acks.total() == 0
        {
            bail!("no publish was taken; the first answer was: {refusal}");
        }
        let (behind, closed) = (self.behind(), self.closed());
        let mut faults = self.shared.tally.faults;
        faults.lost += behind;
        Ok(Figures {
            deliveries: self.shared.tally.deliveries,
            published: self.published.acks.total(),
            latency: self.shared.tally.latency,
            acks: self.published.acks,
            faults,
            told: self.shared.tally.told,
            closed,
            refused: self.published.refused,
            ..figures.clone()
        })
    }

    /// One look at what can be done, after at most this long.
    fn turn(&mut self, events: &mut Events, longest: Duration) -> Result<()> {
        self.publish()?;
        let wait = self.wait(longest);
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            result => result.context("epoll")?,
        }
        let readers = self.readers.len();
        let clock = self.clock;
        for (count, event) in events.iter().enumerate() {
            let index = event.token().0;
            if index < readers {
                self.readers[index].ready(&mut self.shared, event.is_read_closed(), || clock.now())?;
            } else {
                self.publisher_ready(index - readers)?;
            }
            if self.paced.is_some() && count % EVENTS_BETWEEN == 0 {
                self.publish()?;
            }
        }
        self.publish()
    }

    fn publisher_ready(&mut self, index: usize) -> Result<()> {
        let Some(template) = &self.template else { return Ok(()) };
        let publisher = &mut self.publishers[index];
        let before = publisher.under_way();
        let clock = self.clock;
        publisher.ready(template, &mut self.answers, &mut self.published, || clock.now())?;
        let answered = before - publisher.under_way();
        self.free.extend(std::iter::repeat_n(index, if self.paced.is_none() { answered } else { 0 }));
        Ok(())
    }

    /// Publishes what is due: by the clock, or because an answer came.
    fn publish(&mut self) -> Result<()> {
        let Some(template) = &mut self.template else { return Ok(()) };
        if !self.publishing {
            self.free.clear();
            return Ok(());
        }
        if let Some((due, step)) = &mut self.paced {
            while *due <= self.clock.now() {
                let depth = self.depth;
                let Some(idle) = self.publishers.iter_mut().find(|publisher| publisher.under_way() < depth) else {
                    return Ok(());
                };
                idle.publish(template, self.number, *due);
                idle.flush()?;
                self.number += 1;
                *due += *step;
            }
            return Ok(());
        }
        for &index in &self.free {
            let publisher = &mut self.publishers[index];
            publisher.publish(template, self.number, self.clock.now());
            self.number += 1;
        }
        for index in self.free.drain(..) {
            self.publishers[index].flush()?;
        }
        Ok(())
    }

    /// How long to wait for events: not beyond the next publish that is due.
    fn wait(&self, longest: Duration) -> Duration {
        match self.paced {
            Some((due, _)) if self.publishing => {
                let left = due.saturating_sub(self.clock.now());
                if left < NEAR { Duration::ZERO } else { longest.min(Duration::from_nanos(left - NEAR / 2)) }
            }
            _ => longest,
        }
    }
}
