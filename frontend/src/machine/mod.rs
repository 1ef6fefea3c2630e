//! The state machine of a page's connection: (state, event) -> (state, effects).
//!
//! The machine uses no browser, no clock and no source of randomness: each event brings the time, and random numbers
//! come from a seed and with commands. It returns effects, which the carriers execute. One wake-up replaces many
//! timers, and every event checks what is due, because browsers delay the timers of hidden tabs but not network events.

mod carrier;
mod connect;
mod incoming;
mod outbox;
mod pill;
mod presence;
mod random;
mod reader;
mod round_trip;
mod sending;
#[cfg(test)]
mod tests;

use app::{
    live::{self, Entry, Transport, Update},
    page::{Page, Screen},
    wire::{Ack, ChannelEntry, ChannelName, ErrorCode, Frame, Id},
};
use connect::Net;
use outbox::Outbox;
use pill::Pill;
use presence::Presence;
use random::Random;
use reader::Reader;
use round_trip::RoundTrips;

/// Milliseconds on a monotonic clock.
pub(crate) type Millis = u64;

/// An input of the machine.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The page is hydrated.
    Start {
        /// Whether the browser has a network.
        online: bool,
        /// Whether the tab is visible.
        visible: bool,
        /// The text that [`Effect::Store`] kept before a reload.
        stored: Option<String>,
    },
    /// A carrier sent a signal.
    Carrier {
        /// The number of the carrier. Signals of closed carriers are ignored, because their callbacks may still run.
        generation: u32,
        /// The signal.
        signal: Signal,
    },
    /// The visitor does something.
    Action {
        /// What.
        action: live::UserAction,
        /// A new idempotency key, used if the action sends a message.
        key: String,
    },
    /// The answer to [`Effect::Post`].
    Posted {
        /// The idempotency key of the message.
        key: String,
        /// The answer.
        answer: Answer,
    },
    /// The answer to [`Effect::Probe`].
    Probed {
        /// The number of the probe.
        id: u64,
        /// Whether the server answered.
        ok: bool,
    },
    /// Whether the browser has a network now.
    Online(bool),
    /// Whether the tab is visible now.
    Visible(bool),
    /// The browser leaves the page and may keep it in the back/forward cache (`pagehide`).
    Hide,
    /// The browser shows the page again from the back/forward cache (`pageshow`).
    Show,
    /// The time that [`Machine::wake_at`] returned is reached.
    Wake,
}

/// A signal from a carrier.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    /// The carrier opened. This does not prove that it works: some proxies upgrade and then forward nothing.
    Opened,
    /// A frame.
    Frame(Frame),
    /// A changed or new entry of the list of channels.
    Channel(Box<ChannelEntry>),
    /// A frame that this page does not know, from a newer server. It proves that the carrier works.
    Unknown,
    /// The carrier failed or ended.
    Closed,
}

/// The outcome of a POST.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Success, with an acknowledgement: the message is stored.
    Stored(Ack),
    /// Refused, with an error status.
    Refused {
        /// The protocol's error code, if the answer came from Baro.
        code: Option<ErrorCode>,
        /// The explanation for people.
        message: String,
    },
    /// No usable answer: it is unknown whether the message was stored.
    Lost,
}

/// An output of the machine: an action for the carriers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Open a carrier.
    Open {
        /// The number of the carrier.
        generation: u32,
        /// The transport to use.
        transport: Transport,
        /// The path and query to open.
        path: String,
    },
    /// Close a carrier. The machine ignores its later signals.
    Close {
        /// The number of the carrier.
        generation: u32,
    },
    /// Send a text frame.
    Send {
        /// The number of the carrier that sends the frame.
        generation: u32,
        /// The frame.
        text: String,
    },
    /// Publish a message by an HTTP request.
    Post {
        /// The idempotency key of the message.
        key: String,
        /// The path of the channel.
        path: String,
        /// The media type of the body.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// Request `/healthz` to measure the round trip.
    Probe {
        /// The number of the probe.
        id: u64,
    },
    /// Keep the unacknowledged messages over a reload, or remove them if `None`.
    Store(Option<String>),
    /// Update the page.
    Update(Update),
    /// Log a warning for developers: something unexpected happened and the page continues.
    Warn(String),
}

/// What the page subscribes to.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// One channel.
    Channel(ChannelName),
    /// The list of channels.
    Home,
}

