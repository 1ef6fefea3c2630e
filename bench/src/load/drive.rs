//! Runs a measurement: connects readers and publishers, publishes and reads, and then drains the remaining messages.

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

/// Connections being opened at the same time. Must stay below a server's queue of connections not accepted yet.
const HALF_OPEN: usize = 512;
/// The timeout for opening all connections, in nanoseconds.
const PATIENCE: u64 = 20_000_000_000;
/// The size of the receive buffer in bytes, which also limits the size of a frame or response.
const BUFFER: usize = 1024 * 1024;
/// The number of events handled between two checks for publishes that are due.
const EVENTS_BETWEEN: usize = 32;
/// If the next publish is due within this many nanoseconds, epoll is polled without waiting, because its timeout has a
/// resolution of milliseconds.
const NEAR: u64 = 2_000_000;
/// Draining ends after this many nanoseconds without a message.
const SILENCE: u64 = 1_000_000_000;
/// Draining takes at most this many nanoseconds.
const DRAIN: u64 = 10_000_000_000;
/// The pause between connecting and publishing, so that work caused by connecting is finished.
const CALM: Duration = Duration::from_millis(200);
/// How long to wait until the server's memory has settled.
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
    /// The receive buffer of the publishers.
    answers: Vec<u8>,
    /// The number of the next message.
    number: u32,
    /// When the next publish is due and the interval between publishes, in nanoseconds. `None` if publishes follow
    /// answers.
    paced: Option<(u64, u64)>,
    /// The number of publishes that one connection may have in flight.
    depth: usize,
    publishing: bool,
    /// The indices of publishers that publish next, one entry per publish.
    free: Vec<usize>,
}

/// Runs a whole measurement of one server.
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

/// Measures the server's memory per idle connection, in bytes.
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

    /// Connects all readers, at most [`HALF_OPEN`] at the same time, and then the publishers.
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
            // Readers open nearly in order, so it is enough to count the open readers at the front.
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

    /// Starts publishing.
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

    /// Runs the measured period. [`Self::finish`] adds the figures that are known only at the end.
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

    /// Reads until every reader and publisher has everything, or until no more messages arrive.
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

    /// The number of messages that readers have not received yet.
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

    /// Runs one turn of the event loop, which waits at most `longest`.
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

    /// Publishes what is due, either by the schedule or because an answer arrived.
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

    /// How long to wait for events: at most until the next publish is due.
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
