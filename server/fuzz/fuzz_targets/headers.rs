//! Fuzzes the header parsers: the first line of the input is parsed as every header, and the second line is the cookie
//! name or the host to compare it with.

#![no_main]

use fuzz::wire::headers::{Expected, accept, cookie, if_match, same_origin};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let _ = accept(first);
    if let Some(value) = cookie(first, second) {
        assert!(first.contains(&format!("{second}={value}")), "a cookie value is part of its header");
        assert!(!value.contains(';'));
    }
    if same_origin(first, second) {
        assert!(!second.is_empty(), "an empty host has no origin");
        assert!(!same_origin(&format!("{first}0"), second), "another port or host is another origin");
    }
    let named = !first.is_empty() && !first.starts_with(':');
    for scheme in ["http", "https"] {
        assert!(!named || same_origin(&format!("{scheme}://{first}"), first), "a host is its own origin");
    }
    if let Ok(Expected::Last(id)) = if_match(first) {
        assert!(first.contains(&id.to_string()));
    }
});
