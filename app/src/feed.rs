//! Pure functions that turn the entries of the feed into the rows on the page.

mod json;

pub use json::{Piece, numbers, one_line, several_lines};

use crate::{
    live::Entry,
    wire::{Id, Kind, Message, Missed, Time},
};
use std::{collections::VecDeque, sync::Arc};

/// Consecutive messages from one sender with at most this many milliseconds between them share one heading.
const GROUP_MS: i64 = 5 * 60 * 1000;
/// Text with more lines is collapsed.
pub const COLLAPSE_LINES: usize = 12;
/// Estimated number of characters in a line of the feed. Used to estimate how many lines a text fills.
const LINE_CHARS: usize = 90;

/// A row of the feed.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A new day begins.
    Day {
        /// The id of the first message of the day.
        id: Id,
        /// The time of that message.
        time: Time,
    },
    /// A message.
    Message(MessageRow),
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

/// A message as a row.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRow {
    /// The message.
    pub message: Arc<Message>,
    /// Whether the row begins a group. Such a row shows the sender's name and node.
    pub head: bool,
    /// Whether the message arrived after a reconnection instead of live.
    pub caught_up: bool,
    /// Whether the visitor of this page sent the message.
    pub own: bool,
}

/// The identity of a row. A row with the same key as before is not drawn again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowKey {
    /// [`Row::Day`]
    Day(Id),
    /// [`Row::Message`]: `id`, `head` and `caught_up`.
    Message(Id, bool, bool),
    /// [`Row::Away`]
    Away(u64),
    /// [`Row::Missed`]
    Missed(u64),
}

impl Row {
    /// Returns the row's key.
    pub fn key(&self) -> RowKey {
        match self {
            Self::Day { id, .. } => RowKey::Day(*id),
            Self::Message(row) => RowKey::Message(row.message.id, row.head, row.caught_up),
            Self::Away { key, .. } => RowKey::Away(*key),
            Self::Missed { key, .. } => RowKey::Missed(*key),
        }
    }
}

/// Builds the rows of a feed. `own` is the id of the page's visitor, and `zone` is in minutes east of UTC.
pub fn rows(feed: &VecDeque<Entry>, own: &str, zone: i16) -> Vec<Row> {
    let mut rows = Vec::with_capacity(feed.len() + 4);
    let mut previous: Option<&Message> = None;
    let mut day = None;
    for entry in feed {
        match entry {
            Entry::Message { message, caught_up } => {
                let date = message.time.civil(zone).date();
                if day != Some(date) {
                    rows.push(Row::Day { id: message.id, time: message.time });
                    (day, previous) = (Some(date), None);
                }
                rows.push(Row::Message(MessageRow {
                    message: Arc::clone(message),
                    head: previous.is_none_or(|previous| !groups(previous, message)),
                    caught_up: *caught_up,
                    own: message.from.kind == Kind::Person && message.from.id == own,
                }));
                previous = Some(message);
            }
            Entry::Away { key, seconds } => {
                rows.push(Row::Away { key: *key, seconds: *seconds });
                previous = None;
            }
            Entry::Missed { key, missed } => {
                rows.push(Row::Missed { key: *key, missed: missed.clone() });
                previous = None;
            }
        }
    }
    rows
}

fn groups(previous: &Message, next: &Message) -> bool {
    previous.from == next.from && (next.time.0 - previous.time.0).abs() <= GROUP_MS
}

/// Returns the id of the newest message.
pub fn newest(feed: &VecDeque<Entry>) -> Option<Id> {
    messages(feed).next_back().map(|message| message.id)
}

/// Returns the messages of a feed, oldest first.
pub fn messages(feed: &VecDeque<Entry>) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
    feed.iter().filter_map(|entry| match entry {
        Entry::Message { message, .. } => Some(message),
        Entry::Away { .. } | Entry::Missed { .. } => None,
    })
}

