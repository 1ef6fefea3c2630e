//! Fuzzes the read parameters: the first line of the input is a query, and the rest is an optional `Last-Event-ID`.

#![no_main]

use fuzz::wire::{
    ReadParams, Start,
    limits::{MAX_LIMIT, MAX_WAIT_SECONDS},
    sender_name,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (query, last_event_id) = match text.split_once('\n') {
        Some((query, id)) => (query, Some(id)),
        None => (text, None),
    };
    let Ok(reading) = ReadParams::parse(query, last_event_id) else { return };
    assert!((1..=MAX_LIMIT).contains(&reading.limit));
    assert!(reading.wait.as_secs() <= MAX_WAIT_SECONDS);
    if let Some(Start::Last(last)) = reading.start {
        assert!(last <= MAX_LIMIT);
    }
    if let Some(id) = last_event_id.filter(|id| !id.is_empty()) {
        assert_eq!(reading.start, Some(Start::After(id.parse().expect("an id"))), "it takes precedence");
    }
    if let Some(name) = reading.from {
        assert_eq!(sender_name(&name), Ok(name));
    }
});
