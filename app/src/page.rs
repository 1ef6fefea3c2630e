//! The data that the server renders a page from. The browser receives the same data, so that both render the same HTML
//! and the browser's subscription starts exactly at `cursor`.

use crate::wire::{ChannelEntry, ChannelName, Id, Message, PresenceUpdate, Sender, Time};
use serde::{Deserialize, Serialize};

/// The language of the page, chosen from the `lang` cookie or else from `Accept-Language`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Korean.
    Ko,
}

impl Lang {
    /// Returns the language code for `lang` attributes and cookies.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ko => "ko",
        }
    }
}

/// The data that a page is rendered from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The language of the interface.
    pub lang: Lang,
    /// The origin in the visitor's address bar, such as `http://127.0.0.1:3000`.
    pub origin: String,
    /// The visitor who requested the page.
    pub visitor: Sender,
    /// When the page was rendered.
    pub now: Time,
    /// The time zone in minutes east of UTC: the visitor's (`tz` cookie), or else the server's.
    pub zone: i16,
    /// Whether `zone` came from the visitor.
    pub zone_is_readers: bool,
    /// The outcome of the form that led to this page; shown once.
    pub notice: Option<Notice>,
    /// The screen to render.
    pub screen: Screen,
}

/// The outcome of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// The visitor's new name was saved.
    NameSaved,
    /// The name was refused; contains the server's reason, in English.
    NameRefused(String),
}

/// The screen of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Screen {
    /// `/`
    Home(Home),
    /// `/c/{channel}`
    Channel(Box<Channel>),
    /// An error page.
    Problem(Problem),
}

/// The list of channels, newest message first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Home {
    /// The channels, at most 100.
    pub channels: Vec<ChannelEntry>,
}

/// The screen of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// The channel's name.
    pub name: ChannelName,
    /// The newest 50 messages, or those around `at`, oldest first.
    pub messages: Vec<Message>,
    /// The numbers of messages before `messages`, oldest first, for the chart.
    pub readings: Vec<Reading>,
    /// The cursor where the browser's subscription starts.
    pub cursor: Id,
    /// Whether the store has messages that are older than the first of `messages`.
    pub older: bool,
    /// The message that a link points to (`?at=ID`).
    pub at: Option<Id>,
    /// Whether the page continues live from `cursor`. A page far back in the history does not, because the messages
    /// since then would be more than a page holds.
    pub continues: bool,
    /// The channels in the side column, newest first, at most 20.
    pub channels: Vec<ChannelName>,
    /// The idempotency key of the form when scripts do not run. Each page has one key, so that a double click publishes
    /// only once.
    pub form_key: String,
    /// The refused form post that led to this page.
    pub refused: Option<Refused>,
    /// The maximum size of a body in bytes.
    pub max_message: usize,
    /// Who was in the channel when the page was rendered.
    pub here: Option<PresenceUpdate>,
}

/// A form post that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The server's reason, in English.
    pub message: String,
    /// The text that the visitor typed, so that it is not lost.
    pub body: String,
}

/// The numbers of one message, for the chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// When the message was stored.
    pub time: Time,
    /// The fields and their values, in the order of the message.
    pub values: Vec<(String, f64)>,
}

/// The screen of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The server's explanation for people.
    pub message: String,
}