/// The state of the connection and of everything that depends on it.
pub(crate) struct Machine {
    now: Millis,
    out: Vec<Effect>,
    random: Random,
    source: Source,
    net: Net,
    reader: Reader,
    outbox: Outbox,
    trips: RoundTrips,
    pill: Pill,
    presence: Presence,
    entry_key: u64,
    reference: u64,
}

impl Machine {
    /// Returns a machine for a page, or `None` if the page has no live content. `seed` spreads reconnects.
    pub(crate) fn new(page: &Page, seed: u64) -> Option<Self> {
        let (source, reader) = match &page.screen {
            Screen::Channel(channel) if !channel.continues => return None,
            Screen::Channel(channel) => (Source::Channel(channel.name.clone()), Reader::of(channel)),
            Screen::Home(_) => (Source::Home, Reader::default()),
            Screen::Problem(_) => return None,
        };
        let first = if matches!(source, Source::Home) { Transport::Sse } else { Transport::WebSocket };
        Some(Self {
            now: 0,
            out: Vec::new(),
            random: Random::new(seed),
            source,
            net: Net::new(first),
            reader,
            outbox: Outbox::default(),
            trips: RoundTrips::default(),
            pill: Pill::default(),
            presence: Presence::of(page),
            entry_key: 0,
            reference: 0,
        })
    }

    /// Handles one event. The caller must execute the returned effects in order.
    pub(crate) fn step(&mut self, now: Millis, event: Event) -> Vec<Effect> {
        self.now = self.now.max(now);
        match event {
            Event::Start { online, visible, stored } => self.start(online, visible, stored.as_deref()),
            Event::Carrier { generation, signal } => self.signal(generation, signal),
            Event::Action { action, key } => self.act(action, key),
            Event::Posted { key, answer } => self.posted(&key, answer),
            Event::Probed { id, ok } => self.probed(id, ok),
            Event::Online(online) => self.online(online),
            Event::Visible(visible) => self.visible(visible),
            Event::Hide => self.hide(),
            Event::Show => self.show(),
            Event::Wake => {}
        }
        self.check_carriers();
        self.check_sending();
        self.check_round_trip();
        self.show_pill();
        std::mem::take(&mut self.out)
    }

    /// Returns when to step with [`Event::Wake`] if no other event comes first.
    pub(crate) fn wake_at(&self) -> Option<Millis> {
        if self.net.hidden {
            return None;
        }
        let times = [self.carriers_due(), self.sending_due(), self.round_trip_due(), self.pill_due()];
        times.into_iter().flatten().min()
    }

    /// Returns the key under which [`Effect::Store`] keeps this page's messages.
    pub(crate) fn storage_key(&self) -> Option<String> {
        match &self.source {
            Source::Channel(name) => Some(format!("baro.outgoing.{name}")),
            Source::Home => None,
        }
    }

    fn start(&mut self, online: bool, visible: bool, stored: Option<&str>) {
        self.net.started = Some(self.now);
        self.net.online = online;
        self.net.offline_at = (!online).then_some(self.now);
        self.net.visible = visible;
        if let Some(stored) = stored {
            self.outbox.restore(stored);
            let known: Vec<String> = self.reader.take_keys();
            known.iter().for_each(|key| self.outbox.seen(key));
        }
        self.begin_try();
    }

    fn emit(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    fn push_entry(&mut self, entry: Entry) {
        self.emit(Effect::Update(Update::Feed(vec![entry])));
    }

    fn next_entry_key(&mut self) -> u64 {
        self.entry_key += 1;
        self.entry_key
    }

    fn next_reference(&mut self) -> u64 {
        self.reference += 1;
        self.reference
    }

    fn path(&self, transport: Transport) -> String {
        match &self.source {
            Source::Home => "/?as=sse".to_owned(),
            Source::Channel(name) => {
                let path = name.path();
                let name = path.trim_start_matches("/c/");
                let after = self.reader.cursor().map(|id| format!("&after={id}")).unwrap_or_default();
                let sse = if transport == Transport::Sse { "&as=sse" } else { "" };
                format!("/live?channels={name}{after}{sse}")
            }
        }
    }
}

/// Returns whether the cursor has reached this id.
fn reached(cursor: Option<Id>, id: Id) -> bool {
    cursor.is_some_and(|cursor| cursor.offset >= id.offset)
}
