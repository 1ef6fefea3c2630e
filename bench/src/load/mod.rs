//! The load generator: one thread, one epoll and one receive buffer, because it must use far less CPU than the server
//! it measures.

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

/// The pace of publishes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Keeps this many publishes in flight: each answer starts the next publish.
    InFlight(usize),
    /// Publishes this many messages per second on a fixed schedule, independent of the answers.
    PerSecond(u32),
}

/// The transport that publishers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// `POST` with one request in flight per connection.
    Post,
    /// Commands over this many WebSockets.
    Live(usize),
}

/// The plan of a measurement of one server.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The number of readers and their protocol.
    pub(crate) readers: Option<(usize, Protocol)>,
    /// The transport of the publishers.
    pub(crate) publish: Publish,
    /// The pace of the publishers.
    pub(crate) pace: Pace,
    /// The size of a message body in bytes.
    pub(crate) size: usize,
    /// The number of channels published to. With more than one channel, their names get a numeric suffix.
    pub(crate) channels: u32,
    /// The time before the measurement begins.
    pub(crate) warm_up: Duration,
    /// The measured time.
    pub(crate) window: Duration,
}

impl Plan {
    /// A plan with bodies of 128 bytes in one channel, published with `POST`.
    pub(crate) fn new(readers: Option<(usize, Protocol)>, pace: Pace, window: Duration) -> Self {
        let warm_up = Duration::from_millis(500).min(window);
        Self { readers, publish: Publish::Post, pace, size: 128, channels: 1, warm_up, window }
    }

    /// The number of connections the plan needs.
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

    /// The number of publishes that one connection may have in flight.
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

/// Publisher connections for [`Pace::PerSecond`]: several, so that a slow answer does not delay the next publish.
const PACED_PUBLISHERS: usize = 16;

/// The figures of a measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// The measured time in seconds.
    pub(crate) seconds: f64,
    /// Messages that readers received in that time.
    pub(crate) deliveries: u64,
    /// Publishes acknowledged in that time.
    pub(crate) published: u64,
    /// The time from when a publish was due until a reader had the message.
    pub(crate) latency: Histogram,
    /// The time from when a publish was due until it was acknowledged.
    pub(crate) acks: Histogram,
    /// The CPU time of the server in nanoseconds.
    pub(crate) server_cpu: u64,
    /// The CPU time of the load generator in nanoseconds.
    pub(crate) own_cpu: u64,
    /// Lost, repeated and reordered messages until the end of the run.
    pub(crate) faults: Faults,
    /// How often the server reported missed messages.
    pub(crate) told: u64,
    /// Readers whose connection was closed.
    pub(crate) closed: usize,
    /// Publishes that were refused.
    pub(crate) refused: u64,
    /// The memory of the server in bytes: before readers connect, with all readers connected, and at the end.
    pub(crate) memory: [u64; 3],
}

impl Figures {
    /// Messages that readers received per second.
    pub(crate) fn rate(&self) -> f64 {
        self.deliveries as f64 / self.seconds
    }

    /// Acknowledged publishes per second.
    pub(crate) fn publish_rate(&self) -> f64 {
        self.published as f64 / self.seconds
    }

    /// The CPU time of the server per delivery, in microseconds.
    pub(crate) fn cpu_per_delivery(&self) -> f64 {
        self.server_cpu as f64 / 1000.0 / self.deliveries.max(1) as f64
    }

    /// The share of its core that the load generator used. Near 1 the generator is the bottleneck.
    pub(crate) fn own_share(&self) -> f64 {
        self.own_cpu as f64 / 1e9 / self.seconds
    }
}

/// A clock that counts the nanoseconds since its creation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The nanoseconds since the start.
    pub(crate) fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}
