//! The interface between the page and its connection: signals for the page, actions for the connection.
//!
//! The `frontend` crate writes the signals (through [`Live::apply`]) and receives the actions; components read the
//! signals and call the methods. On the server there is no connection, so the signals keep their first value.

use crate::{
    page::{Page, Screen},
    wire::{Body, ChannelEntry, Id, Message, Missed, PresenceUpdate, Sender},
};
use leptos::prelude::{Update as _, *};
use std::{collections::VecDeque, sync::Arc};

/// Maximum entries of the feed in the page. A link leads to older messages.
pub const FEED_ROWS: usize = 400;
/// Maximum actions that wait until the state machine of the connection listens, right after hydration.
const ACTION_QUEUE: usize = 64;

/// The transport of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One connection for both directions.
    WebSocket,
    /// An event stream to the page; the page sends with requests.
    Sse,
}

/// The state of the connection, shown in the pill of the app bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The page shows what the server rendered, because it is not hydrated yet or runs without scripts.
    Snapshot,
    /// The page makes its first connection (shown after 300 ms).
    Connecting,
    /// Messages arrive as they are published.
    Live {
        /// The transport in use.
        transport: Transport,
        /// Median of the last five round trips, if one was measured.
        round_trip_ms: Option<u32>,
    },
    /// The page reconnected and received what it missed (shown for four seconds).
    CaughtUp {
        /// The transport in use.
        transport: Transport,
        /// Number of messages that arrived while the connection was lost.
        messages: u32,
        /// Whether the server no longer has some of the missed messages.
        partly: bool,
    },
    /// The page waits for its next attempt (shown one second after the connection was lost).
    Reconnecting {
        /// Seconds until the next attempt, counting down.
        seconds: u32,
    },
    /// The browser has no network.
    Offline,
    /// The browser has a network, but the server does not answer.
    ServerDown,
}

/// An entry of the feed.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A message.
    Message {
        /// The message, shared with the rows.
        message: Arc<Message>,
        /// Whether the message arrived after a reconnection instead of live. Its rail is then dotted amber.
        caught_up: bool,
    },
    /// The connection was lost, but no message is missing.
    Away {
        /// Unique in the feed.
        key: u64,
        /// How long the connection was lost.
        seconds: u32,
    },
    /// Messages are missing.
    Missed {
        /// Unique in the feed.
        key: u64,
        /// The missing range and the reason.
        missed: Missed,
    },
}

/// A message from this page that the server has not acknowledged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its idempotency key, the same for every retry.
    pub key: String,
    /// The body.
    pub body: Body,
    /// The state of its delivery.
    pub state: OutgoingState,
}

/// The state of an unacknowledged message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutgoingState {
    /// The page has sent it and waits for the answer.
    Sending,
    /// The page will send it when connected.
    Waiting,
    /// The server refused it or did not answer for 10 s.
    Failed {
        /// The server's reason; `None` if the server did not answer.
        reason: Option<String>,
    },
}

/// Who is in the page's channel now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// Number of visitors.
    pub people: u32,
    /// Number of programs.
    pub programs: u32,
    /// The senders that are known by name, at most as many as one frame lists.
    pub who: Vec<Sender>,
}

impl Here {
    /// Copies the state from a `presence` frame with the whole list.
    pub fn of(presence: &PresenceUpdate) -> Self {
        Self { people: presence.people, programs: presence.programs, who: presence.joined.clone() }
    }

    /// Returns the number of visitors and programs together.
    pub fn count(&self) -> u32 {
        self.people + self.programs
    }
}

/// What a visitor does, for the connection to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction {
    /// Publish to the page's channel.
    Send(Body),
    /// Send a failed message again with its idempotency key.
    Retry {
        /// The key of the message.
        key: String,
    },
    /// Forget a failed message.
    Discard {
        /// The key of the message.
        key: String,
    },
    /// The visitor started (`true`) or stopped (`false`) writing.
    Typing(bool),
    /// Connect now instead of waiting.
    Reconnect,
}

/// A change that the connection reports to the page. Applied in batches, at most once per animation frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The new state of the connection.
    Link(Link),
    /// New entries at the end of the feed, in order.
    Feed(Vec<Entry>),
    /// Every unacknowledged message, oldest first.
    Outgoing(Vec<Outgoing>),
    /// A changed or new entry of the list of channels.
    Channel(ChannelEntry),
    /// Who is in the channel.
    Here(Here),
    /// Who else is writing in the channel.
    Typing(Vec<Sender>),
}

/// The function that starts the connection after hydration. The browser provides it as a context before
/// [`crate::App`].
#[derive(Clone, Copy)]
pub struct Starter(pub fn(Page, Live));

type Listener = Box<dyn Fn(UserAction)>;

/// The signals that a page is drawn from, and the queue for its actions.
#[derive(Clone, Copy)]
pub struct Live {
    /// The state of the connection.
    pub link: RwSignal<Link>,
    /// The feed, oldest first, at most [`FEED_ROWS`] entries.
    pub feed: RwSignal<VecDeque<Entry>>,
    /// Whether the server has messages that are older than the first message of the feed.
    pub older: RwSignal<bool>,
    /// Unacknowledged messages, shown below the feed.
    pub outgoing: RwSignal<Vec<Outgoing>>,
    /// The list of channels on the home page, newest message first.
    pub channels: RwSignal<Vec<ChannelEntry>>,
    /// The newest message seen, for the page's title and announcements.
    pub newest: RwSignal<Option<Id>>,
    /// Who is in the channel.
    pub here: RwSignal<Here>,
    /// Who else is writing in the channel.
    pub typing: RwSignal<Vec<Sender>>,
    // The inner value must stay on the thread that created it, so only the browser creates it. The server may drop the
    // values of a page on another thread.
    listener: StoredValue<Option<StoredValue<Listener, LocalStorage>>>,
    queued: StoredValue<VecDeque<UserAction>>,
}

impl Live {
    /// Creates the signals with the state that the server rendered.
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

    /// Passes an action to the connection. Until the connection listens, a bounded number of actions waits.
    pub fn act(&self, action: UserAction) {
        match self.listener.get_value() {
            Some(listener) => listener.with_value(|listen| listen(action)),
            None => self.queued.update_value(|queued| {
                if queued.len() < ACTION_QUEUE {
                    queued.push_back(action);
                }
            }),
        }
    }

    /// Sets the function that executes the actions. The state machine in the browser calls this once.
    pub fn listen(&self, listener: impl Fn(UserAction) + 'static) {
        let waiting = self.queued.try_update_value(std::mem::take).unwrap_or_default();
        waiting.into_iter().for_each(&listener);
        let listener: Listener = Box::new(listener);
        self.listener.set_value(Some(StoredValue::new_local(listener)));
    }

    /// Applies a batch of changes from the connection.
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
