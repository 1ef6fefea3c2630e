//! The sink and the encoder of the readers in the simulation.

use super::dice::Dice;
use crate::hub::{Chunk, Delivery, Encoder, PushResult, Sink};
use app::wire::{Frame, Id};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Mutex;
use tokio::sync::Notify;

/// Collects what is pushed to a reader. At random it reports that the reader is behind.
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

    fn put(&self, bytes: &Bytes) -> PushResult {
        let mut state = self.state.lock().unwrap();
        state.0.extend_from_slice(bytes);
        self.filled.notify_one();
        if state.1.one_in(6) { PushResult::Behind } else { PushResult::Written }
    }
}

fn frame(line: &[u8]) -> Frame {
    Frame::parse(std::str::from_utf8(line).unwrap()).unwrap()
}

impl Sink for Inbox {
    fn push(&self, chunk: &Chunk) -> PushResult {
        self.put(&chunk.bytes)
    }

    fn heartbeat(&self, bytes: &Bytes) -> PushResult {
        self.put(bytes)
    }
}

/// Encodes one frame per line.
pub(super) struct Lines;

impl Encoder for Lines {
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

    fn heartbeat(&self, cursor: Id) -> Bytes {
        format!("{}\n", Frame::Cursor { cursor }.to_json()).into()
    }
}
