//! Tests the machine against a scripted network. Time is a plain number here.

mod chance;
mod connecting;
mod messages;
mod outgoing;
mod pills;
mod presence;

use super::*;
use app::{
    live::{Link, Outgoing, UserAction},
    page::{Channel, Lang},
    wire::{Body, Epoch, Kind, Message, Missed, MissedReason, Sender, Time},
};

const KEY: &str = "00112233445566778899aabbccddeeff";

pub(super) fn id(offset: u64) -> Id {
    Id { epoch: Epoch::from_random(7), offset }
}

pub(super) fn message(offset: u64, prev: u64) -> Message {
    Message {
        id: id(offset),
        prev: (prev > 0).then(|| id(prev)),
        channel: "온실".parse().unwrap(),
        time: Time(0),
        from: Sender { id: "p1".into(), name: "esp32".into(), kind: Kind::Program },
        body: Body::Text(format!("message {offset}")),
        key: None,
    }
}

pub(super) fn keyed(offset: u64, prev: u64, key: &str) -> Message {
    Message { key: Some(key.into()), ..message(offset, prev) }
}

pub(super) fn missed(from: u64, to: u64) -> Frame {
    let channel = "온실".parse().unwrap();
    Frame::Missed(Missed { channel, reason: MissedReason::Trimmed, from: id(from), to: id(to), to_time: None })
}

/// A page with messages up to offset 10 and its cursor at 12.
pub(super) fn page(messages: Vec<Message>) -> Page {
    let channel = Channel {
        name: "온실".parse().unwrap(),
        messages,
        readings: Vec::new(),
        cursor: id(12),
        older: false,
        at: None,
        channels: Vec::new(),
        form_key: String::new(),
        continues: true,
        refused: None,
        max_message: 1024,
        here: None,
    };
    with_screen(Screen::Channel(Box::new(channel)))
}

pub(super) fn with_screen(screen: Screen) -> Page {
    Page {
        lang: Lang::En,
        origin: "http://127.0.0.1:3000".into(),
        visitor: Sender { id: "v1".into(), name: "Park".into(), kind: Kind::Person },
        now: Time(0),
        zone: 0,
        zone_is_readers: false,
        notice: None,
        screen,
    }
}

/// A machine with its clock and a record of its effects.
pub(super) struct Bench {
    pub(super) machine: Machine,
    pub(super) now: Millis,
    pub(super) effects: Vec<Effect>,
    pub(super) open: Vec<(u32, Transport, String)>,
    pub(super) feed: Vec<Entry>,
    pub(super) link: Option<Link>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) stored: Option<String>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::of(&page(vec![message(10, 9)]))
    }

    pub(super) fn of(page: &Page) -> Self {
        let mut bench = Self::unstarted(page);
        bench.event(Event::Start { online: true, visible: true, stored: None });
        bench
    }

    pub(super) fn unstarted(page: &Page) -> Self {
        Self {
            machine: Machine::new(page, 1).unwrap(),
            now: 1000,
            effects: Vec::new(),
            open: Vec::new(),
            feed: Vec::new(),
            link: None,
            outgoing: Vec::new(),
            stored: None,
        }
    }

    /// A page that is live over WebSocket.
    pub(super) fn live() -> Self {
        let mut bench = Self::new();
        bench.establish(12);
        bench
    }

    /// A page that is live over SSE, because its WebSocket did not open.
    pub(super) fn live_over_sse() -> Self {
        let mut bench = Self::new();
        bench.signal(Signal::Closed);
        bench.establish(12);
        bench
    }

    /// Makes the newest carrier open, send its opening cursor and report that the page has caught up.
    pub(super) fn establish(&mut self, cursor: u64) {
        self.signal(Signal::Opened);
        self.frame(Frame::Cursor { cursor: id(cursor) });
        self.frame(Frame::Cursor { cursor: id(cursor) });
    }

    pub(super) fn event(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.machine.step(self.now, event);
        for effect in effects.clone() {
            match effect {
                Effect::Open { generation, transport, path } => self.open.push((generation, transport, path)),
                Effect::Close { generation } => self.open.retain(|(open, ..)| *open != generation),
                Effect::Update(Update::Feed(entries)) => self.feed.extend(entries),
                Effect::Update(Update::Link(link)) => self.link = Some(link),
                Effect::Update(Update::Outgoing(outgoing)) => self.outgoing = outgoing,
                Effect::Store(text) => self.stored = text,
                Effect::Update(Update::Channel(_) | Update::Here(_) | Update::Typing(_))
                | Effect::Send { .. }
                | Effect::Post { .. } => {}
                Effect::Probe { .. } | Effect::Warn(_) => {}
            }
        }
        self.effects.extend(effects.clone());
        if let Some(wake) = self.machine.wake_at() {
            assert!(wake > self.now, "a wake-up must be in the future");
        }
        effects
    }

    /// Sends a signal from the newest carrier.
    pub(super) fn signal(&mut self, signal: Signal) -> Vec<Effect> {
        let generation = self.open.last().map_or(0, |(generation, ..)| *generation);
        self.event(Event::Carrier { generation, signal })
    }

    pub(super) fn frame(&mut self, frame: Frame) -> Vec<Effect> {
        self.signal(Signal::Frame(frame))
    }

    pub(super) fn message(&mut self, message: Message) -> Vec<Effect> {
        self.frame(Frame::Message(Box::new(message)))
    }

    pub(super) fn act(&mut self, action: UserAction) -> Vec<Effect> {
        self.event(Event::Action { action, key: KEY.into() })
    }

    pub(super) fn say(&mut self, text: &str) -> Vec<Effect> {
        self.act(UserAction::Send(Body::Text(text.into())))
    }

    /// Lets time pass, and wakes the machine whenever it asked for it.
    pub(super) fn pass(&mut self, millis: Millis) -> Vec<Effect> {
        let end = self.now + millis;
        let mut all = Vec::new();
        while let Some(wake) = self.machine.wake_at().filter(|wake| *wake <= end) {
            self.now = wake;
            all.extend(self.event(Event::Wake));
        }
        self.now = end;
        all
    }

    /// Lets time pass while the oldest open carrier delivers a heartbeat every second.
    pub(super) fn pass_alive(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.pass(1000);
            let (generation, ..) = self.open[0];
            self.event(Event::Carrier { generation, signal: Signal::Unknown });
        }
    }

    pub(super) fn transport(&self) -> Transport {
        self.open.last().unwrap().1
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        let offset = |entry: &Entry| match entry {
            Entry::Message { message, .. } => Some(message.id.offset),
            Entry::Away { .. } | Entry::Missed { .. } => None,
        };
        self.feed.iter().filter_map(offset).collect()
    }
}

/// Returns the reference and the key of every publish command that was sent.
pub(super) fn published(effects: &[Effect]) -> Vec<(u64, String)> {
    let publish = |effect: &Effect| {
        let Effect::Send { text, .. } = effect else { return None };
        match app::wire::Command::parse(text).unwrap() {
            app::wire::Command::Publish(publish) => Some((publish.reference?.as_u64()?, publish.key?)),
            _ => None,
        }
    };
    effects.iter().filter_map(publish).collect()
}

pub(super) fn ack(reference: u64, offset: u64, duplicate: bool) -> Frame {
    let (id, duplicate) = (Some(id(offset)), Some(duplicate));
    Frame::Ack(Ack { reference: Some(reference.into()), id, duplicate, ..Ack::default() })
}
