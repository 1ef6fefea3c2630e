//! Fuzzes message bodies: a body is stored unchanged, a JSON body is valid JSON, and a frame with any body can be
//! parsed.

#![no_main]

use fuzz::wire::{Body, ContentKind, Frame, Kind, Message, Sender, Time, check_json, compact_json};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const KINDS: [ContentKind; 4] = [ContentKind::Json, ContentKind::Text, ContentKind::Binary, ContentKind::Guess];

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let Ok(body) = Body::read(kind, bytes.to_vec()) else { return };
    assert_eq!(body.as_bytes(), bytes, "the body is kept as sent");
    let expected = match &body {
        Body::Json(json) => compact(json),
        body => body.clone(),
    };
    let frame = Frame::Message(Box::new(message(body)));
    match Frame::parse(&frame.to_json()).expect("what is printed parses") {
        Frame::Message(read) => assert_eq!(read.body, expected),
        other => panic!("a message became {other:?}"),
    }
});

/// The body that readers of a frame receive for a JSON body: JSON without white space, or text if it is a JSON string.
fn compact(json: &str) -> Body {
    check_json(json).expect("a JSON body is JSON");
    let compact = compact_json(json);
    check_json(&compact).expect("compact JSON is still JSON");
    assert_eq!(compact_json(&compact), compact);
    assert!(!compact.contains(['\n', '\r']), "one line");
    match (serde_json::from_str::<Value>(json), serde_json::from_str::<Value>(&compact)) {
        (Ok(Value::String(text)), _) => Body::Text(text),
        (Ok(value), same) => {
            assert_eq!(same.expect("a value"), value);
            Body::Json(compact.into_owned())
        }
        (Err(_), _) => Body::Json(compact.into_owned()),
    }
}

fn message(body: Body) -> Message {
    Message {
        id: "k3.2".parse().expect("an id"),
        prev: None,
        channel: "fuzz".parse().expect("a name"),
        time: Time(0),
        from: Sender { id: "p".into(), name: "p".into(), kind: Kind::Program },
        body,
        key: None,
    }
}
