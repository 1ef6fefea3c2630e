//! Fuzzes frames and commands: a parsed value can be printed, and parsing the printed text gives the same value.

#![no_main]

use fuzz::wire::{Body, Command, Frame, compact_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(mut frame) = Frame::parse(text) {
        if let Frame::Message(message) = &mut frame {
            compact(&mut message.body);
        }
        let printed = frame.to_json();
        assert!(!printed.contains(['\n', '\r']), "one line");
        assert_eq!(Frame::parse(&printed).expect("what is printed parses"), frame);
    }
    if let Ok(mut command) = Command::parse(text) {
        if let Command::Publish(publish) = &mut command {
            compact(&mut publish.body);
        }
        assert_eq!(Command::parse(&command.to_json()).expect("what is printed parses"), command);
    }
});

/// Removes the white space between JSON tokens, because printing also removes it.
fn compact(body: &mut Body) {
    if let Body::Json(json) = body {
        *json = compact_json(json).into_owned();
    }
}
