//! Pure functions from the feed's entries to the rows that are drawn.

mod json;

pub use json::{Piece, numbers, one_line, several_lines};

use crate::{
    live::Entry,
    wire::{Id, Kind, Message, Missed, Time},
};
use std::{collections::VecDeque, sync::Arc};

/// Messages of one author within this time stand under one name.
const GROUP_MS: i64 = 5 * 60 * 1000;
/// Longer text collapses.
pub const COLLAPSE_LINES: usize = 12;
/// Characters that fill a line of the feed, for guessing how many lines a text takes.
const LINE_CHARS: usize = 90;

/// One row of the feed.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A new day begins.
    Day {
        /// The first message of the day.
        id: Id,
        /// Its time.
        time: Time,
    },
    /// A message.
    Message(MessageRow),
    /// The connection was away; nothing is missing.
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

/// A message as a row.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRow {
    /// The message.
    pub message: Arc<Message>,
    /// It begins a group: name and node are shown.
    pub head: bool,
    /// It came by catching up.
    pub caught_up: bool,
    /// The visitor who looks wrote it.
    pub own: bool,
}

/// What makes a row the same row: with an equal key nothing has to be drawn again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowKey {
    /// [`Row::Day`]
    Day(Id),
    /// [`Row::Message`]: id, head, caught up.
    Message(Id, bool, bool),
    /// [`Row::Away`]
    Away(u64),
    /// [`Row::Missed`]
    Missed(u64),
}

impl Row {
    /// The row's key.
    pub fn key(&self) -> RowKey {
        match self {
            Self::Day { id, .. } => RowKey::Day(*id),
            Self::Message(row) => RowKey::Message(row.message.id, row.head, row.caught_up),
            Self::Away { key, .. } => RowKey::Away(*key),
            Self::Missed { key, .. } => RowKey::Missed(*key),
        }
    }
}

/// The rows of a feed, for the visitor `own` in the zone `zone` minutes east of UTC.
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

/// The id of the newest message.
pub fn newest(feed: &VecDeque<Entry>) -> Option<Id> {
    messages(feed).next_back().map(|message| message.id)
}

/// The messages of a feed, oldest first.
pub fn messages(feed: &VecDeque<Entry>) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
    feed.iter().filter_map(|entry| match entry {
        Entry::Message { message, .. } => Some(message),
        Entry::Away { .. } | Entry::Missed { .. } => None,
    })
}

/// The messages after `last`, oldest first; all of them if `last` is no longer there.
pub fn since(feed: &VecDeque<Entry>, last: Option<Id>) -> Vec<Arc<Message>> {
    let mut new: Vec<_> = messages(feed).rev().take_while(|message| Some(message.id) != last).cloned().collect();
    new.reverse();
    new
}

/// What stands in a node: the first letter of a name.
pub fn initial(name: &str) -> String {
    name.trim().chars().next().map_or_else(|| "·".to_owned(), |first| first.to_uppercase().collect())
}

/// The number of lines of a text that is too long to be shown at once.
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