/// Returns the messages after `last`, oldest first, or every message if the feed no longer contains `last`.
pub fn since(feed: &VecDeque<Entry>, last: Option<Id>) -> Vec<Arc<Message>> {
    let mut new: Vec<_> = messages(feed).rev().take_while(|message| Some(message.id) != last).cloned().collect();
    new.reverse();
    new
}

/// Returns the first letter of a name, which the node of a sender shows.
pub fn initial(name: &str) -> String {
    name.trim().chars().next().map_or_else(|| "·".to_owned(), |first| first.to_uppercase().collect())
}

/// Returns the number of lines of a text that must be collapsed, or `None` if the text is short enough.
pub fn long_text(text: &str) -> Option<usize> {
    let lines: usize = text.lines().map(|line| line.chars().count().div_ceil(LINE_CHARS).max(1)).sum();
    (lines > COLLAPSE_LINES).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Body, Sender};

    const NINE: i64 = 1_789_344_000_000;

    fn entry(offset: u64, time: i64, from: &str) -> Entry {
        Entry::Message {
            message: Arc::new(Message {
                id: format!("k3.{offset}").parse().unwrap(),
                prev: None,
                channel: "demo".parse().unwrap(),
                time: Time(time),
                from: Sender { id: from.into(), name: from.into(), kind: Kind::Person },
                body: Body::Text("x".into()),
                key: None,
            }),
            caught_up: false,
        }
    }

    fn shape(rows: &[Row]) -> String {
        rows.iter()
            .map(|row| match row {
                Row::Day { .. } => 'd',
                Row::Message(row) if row.head && row.own => 'O',
                Row::Message(row) if row.head => 'H',
                Row::Message(_) => '.',
                Row::Away { .. } => 'a',
                Row::Missed { .. } => 'm',
            })
            .collect()
    }

    #[test]
    fn one_author_within_five_minutes_is_a_group() {
        let minute = 60_000;
        let feed: VecDeque<_> = [
            entry(1, NINE, "a"),
            entry(2, NINE + minute, "a"),
            entry(3, NINE + 7 * minute, "a"),
            entry(4, NINE + 7 * minute, "b"),
            Entry::Away { key: 1, seconds: 38 },
            entry(5, NINE + 8 * minute, "b"),
            entry(6, NINE + 24 * 60 * minute, "b"),
        ]
        .into();
        assert_eq!(shape(&rows(&feed, "b", 540)), "dH.HOaOdO");
    }

    #[test]
    fn rows_stay_the_same_when_older_ones_leave() {
        let mut feed: VecDeque<_> = (1..6).map(|n| entry(n, NINE + n as i64, "a")).collect();
        let before: Vec<_> = rows(&feed, "b", 0).iter().map(Row::key).collect();
        feed.pop_front();
        let after: Vec<_> = rows(&feed, "b", 0).iter().map(Row::key).collect();
        assert_eq!(before[3..], after[2..]);
    }

    #[test]
    fn new_messages_are_those_after_the_last_seen() {
        let feed: VecDeque<_> = (1..6).map(|n| entry(n, NINE, "a")).collect();
        let ids = |last: Option<&str>| {
            since(&feed, last.map(|id| id.parse().unwrap())).iter().map(|m| m.id.offset).collect::<Vec<_>>()
        };
        assert_eq!(ids(Some("k3.3")), [4, 5]);
        assert_eq!(ids(Some("k3.5")), Vec::<u64>::new());
        assert_eq!(ids(Some("k2.9")).len(), 5);
        assert_eq!(newest(&feed), "k3.5".parse().ok());
    }

    #[test]
    fn long_text_is_counted_in_lines() {
        assert_eq!(long_text(&"x\n".repeat(12)), None);
        assert_eq!(long_text(&"x\n".repeat(13)), Some(13));
        assert_eq!(long_text(&"x".repeat(LINE_CHARS * 20)), Some(20));
        assert_eq!(initial(" kim"), "K");
        assert_eq!(initial(""), "·");
    }
}
