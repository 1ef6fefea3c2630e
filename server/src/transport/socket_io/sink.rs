//! The sink of one namespace, and how frames are written as events of Socket.IO.

use super::{
    namespaces::Event,
    outbound::{Out, Outbound},
};
use crate::{
    hub::{Chunk, Delivery, Encoder, PushResult, Sink},
    limits::OFFSET_NAMES,
    session::Outgoing,
};
use app::wire::{
    ChannelName, Frame, Id, Ref,
    limits::CHANNELS_PER_SUBSCRIPTION,
    socket_io::{Packet, PacketKind},
};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;
use tokio::sync::mpsc::WeakSender;

/// Replaces channel names that are too long for an offset. It is not a valid channel name.
const TOO_MANY: &str = "*";

/// Writes to one namespace of one connection.
pub(super) struct NamespaceSink {
    pub(super) outbound: Arc<Outbound>,
    /// The name as the client spells it. The client drops packets with another spelling.
    pub(super) namespace: String,
    /// The part of an offset that follows the cursor, if the client keeps offsets.
    pub(super) offset: Option<RecoveryOffset>,
    /// The event queue of the namespace. Once the client has left, no strong sender exists and nothing may be sent: the
    /// client would take it for part of its next visit.
    pub(super) way_in: WeakSender<Box<Event>>,
}

/// What a client sends back to recover: the cursor and, in the default namespace, the channels that it had subscribed
/// to. The client keeps all of it, because a restarted server remembers nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RecoveryOffset {
    names: String,
}

impl RecoveryOffset {
    /// The offset for these channels. If their names are too long, [`Self::parse`] refuses it and the client recovers
    /// nothing.
    pub(super) fn of(channels: &[ChannelName]) -> Self {
        let names: Vec<_> = channels.iter().map(ChannelName::as_str).collect();
        let names = names.join(",");
        Self { names: if names.len() <= OFFSET_NAMES { names } else { TOO_MANY.into() } }
    }

    /// Parses an offset that a client sent back.
    pub(super) fn parse(text: &str) -> Option<(Id, Vec<ChannelName>)> {
        let (cursor, names) = text.split_once(' ').unwrap_or((text, ""));
        let names = names.split(',').filter(|name| !name.is_empty()).map(str::parse).collect::<Result<_, _>>();
        let names: Vec<ChannelName> = names.ok()?;
        (names.len() <= CHANNELS_PER_SUBSCRIPTION).then_some((cursor.parse().ok()?, names))
    }

    /// The offset at a cursor, as JSON. Neither cursors nor names have characters to escape.
    fn at(&self, cursor: &str) -> String {
        let space = if self.names.is_empty() { "" } else { " " };
        format!("\"{cursor}{space}{}\"", self.names)
    }
}

impl NamespaceSink {
    fn packet(&self, kind: PacketKind, ack: Option<u64>, data: String) -> Out {
        Out::Text(Packet { ack, ..Packet::new(kind, self.namespace.as_str(), Some(data)) }.to_text())
    }

    /// An event with the frame as its argument, followed by the offset if the client keeps offsets.
    fn event(&self, record: &Record<'_>) -> Out {
        let Record { kind, cursor, json } = record;
        let offset = self.offset.as_ref().filter(|_| !cursor.is_empty()).map(|offset| offset.at(cursor));
        let offset = offset.map(|offset| format!(",{offset}")).unwrap_or_default();
        self.packet(PacketKind::Event, None, format!("[\"{kind}\",{json}{offset}]"))
    }

    /// A frame of the session: an acknowledgement if the client waits for one, else an event.
    fn line(&self, outgoing: &Outgoing) -> Out {
        if let Outgoing::Frame(frame) = outgoing
            && let Some((reference, answer)) = answer(frame)
        {
            return self.packet(PacketKind::Ack, reference.as_u64(), format!("[{answer}]"));
        }
        let mut record = BytesMut::new();
        Record::write(outgoing, &mut record);
        match Record::all(&record).next() {
            Some(record) => self.event(&record),
            None => self.packet(PacketKind::Event, None, "[\"error\",null]".into()),
        }
    }

    /// Sends frames. Returns whether nothing is left to send.
    pub(super) fn say(&self, all: &[Outgoing]) -> bool {
        self.has_left() || self.outbound.put(all.iter().map(|outgoing| self.line(outgoing)))
    }

    fn has_left(&self) -> bool {
        self.way_in.strong_count() == 0
    }

