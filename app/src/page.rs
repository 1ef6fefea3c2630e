//! What the server hands to a page when it renders it. The same value reaches the browser, so that
//! both render the same first picture and the browser's subscription starts exactly at `cursor`.

use crate::wire::{ChannelEntry, ChannelName, Id, Message, Presence, Sender, Time};
use serde::{Deserialize, Serialize};

/// The language of the page: a cookie `lang`, else `Accept-Language`.
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
    /// For `lang` attributes and cookies.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ko => "ko",
        }
    }
}

/// Everything a page is rendered from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Interface language.
    pub lang: Lang,
    /// Where the visitor really is: `http://127.0.0.1:3000`.
    pub origin: String,
    /// The visitor who looks.
    pub visitor: Sender,
    /// When the page was rendered.
    pub now: Time,
    /// Minutes east of UTC: the reader's (cookie `tz`), else the server's.
    pub zone: i16,
    /// Whether `zone` came from the reader.
    pub zone_is_readers: bool,
    /// What a form that led here came to; shown once.
    pub notice: Option<Notice>,
    /// Which screen.
    pub screen: Screen,
}

/// What a form came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// The visitor's name is the one the page shows.
    NameSaved,
    /// The name was refused, and why, in English, from the server.
    NameRefused(String),
}

/// Which screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Screen {
    /// `/`
    Home(Home),
    /// `/c/{channel}`
    Channel(Box<Channel>),
    /// An error, as a page.
    Problem(Problem),
}

/// The list of channels, newest message first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Home {
    /// At most 100.
    pub channels: Vec<ChannelEntry>,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    /// The newest 50 messages, or those around `at`, oldest first.
    pub messages: Vec<Message>,
    /// Older readings for the chart, oldest first: the numbers of messages before `messages`.
    pub readings: Vec<Reading>,
    /// Where the browser's subscription starts.
    pub cursor: Id,
    /// Whether messages older than the first one here are kept.
    pub older: bool,
    /// The message a link points to (`?at=ID`).
    pub at: Option<Id>,
    /// Whether the page goes on live from `cursor`. Deep in history it does not: what came since would be
    /// more than a page holds.
    pub continues: bool,
    /// The other channels of this server, newest first, for the side column; at most 20.
    pub channels: Vec<ChannelName>,
    /// The form's idempotency key without script: one key a page, so that a double click sends once.
    pub form_key: String,
    /// A form post that was refused: what to tell, and the text that was typed.
    pub refused: Option<Refused>,
    /// The largest body the server takes, in bytes.
    pub max_message: usize,
    /// Who was in the channel when the page was rendered.
    pub here: Option<Presence>,
}

/// A form post that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why, in English, from the server.
    pub message: String,
    /// What was typed: it is not lost.
    pub body: String,
}

/// The numbers of one message, for the chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// When it was stored.
    pub time: Time,
    /// Field and value, in the order of the message.
    pub values: Vec<(String, f64)>,
}

/// An error, as a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// For people, from the server.
    pub message: String,
}
