use super::dice::Dice;
use crate::hub::{Chunk, Delivery, Form, Outlet, Then};
use app::wire::{Frame, Id};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Mutex;
use tokio::sync::Notify;

/// What is pushed to a reader; at times it is full.
pub(super) struct Inbox {
    state: Mutex<(Vec<u8>, Dice)>,
    filled: Notify,
}

impl Inbox {
    pub(super) fn new(dice: Dice) -> Self {
        Self { state: Mutex::new((Vec::new(), dice)), filled: Notify::new() }
    }

    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    pub(super) fn take(&self) -> Vec<Frame> {
        let bytes = std::mem::take(&mut self.state.lock().unwrap().0);
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(frame).collect()
    }

    fn put(&self, bytes: &Bytes) -> Then {
        let mut state = self.state.lock().unwrap();
        state.0.extend_from_slice(bytes);
        self.filled.notify_one();
        if state.1.one_in(6) { Then::Leaves } else { Then::Stays }
    }
}

fn frame(line: &[u8]) -> Frame {
    Frame::parse(std::str::from_utf8(line).unwrap()).unwrap()
}

impl Outlet for Inbox {
    fn push(&self, chunk: &Chunk) -> Then {
        self.put(&chunk.bytes)
    }

    fn beat(&self, bytes: &Bytes) -> Then {
        self.put(bytes)
    }
}

/// A frame on each line.
pub(super) struct Lines;

impl Form for Lines {
    fn name(&self) -> &'static str {
        "lines"
    }

    fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
        for delivery in deliveries {
            match delivery {
                Delivery::Message(stored) => out.put(&stored.frame()[..]),
                Delivery::Presence(presence) => out.put(Frame::Presence(presence.clone()).to_json().as_bytes()),
                Delivery::Typing(typing) => out.put(Frame::Typing(typing.clone()).to_json().as_bytes()),
                other => panic!("{other:?} is never pushed"),
            }
            out.put_u8(b'\n');
        }
    }

    fn beat(&self, cursor: Id) -> Bytes {
        format!("{}\n", Frame::Cursor { cursor }.to_json()).into()
    }
}