    /// Sends a packet that is not an event.
    pub(super) fn tell(&self, kind: PacketKind, data: Option<String>) {
        if self.has_left() {
            return;
        }
        self.outbound.put([Out::Text(Packet::new(kind, self.namespace.as_str(), data).to_text())]);
    }
}

/// The content of an acknowledgement, with the number of the packet that it answers.
fn answer(frame: &Frame) -> Option<(Ref, serde_json::Value)> {
    let mut answer = match frame {
        Frame::Ack(ack) => serde_json::to_value(ack),
        Frame::Error { reference: Some(_), .. } => serde_json::to_value(frame),
        _ => return None,
    }
    .expect("frames have string keys and no failing values");
    let fields = answer.as_object_mut()?;
    let reference = fields.remove("ref")?;
    if fields.remove("type").is_some() {
        answer = serde_json::json!({ "error": answer });
    }
    Some((reference, answer))
}

impl Sink for NamespaceSink {
    fn push(&self, chunk: &Chunk) -> PushResult {
        if !self.has_left() && self.outbound.put(Record::all(&chunk.bytes).map(|record| self.event(&record))) {
            PushResult::Written
        } else {
            PushResult::Behind
        }
    }

    fn heartbeat(&self, bytes: &Bytes) -> PushResult {
        self.push(&Chunk { bytes: bytes.clone(), messages: 0 })
    }
}

/// The parts of an event that are the same for every reader: kind, cursor, and the frame as JSON.
struct Record<'a> {
    kind: &'a str,
    cursor: &'a str,
    json: &'a str,
}

/// The byte between the parts of a record, and the byte after each record. JSON contains neither (RFC 8259, section 7).
const PART: u8 = 0x1f;
const END: u8 = 0x1e;

impl<'a> Record<'a> {
    fn write(outgoing: &Outgoing, out: &mut BytesMut) {
        let (kind, cursor) = match outgoing {
            Outgoing::Message(stored) => ("message", Some(stored.message.id)),
            Outgoing::Frame(frame @ (Frame::Cursor { cursor } | Frame::Behind { cursor, .. })) => {
                (frame.kind(), Some(*cursor))
            }
            Outgoing::Frame(frame) => (frame.kind(), None),
        };
        out.put(kind.as_bytes());
        out.put_u8(PART);
        out.put(cursor.map(|cursor| cursor.to_string()).unwrap_or_default().as_bytes());
        out.put_u8(PART);
        match outgoing {
            Outgoing::Message(stored) => out.put(&stored.frame()[..]),
            Outgoing::Frame(frame) => out.put(frame.to_json().as_bytes()),
        }
        out.put_u8(END);
    }

    fn all(bytes: &'a [u8]) -> impl Iterator<Item = Self> {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        text.split_terminator(char::from(END)).filter_map(|record| {
            let mut parts = record.splitn(3, char::from(PART));
            Some(Self { kind: parts.next()?, cursor: parts.next()?, json: parts.next()? })
        })
    }
}

/// Encodes deliveries as records for a [`NamespaceSink`].
pub(super) struct RecordEncoder;

impl Encoder for RecordEncoder {
    fn name(&self) -> &'static str {
        "socket.io"
    }

    fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
        for delivery in deliveries {
            Record::write(&Outgoing::from(delivery.clone()), out);
        }
    }

    fn heartbeat(&self, cursor: Id) -> Bytes {
        let mut out = BytesMut::new();
        Record::write(&Outgoing::Frame(Frame::Cursor { cursor }), &mut out);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_come_back() {
        let names: Vec<ChannelName> = ["온실", "b"].iter().map(|name| name.parse().unwrap()).collect();
        let back = |offset: &RecoveryOffset| serde_json::from_str::<String>(&offset.at("k.7")).unwrap();
        let text = back(&RecoveryOffset::of(&names));
        assert_eq!(RecoveryOffset::parse(&text), Some(("k.7".parse().unwrap(), names)));
        assert_eq!(RecoveryOffset::parse("k.7"), Some(("k.7".parse().unwrap(), Vec::new())));
        assert_eq!(RecoveryOffset::parse("7"), None);
        assert_eq!(RecoveryOffset::parse("k.7 a/b"), None);
        let long: Vec<ChannelName> = (0..9).map(|n| format!("{n}{}", "x".repeat(40)).parse().unwrap()).collect();
        assert_eq!(RecoveryOffset::parse(&back(&RecoveryOffset::of(&long))), None, "too long for an offset");
    }
}
