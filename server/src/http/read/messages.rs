//! `{"messages":[...],"cursor":"...","more":false,"missed":[]}`

use crate::{
    engine::Stored,
    hub::{Delivery, Encoder},
};
use app::wire::{Frame, Id, Missed};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// The answer to a poll.
#[derive(Debug)]
pub(super) struct Messages {
    /// Oldest first.
    pub(super) messages: Vec<Arc<Stored>>,
    /// Where to continue.
    pub(super) cursor: Id,
    /// Asking again at once gives more.
    pub(super) more: bool,
    /// What the reader will not get.
    pub(super) missed: Vec<Missed>,
}

impl Messages {
    /// The answer as JSON. The bytes of each message are those of every other transport.
    pub(super) fn to_json(&self) -> BytesMut {
        let size: usize = self.messages.iter().map(|stored| stored.frame().len() + 1).sum();
        let mut out = BytesMut::with_capacity(size + 256);
        out.put(&b"{\"messages\":["[..]);
        for (index, stored) in self.messages.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            out.put(&stored.frame()[..]);
        }
        let missed: Vec<Frame> = self.missed.iter().cloned().map(Frame::Missed).collect();
        let missed = serde_json::to_string(&missed).expect("missed frames are JSON");
        out.put(format!("],\"cursor\":\"{}\",\"more\":{},\"missed\":{missed}}}", self.cursor, self.more).as_bytes());
        out
    }
}

/// How deliveries look as an answer.
pub(super) struct JsonEncoder;

impl Encoder for JsonEncoder {
    fn name(&self) -> &'static str {
        "json"
    }

    fn encode(&self, deliveries: &[Delivery], to: Id, more: bool, out: &mut BytesMut) {
        let messages = deliveries.iter().filter_map(|delivery| match delivery {
            Delivery::Message(stored) => Some(Arc::clone(stored)),
            _ => None,
        });
        *out = Messages { messages: messages.collect(), cursor: to, more, missed: Vec::new() }.to_json();
    }

    fn heartbeat(&self, _: Id) -> Bytes {
        Bytes::new()
    }
}
