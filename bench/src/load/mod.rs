//! The load generator: one thread, one epoll, one buffer. It has to be far cheaper than what it measures.

mod body;
mod drive;
mod frames;
mod handshakes;
mod histogram;
mod http;
mod pages;
mod protocol;
mod publisher;
mod reader;
mod socket;
mod tally;

pub(crate) use drive::{idle, run};
pub(crate) use frames::head as frame_head;
pub(crate) use handshakes::handshakes;
pub(crate) use http::header as http_header;
pub(crate) use pages::pages;
pub(crate) use protocol::{Polled, Protocol, Target};
pub(crate) use socket::{listen, most as most_connections, room_for, write as write_some};
pub(crate) use tally::Faults;

use crate::peers::Peer;
use histogram::Histogram;
use publisher::Template;
use std::time::{Duration, Instant};

/// How publishes follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Each after the answer to the one before, so many at once.
    InFlight(usize),
    /// So many per second, when they are due, whatever the answers do.
    PerSecond(u32),
}

/// What publishers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// `POST`, one request under way per connection.
    Post,
    /// Commands over so many WebSockets.
    Live(usize),
}

/// What is to be done with one server.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Readers, and what they speak.
    pub(crate) readers: Option<(usize, Protocol)>,
    /// How publishers go about it.
    pub(crate) publish: Publish,
    /// How fast.
    pub(crate) pace: Pace,
    /// Bytes of a body.
    pub(crate) size: usize,
    /// Channels that are published to; readers read the first.
    pub(crate) channels: u32,
    /// What goes by before it counts.
    pub(crate) warm_up: Duration,
    /// What counts.
    pub(crate) window: Duration,
}

impl Plan {
    /// Bodies of 128 bytes in one channel.
    pub(crate) fn new(readers: Option<(usize, Protocol)>, pace: Pace, window: Duration) -> Self {
        let warm_up = Duration::from_millis(500).min(window);
        Self { readers, publish: Publish::Post, pace, size: 128, channels: 1, warm_up, window }
    }

    /// Connections it takes.
    pub(crate) fn connections(&self) -> usize {
        self.readers.as_ref().map_or(0, |(count, _)| *count) + self.publishers()
    }

    fn publishers(&self) -> usize {
        match (self.publish, self.pace) {
            (Publish::Live(sockets), _) => sockets,
            (Publish::Post, Pace::InFlight(count)) => count,
            (Publish::Post, Pace::PerSecond(_)) => PACED_PUBLISHERS,
        }
    }

    /// Publishes one connection may have under way.
    fn depth(&self) -> usize {
        match (self.publish, self.pace) {
            (Publish::Live(sockets), Pace::InFlight(count)) => count.div_ceil(sockets),
            _ => 1,
        }
    }

    fn template(&self, peer: &Peer) -> Option<Template> {
        match self.publish {
            Publish::Post => {
                let post = peer.routes.publish.as_ref()?;
                Some(Template::post(peer.address, post, self.size, self.channels))
            }
            Publish::Live(_) => Some(Template::live(peer.address, peer.routes.live.as_ref()?, "bench", self.size)),
        }
    }
}

/// Connections that take turns when publishes have their times: one that waits for an answer holds up no other.
const PACED_PUBLISHERS: usize = 16;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Seconds that count.
    pub(crate) seconds: f64,
    /// Messages readers got in that time.
    pub(crate) deliveries: u64,
    /// Publishes acknowledged in that time.
    pub(crate) published: u64,
    /// From when a publish was due until a reader had it.
    pub(crate) latency: Histogram,
    /// From when a publish was due until it was acknowledged.
    pub(crate) acks: Histogram,
    /// Time of the server on its core, in nanoseconds.
    pub(crate) server_cpu: u64,
    /// Time of this generator.
    pub(crate) own_cpu: u64,
    /// What went wrong, to the end.
    pub(crate) faults: Faults,
    /// Times the server itself told that messages were missed.
    pub(crate) told: u64,
    /// Readers whose connection ended.
    pub(crate) closed: usize,
    /// Publishes that were refused.
    pub(crate) refused: u64,
    /// Memory of the server before readers came, with them, and at the end; in bytes.
    pub(crate) memory: [u64; 3],
}

impl Figures {
    /// Messages readers got per second.
    pub(crate) fn rate(&self) -> f64 {
        self.deliveries as f64 / self.seconds
    }

    /// Acknowledged publishes per second.
    pub(crate) fn publish_rate(&self) -> f64 {
        self.published as f64 / self.seconds
    }

    /// Microseconds of the server's core per delivery.
    pub(crate) fn cpu_per_delivery(&self) -> f64 {
        self.server_cpu as f64 / 1000.0 / self.deliveries.max(1) as f64
    }

    /// How much of its core the generator used: near 1 it is what limits.
    pub(crate) fn own_share(&self) -> f64 {
        self.own_cpu as f64 / 1e9 / self.seconds
    }
}

/// Nanoseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Now.
    pub(crate) fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}
