//! Pure functions from messages to a chart. No transcendental functions: server and browser must
//! draw the same picture.

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

/// Series of one panel.
pub const MAX_SERIES: usize = 6;
/// Rows of the table.
pub const TABLE_ROWS: usize = 20;
/// Fields whose numbers one reading keeps.
const MAX_FIELDS: usize = 12;
/// Readings kept: five minutes at seven a second.
const MAX_READINGS: usize = 2048;
/// Messages with a field before it is a series.
const SERIES_AFTER: u32 = 2;

/// The numbers of one message: fields at the top level of a JSON object, one level below it as `a.b`,
/// or a bare number as `value`.
pub fn readings(message: &Message) -> Option<Reading> {
    let Body::Json(json) = &message.body else { return None };
    let mut values = numbers(json);
    values.truncate(MAX_FIELDS);
    (!values.is_empty()).then_some(Reading { time: message.time, values })
}

/// What was measured so far: a bounded tail of readings, and the series in order of first appearance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    readings: VecDeque<Reading>,
    fields: Vec<(String, u32)>,
}

impl Store {
    /// Takes readings in the order they were stored.
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

    /// The series, in order of first appearance: colours and dashes follow it.
    pub fn series(&self) -> Vec<String> {
        let often = self.fields.iter().filter(|(_, times)| *times >= SERIES_AFTER);
        often.take(MAX_SERIES).map(|(field, _)| field.clone()).collect()
    }

    /// When the newest reading was stored.
    pub fn newest(&self) -> Option<Time> {
        self.readings.iter().map(|reading| reading.time).max()
    }

    /// The newest value of a series.
    pub fn latest(&self, field: &str) -> Option<f64> {
        self.readings.iter().rev().find_map(|reading| value_of(reading, field))
    }

    /// Readings after a moment.
    pub fn after(&self, time: Time) -> usize {
        self.readings.iter().rev().take_while(|reading| reading.time > time).count()
    }

    /// The newest readings, newest first, for the table.
    pub fn table(&self) -> impl Iterator<Item = &Reading> {
        self.readings.iter().rev().take(TABLE_ROWS)
    }

    fn points(&self, field: &str) -> impl Iterator<Item = (i64, f64)> {
        self.readings.iter().filter_map(move |reading| value_of(reading, field).map(|value| (reading.time.0, value)))
    }
}

/// The value of a field in a reading.
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
