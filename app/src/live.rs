//! The page's view of the connection: signals in, commands out; plain data.
//!
//! The `frontend` crate writes the signals (through [`Live::apply`]) and listens to the commands;
//! components read the signals and call the methods. On the server nobody listens and nothing changes.

use crate::{
    page::{Page, Screen},
    wire::{Body, ChannelEntry, Id, Message, Missed, Presence, Sender},
};
use leptos::prelude::{Update as _, *};
use std::{collections::VecDeque, sync::Arc};

/// Messages the document keeps; older ones are a link away.
pub const FEED_ROWS: usize = 400;
/// Commands kept until the connection's machine listens (it starts right after hydration).
const COMMAND_QUEUE: usize = 64;

/// How frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Both ways on one connection.
    WebSocket,
    /// One stream towards the page; sending by requests.
    Sse,
}

/// The state of the connection: what the pill says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Before the page is hydrated, or without script: the rendered page.
    Snapshot,
    /// The first connection is being made (shown after 300 ms).
    Connecting,
    /// Messages arrive as they are published.
    Live {
        /// Over this.
        transport: Transport,
        /// Median of the last five round trips, if one was measured.
        round_trip_ms: Option<u32>,
    },
    /// Connected again: stays four seconds.
    CaughtUp {
        /// Over this.
        transport: Transport,
        /// Messages that came while the page was away.
        messages: u32,
        /// Older ones are gone.
        partly: bool,
    },
    /// Waiting to try again (shown after one second of silence).
    Reconnecting {
        /// Seconds until the next try, counting down.
        seconds: u32,
    },
    /// The browser has no network.
    Offline,
    /// The network is there and the server does not answer.
    ServerDown,
}

/// One thing in the feed, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A message.
    Message {
        /// The message itself, shared.
        message: Arc<Message>,
        /// It came by catching up, not live: its rail is dotted amber.
        caught_up: bool,
    },
    /// The connection was away for so long; everything was caught up.
    Away {
        /// Unique in the feed.
        key: u64,
        /// How long.
        seconds: u32,
    },
    /// Messages are gone.
    Missed {
        /// Unique in the feed.
        key: u64,
        /// Which and why.
        missed: Missed,
    },
}

/// A message of this page that the server has not acknowledged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its idempotency key, kept over every retry.
    pub key: String,
    /// What it says.
    pub body: Body,
    /// What is happening to it.
    pub state: OutgoingState,
}

/// What is happening to an unacknowledged message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutgoingState {
    /// On its way.
    Sending,
    /// Will be sent when connected.
    Waiting,
    /// The server refused it, or did not answer for 10 s (`None`).
    Failed {
        /// Why, from the server.
        reason: Option<String>,
    },
}

/// Who is in the page's channel now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// How many visitors.
    pub people: u32,
    /// How many programs.
    pub programs: u32,
    /// As many of them as one frame names.
    pub who: Vec<Sender>,
}

impl Here {
    /// As the server says it stands.
    pub fn of(presence: &Presence) -> Self {
        Self { people: presence.people, programs: presence.programs, who: presence.joined.clone() }
    }

    /// Visitors and programs.
    pub fn count(&self) -> u32 {
        self.people + self.programs
    }
}

/// What the page asks of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Publish to the page's channel.
    Send(Body),
    /// Send a failed message again, under its key.
    Retry {
        /// Which.
        key: String,
    },
    /// Forget a failed message.
    Discard {
        /// Which.
        key: String,
    },
    /// Something is being written, or no more.
    Typing(bool),
    /// Connect now instead of waiting.
    Reconnect,
}

/// What the connection tells the page; applied in batches, at most once per animation frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The pill.
    Link(Link),
    /// More of the feed, in order.
    Feed(Vec<Entry>),
    /// The messages that are not acknowledged, oldest first.
    Outgoing(Vec<Outgoing>),
    /// A changed or new line of the list of channels.
    Channel(ChannelEntry),
    /// Who is there.
    Here(Here),
    /// Who else is writing.
    Typing(Vec<Sender>),
}

/// What the browser does once the page is hydrated; provided as a context before [`crate::App`].
#[derive(Clone, Copy)]
pub struct Starter(pub fn(Page, Live));

type Listener = Box<dyn Fn(Command)>;

