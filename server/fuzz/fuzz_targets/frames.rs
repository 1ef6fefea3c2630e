//! Frames and commands: what parses prints, and is the same when it is read again.

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

/// JSON is printed without the white space between its tokens.
fn compact(body: &mut Body) {
    if let Body::Json(json) = body {
        *json = compact_json(json).into_owned();
    }
}
