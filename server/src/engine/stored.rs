//! A message as it is stored and shared: encoded once for all readers.

use super::Offset;
use crate::limits::{FRAME_SCRATCH_BYTES, STORED_BYTES};
use app::wire::{Body, Message};
use bytes::Bytes;
use std::{
    cell::RefCell,
    sync::{Arc, OnceLock},
};

/// A stored message. It is encoded once and every reader shares the bytes. The first reader encodes it, so that the
/// single writer thread does not have to.
#[derive(Debug)]
pub struct Stored {
    /// The message.
    pub message: Message,
    frame: OnceLock<Bytes>,
    weight: usize,
}

thread_local! {
    /// Frames are encoded here first, so that the stored copy is allocated once, at its exact size.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Stored {
    /// Wraps a message and computes its weight.
    pub fn new(message: Message) -> Arc<Self> {
        let Message { channel, from, key, .. } = &message;
        let names = [channel.as_str(), &from.id, &from.name].into_iter().chain(key.as_deref());
        let names = names.map(|text| text.len() + json_length(text));
        let body = match &message.body {
            Body::Text(text) => json_length(text),
            Body::Json(json) => json.len(),
            Body::Binary(bytes) => bytes.len().div_ceil(3) * 4,
        };
        let weight = STORED_BYTES + names.sum::<usize>() + message.body.as_bytes().len() + body;
        Arc::new(Self { message, frame: OnceLock::new(), weight })
    }

    /// The message as JSON on one line, encoded at the first call.
    pub fn frame(&self) -> &Bytes {
        self.frame.get_or_init(|| {
            SCRATCH.with_borrow_mut(|scratch| {
                if let Err(error) = serde_json::to_writer(&mut *scratch, &self.message) {
                    // A published body is validated, but a damaged store can contain invalid JSON.
                    tracing::error!(id = %self.message.id, %error, "a stored body is not valid JSON; readers get it as text");
                    scratch.clear();
                    let body = Body::Text(String::from_utf8_lossy(self.message.body.as_bytes()).into_owned());
                    let told = Message { body, ..self.message.clone() };
                    serde_json::to_writer(&mut *scratch, &told).expect("a text is JSON");
                }
                let frame = Bytes::copy_from_slice(scratch);
                scratch.clear();
                scratch.shrink_to(FRAME_SCRATCH_BYTES);
                frame
            })
        })
    }

    /// The message's place in the log.
    pub fn offset(&self) -> Offset {
        self.message.id.offset
    }

    /// An upper bound of the bytes it occupies. It includes the frame even before the frame is encoded, so that a
    /// memory bound still holds after the message is read.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

/// An upper bound of a text's length as JSON.
fn json_length(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        0..0x20 => "\\u0000".len() - 1,
        b'"' | b'\\' => 1,
        _ => 0,
    };
    text.len() + text.bytes().map(escaped).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fresh_epoch;
    use app::wire::{ChannelName, Id, Kind, Sender, Time};
    use proptest::prelude::*;

    fn stored(name: &str, body: Body) -> Arc<Stored> {
        let id = Id { epoch: fresh_epoch(), offset: u64::MAX };
        let channel: ChannelName = "가".repeat(64).parse().unwrap();
        let from = Sender { id: "\u{1}".repeat(40), name: name.to_owned(), kind: Kind::Program };
        let key = Some(name.to_owned());
        Stored::new(Message { id, prev: Some(id), channel, time: Time(0), from, body, key })
    }

    #[test]
    fn a_body_that_is_to_be_json_and_is_none_is_told_as_text() {
        for damaged in ["", "{", "{\"a\":", "nul", "\u{0}"] {
            let frame: serde_json::Value =
                serde_json::from_slice(stored("n", Body::Json(damaged.into())).frame()).unwrap();
            assert_eq!(frame["body"], damaged, "{frame}");
        }
        assert!(stored("n", Body::Json("{\"a\": 1}".into())).frame().ends_with(b"\"body\":{\"a\":1}}"));
    }

    proptest! {
        #[test]
        fn a_message_weighs_as_much_as_it_takes_at_most(text in "[\\x00-\\x7f가-힣]{0,300}", name in ".{0,60}", kind in 0..3) {
            let body = match kind {
                0 => Body::Text(text),
                1 => Body::Json(serde_json::to_string(&[&text]).unwrap()),
                _ => Body::Binary(text.into_bytes()),
            };
            let size = body.as_bytes().len();
            let stored = stored(&name, body);
            prop_assert!(stored.frame().len() + size <= stored.weight(), "{} {}", stored.frame().len(), stored.weight());
        }
    }
}
