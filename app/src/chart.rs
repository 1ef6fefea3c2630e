//! Pure functions that turn messages into a chart. They use no transcendental functions, because those may give
//! different results on the server and in the browser, which must draw the same picture.

mod plot;
mod ticks;

pub use plot::{HEIGHT, Plot, WIDTH, Window, plot};
pub use ticks::{Ticks, ticks};

use crate::{
    feed::numbers,
    page::Reading,
    wire::{Body, Message, Time},
};
use std::collections::VecDeque;

/// Maximum number of series in one panel.
pub const MAX_SERIES: usize = 6;
/// Maximum number of rows in the table.
pub const TABLE_ROWS: usize = 20;
/// Maximum number of fields in one reading.
const MAX_FIELDS: usize = 12;
/// Maximum number of readings in memory: five minutes at about seven per second.
const MAX_READINGS: usize = 2048;
/// Number of messages that must contain a field before it becomes a series.
const SERIES_AFTER: u32 = 2;

/// Returns the numbers of one message: fields at the top level of a JSON object, fields one level below as `a.b`, or a
/// bare number as `value`.
pub fn readings(message: &Message) -> Option<Reading> {
    let Body::Json(json) = &message.body else { return None };
    let mut values = numbers(json);
    values.truncate(MAX_FIELDS);
    (!values.is_empty()).then_some(Reading { time: message.time, values })
}

/// The newest readings of a channel, and its fields in the order of their first appearance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    readings: VecDeque<Reading>,
    fields: Vec<(String, u32)>,
}

impl Store {
    /// Adds readings, which must be in the order in which they were stored.
    pub fn extend(&mut self, readings: impl IntoIterator<Item = Reading>) {
        for reading in readings {
            for (field, _) in &reading.values {
                match self.fields.iter().position(|(known, _)| known == field) {
                    Some(at) => self.fields[at].1 = self.fields[at].1.saturating_add(1),
                    None if self.fields.len() < MAX_FIELDS * 2 => self.fields.push((field.clone(), 1)),
                    None => {}
                }
            }
            if self.readings.len() == MAX_READINGS {
                self.readings.pop_front();
            }
            self.readings.push_back(reading);
        }
    }

    /// Returns the series in the order of their first appearance, which decides their colours and dashes.
    pub fn series(&self) -> Vec<String> {
        let often = self.fields.iter().filter(|(_, times)| *times >= SERIES_AFTER);
        often.take(MAX_SERIES).map(|(field, _)| field.clone()).collect()
    }

    /// Returns the time of the newest reading.
    pub fn newest(&self) -> Option<Time> {
        self.readings.iter().map(|reading| reading.time).max()
    }

    /// Returns the newest value of a series.
    pub fn latest(&self, field: &str) -> Option<f64> {
        self.readings.iter().rev().find_map(|reading| value_of(reading, field))
    }

    /// Returns the number of readings after a time.
    pub fn after(&self, time: Time) -> usize {
        self.readings.iter().rev().take_while(|reading| reading.time > time).count()
    }

    /// Returns the readings of the table, newest first.
    pub fn table(&self) -> impl Iterator<Item = &Reading> {
        self.readings.iter().rev().take(TABLE_ROWS)
    }

    fn points(&self, field: &str) -> impl Iterator<Item = (i64, f64)> {
        self.readings.iter().filter_map(move |reading| value_of(reading, field).map(|value| (reading.time.0, value)))
    }
}

/// Returns the value of a field in a reading.
pub fn value_of(reading: &Reading, field: &str) -> Option<f64> {
    reading.values.iter().find(|(known, _)| known == field).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Kind, Sender};

    fn message(body: Body) -> Message {
        Message {
            id: "k3.1".parse().unwrap(),
            prev: None,
            channel: "demo".parse().unwrap(),
            time: Time(1000),
            from: Sender { id: "a".into(), name: "a".into(), kind: Kind::Program },
            body,
            key: None,
        }
    }

    #[test]
    fn only_json_is_read() {
        assert_eq!(readings(&message(Body::Text("42".into()))), None);
        assert_eq!(readings(&message(Body::Json("{\"a\":\"b\"}".into()))), None);
        let reading = readings(&message(Body::Json("{\"b\":1,\"a\":2}".into()))).unwrap();
        assert_eq!(reading.values, [("b".to_owned(), 1.0), ("a".to_owned(), 2.0)]);
    }

    #[test]
    fn a_field_is_a_series_after_two_messages() {
        let reading = |time, fields: &[&str]| Reading {
            time: Time(time),
            values: fields.iter().map(|field| ((*field).to_owned(), time as f64)).collect(),
        };
        let mut store = Store::default();
        store.extend([reading(1, &["b", "once"]), reading(2, &["a", "b"]), reading(3, &["a"])]);
        assert_eq!(store.series(), ["b", "a"]);
        assert_eq!(store.latest("b"), Some(2.0));
        assert_eq!(store.newest(), Some(Time(3)));
        assert_eq!(store.after(Time(1)), 2);
        store.extend((0..5000).map(|n| reading(n, &["a"])));
        assert_eq!(store.readings.len(), MAX_READINGS);
    }
}