/// The signals a page is drawn from.
#[derive(Clone, Copy)]
pub struct Live {
    /// The state of the connection.
    pub link: RwSignal<Link>,
    /// The feed, oldest first, at most [`FEED_ROWS`] entries.
    pub feed: RwSignal<VecDeque<Entry>>,
    /// Whether kept messages are older than the feed's first.
    pub older: RwSignal<bool>,
    /// Unacknowledged messages, shown below the feed.
    pub outgoing: RwSignal<Vec<Outgoing>>,
    /// The list of channels on the home page, newest message first.
    pub channels: RwSignal<Vec<ChannelEntry>>,
    /// The newest message seen, for the page's title and announcements.
    pub newest: RwSignal<Option<Id>>,
    /// Who is in the channel.
    pub here: RwSignal<Here>,
    /// Who else is writing in it.
    pub typing: RwSignal<Vec<Sender>>,
    // The inner value belongs to one thread and is only made in the browser: the server may drop a
    // page's values on another thread than the one that made them.
    listener: StoredValue<Option<StoredValue<Listener, LocalStorage>>>,
    queued: StoredValue<VecDeque<Command>>,
}

impl Live {
    /// The first state: what the server rendered.
    pub fn new(page: &Page) -> Self {
        let (feed, older, channels) = match &page.screen {
            Screen::Channel(channel) => (first_feed(&channel.messages), channel.older, Vec::new()),
            Screen::Home(home) => (VecDeque::new(), false, home.channels.clone()),
            Screen::Problem(_) => (VecDeque::new(), false, Vec::new()),
        };
        let newest = feed.iter().rev().find_map(|entry| match entry {
            Entry::Message { message, .. } => Some(message.id),
            Entry::Away { .. } | Entry::Missed { .. } => None,
        });
        let here = match &page.screen {
            Screen::Channel(channel) => channel.here.as_ref().map(Here::of).unwrap_or_default(),
            Screen::Home(_) | Screen::Problem(_) => Here::default(),
        };
        Self {
            here: RwSignal::new(here),
            typing: RwSignal::new(Vec::new()),
            link: RwSignal::new(Link::Snapshot),
            feed: RwSignal::new(feed),
            older: RwSignal::new(older),
            outgoing: RwSignal::new(Vec::new()),
            channels: RwSignal::new(channels),
            newest: RwSignal::new(newest),
            listener: StoredValue::new(None),
            queued: StoredValue::new(VecDeque::new()),
        }
    }

    /// Asks the connection for something. Before it listens, a few commands wait.
    pub fn command(&self, command: Command) {
        match self.listener.get_value() {
            Some(listener) => listener.with_value(|listen| listen(command)),
            None => self.queued.update_value(|queued| {
                if queued.len() < COMMAND_QUEUE {
                    queued.push_back(command);
                }
            }),
        }
    }

    /// Who carries the commands out; called once, by the browser's machine.
    pub fn listen(&self, listener: impl Fn(Command) + 'static) {
        let waiting = self.queued.try_update_value(std::mem::take).unwrap_or_default();
        waiting.into_iter().for_each(&listener);
        let listener: Listener = Box::new(listener);
        self.listener.set_value(Some(StoredValue::new_local(listener)));
    }

    /// Shows what the connection told, all at once.
    pub fn apply(&self, updates: Vec<Update>) {
        for update in updates {
            match update {
                Update::Link(link) => {
                    if self.link.get_untracked() != link {
                        self.link.set(link);
                    }
                }
                Update::Feed(entries) => self.extend_feed(entries),
                Update::Outgoing(outgoing) => self.outgoing.set(outgoing),
                Update::Here(here) => self.here.set(here),
                Update::Typing(who) => self.typing.set(who),
                Update::Channel(entry) => self.channels.update(|channels| {
                    channels.retain(|known| known.channel != entry.channel);
                    channels.insert(0, entry);
                    channels.truncate(100);
                }),
            }
        }
    }

    fn extend_feed(&self, entries: Vec<Entry>) {
        let newest = entries.iter().rev().find_map(|entry| match entry {
            Entry::Message { message, .. } => Some(message.id),
            Entry::Away { .. } | Entry::Missed { .. } => None,
        });
        let dropped = self.feed.try_update(|feed| {
            feed.extend(entries);
            let excess = feed.len().saturating_sub(FEED_ROWS);
            feed.drain(..excess);
            excess > 0
        });
        if dropped == Some(true) && !self.older.get_untracked() {
            self.older.set(true);
        }
        if newest.is_some() {
            self.newest.set(newest);
        }
    }
}

fn first_feed(messages: &[Message]) -> VecDeque<Entry> {
    messages.iter().map(|message| Entry::Message { message: Arc::new(message.clone()), caught_up: false }).collect()
}
