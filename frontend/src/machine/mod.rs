//! The connection of a page: (state, event) -> (state, effects).
//!
//! No browser, no clock and no chance in here: the time comes with each event, random numbers from a seed
//! and with commands. What has to happen is returned as effects; the carriers carry them out. There is one
//! wake-up instead of many timers, and every event checks what is due: browsers hold back the timers of
//! hidden tabs, but not the network's events.

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
use presence::Attendance;
use random::Random;
use reader::Reader;
use round_trip::RoundTrips;

/// Milliseconds on a clock that does not go back.
pub(crate) type Millis = u64;

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The page is hydrated.
    Start {
        /// The browser has a network.
        online: bool,
        /// The tab can be seen.
        visible: bool,
        /// What [`Effect::Store`] kept before a reload.
        stored: Option<String>,
    },
    /// Something came from a carrier.
    Carrier {
        /// Which; those of carriers given up are ignored, as they cannot always be silenced.
        generation: u32,
        /// What.
        signal: Signal,
    },
    /// The page asks for something.
    Command {
        /// What.
        command: live::Command,
        /// A fresh idempotency key, should it be needed.
        key: String,
    },
    /// The answer to [`Effect::Post`].
    Posted {
        /// Of the message.
        key: String,
        /// What came back.
        answer: Answer,
    },
    /// The answer to [`Effect::Probe`].
    Probed {
        /// Which.
        id: u64,
        /// The server answered.
        ok: bool,
    },
    /// The browser has a network, or none.
    Online(bool),
    /// The tab can be seen, or not.
    Visible(bool),
    /// The page is put away (`pagehide`).
    Hide,
    /// The page is taken out again (`pageshow` of a kept page).
    Show,
    /// The time of [`Machine::wake_at`] has come.
    Wake,
}

/// What came from a carrier.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    /// It is open. Proves nothing yet: some proxies upgrade and then pass nothing.
    Opened,
    /// A frame.
    Frame(Frame),
    /// A line of the list of channels.
    Channel(Box<ChannelEntry>),
    /// A frame this page does not know: a newer server. It proves that the line works.
    Unknown,
    /// It failed or ended.
    Closed,
}

/// How a POST ended.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// 201.
    Stored(Ack),
    /// Another status.
    Refused {
        /// The protocol's code, if the answer came from Baro.
        code: Option<ErrorCode>,
        /// For people.
        message: String,
    },
    /// No answer: nobody knows whether it was stored.
    Lost,
}

/// What has to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Open a carrier.
    Open {
        /// Its number.
        generation: u32,
        /// Its kind.
        transport: Transport,
        /// Path and query.
        path: String,
    },
    /// Let go of a carrier; nothing it says later counts.
    Close {
        /// Its number.
        generation: u32,
    },
    /// Send a text frame.
    Send {
        /// Over this carrier.
        generation: u32,
        /// The frame.
        text: String,
    },
    /// Publish by a request.
    Post {
        /// Idempotency key.
        key: String,
        /// Path.
        path: String,
        /// What the body is.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// Ask for `/healthz`, for the round trip.
    Probe {
        /// Which.
        id: u64,
    },
    /// Keep the unacknowledged messages over a reload; `None`: there are none.
    Store(Option<String>),
    /// Tell the page.
    Update(Update),
    /// For whoever debugs: a promise was broken and the page goes on.
    Warn(String),
}

/// What the page listens to.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// One channel.
    Channel(ChannelName),
    /// The list of channels.
    Home,
}

/// The connection's state.
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
    attendance: Attendance,
    entry_key: u64,
    reference: u64,
}

impl Machine {
    /// A machine for a page, `None` for a page without anything live. `seed` spreads reconnects.
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
            attendance: Attendance::of(page),
            entry_key: 0,
            reference: 0,
        })
    }

    /// Takes one event in; the effects are to be carried out in order.
    pub(crate) fn step(&mut self, now: Millis, event: Event) -> Vec<Effect> {
        self.now = self.now.max(now);
        match event {
            Event::Start { online, visible, stored } => self.start(online, visible, stored.as_deref()),
            Event::Carrier { generation, signal } => self.signal(generation, signal),
            Event::Command { command, key } => self.command(command, key),
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

    /// When to step with [`Event::Wake`], if nothing comes before.
    pub(crate) fn wake_at(&self) -> Option<Millis> {
        if self.net.hidden {
            return None;
        }
        let times = [self.carriers_due(), self.sending_due(), self.round_trip_due(), self.pill_due()];
        times.into_iter().flatten().min()
    }

    /// Where [`Effect::Store`] keeps this page's messages.
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

/// The cursor has reached this id.
fn reached(cursor: Option<Id>, id: Id) -> bool {
    cursor.is_some_and(|cursor| cursor.offset >= id.offset)
}
