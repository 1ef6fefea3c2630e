//! Fuzzes channel names: parsing is stable, composed and decomposed input give the same channel, and a path decodes to
//! its name.

#![no_main]

use fuzz::wire::{ChannelName, limits::CHANNEL_NAME_CHARS};
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;

fuzz_target!(|text: &str| {
    let Ok(name) = text.parse::<ChannelName>() else { return };
    let parse = |text: &str| text.parse::<ChannelName>().expect("another spelling of the same name");
    assert_eq!(parse(name.as_str()), name);
    assert_eq!(name.as_str().nfc().collect::<String>(), name.as_str());
    assert_eq!(parse(&text.nfd().collect::<String>()), name);
    assert!((1..=CHANNEL_NAME_CHARS).contains(&name.as_str().chars().count()));

    let path = name.path();
    assert!(path.is_ascii());
    let encoded = path.strip_prefix("/c/").expect("the path of a channel");
    assert!(!encoded.contains(['/', '?', '#', ' ']));
    assert_eq!(percent_decode_str(encoded).decode_utf8().expect("UTF-8"), name.as_str());

    let json = serde_json::to_string(&name).expect("a string");
    assert_eq!(serde_json::from_str::<ChannelName>(&json).expect("a name in JSON"), name);
});
