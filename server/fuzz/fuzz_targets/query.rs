//! The reading parameters: a query, and after a line end perhaps a `Last-Event-ID`.

#![no_main]

use fuzz::wire::{
    Reading, Start,
    limits::{MAX_LIMIT, MAX_WAIT_SECONDS},
    sender_name,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (query, last_event_id) = match text.split_once('\n') {
        Some((query, id)) => (query, Some(id)),
        None => (text, None),
    };
    let Ok(reading) = Reading::parse(query, last_event_id) else { return };
    assert!((1..=MAX_LIMIT).contains(&reading.limit));
    assert!(reading.wait.as_secs() <= MAX_WAIT_SECONDS);
    if let Some(Start::Last(last)) = reading.start {
        assert!(last <= MAX_LIMIT);
    }
    if let Some(id) = last_event_id.filter(|id| !id.is_empty()) {
        assert_eq!(reading.start, Some(Start::After(id.parse().expect("it was read"))), "it beats all others");
    }
    if let Some(name) = reading.from {
        assert_eq!(sender_name(&name), Ok(name));
    }
});
