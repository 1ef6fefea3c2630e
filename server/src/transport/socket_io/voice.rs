use super::outbound::{Out, Outbound};
use crate::{
    hub::{Chunk, Delivery, Form, Outlet, Then},
    session::Line as Said,
};
use app::wire::{
    ChannelName, Frame, Id, Ref,
    limits::CHANNELS_PER_SUBSCRIPTION,
    socket_io::{Packet, PacketKind},
};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Stands for names that are too many: no channel is called so.
const TOO_MANY: &str = "*";
/// Bytes of channel names an offset may carry.
const OFFSET_NAMES: usize = 256;

/// How one namespace of one connection speaks.
pub(super) struct Voice {
    pub(super) outbound: Arc<Outbound>,
    /// As the client spells it: it drops what is spelled otherwise.
    pub(super) namespace: String,
    /// What the offset behind each message has beside its cursor, if the client keeps offsets.
    pub(super) offset: Option<Offset>,
    /// The client has left: it would take what it hears for something it hears anew.
    pub(super) left: Arc<AtomicBool>,
}

/// What a client that recovers by itself gives back: the cursor and, where the namespace is no channel, the channels it
/// had subscribed to. All of it, because a server that was started again remembers nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offset {
    names: String,
}

impl Offset {
    /// For these channels; where they are too many to be carried along, one that does not come back as an offset.
    pub(super) fn of(channels: &[ChannelName]) -> Self {
        let names: Vec<_> = channels.iter().map(ChannelName::as_str).collect();
        let names = names.join(",");
        Self { names: if names.len() <= OFFSET_NAMES { names } else { TOO_MANY.into() } }
    }

    /// Reads one that came back.
    pub(super) fn parse(text: &str) -> Option<(Id, Vec<ChannelName>)> {
        let (cursor, names) = text.split_once(' ').unwrap_or((text, ""));
        let names = names.split(',').filter(|name| !name.is_empty()).map(str::parse).collect::<Result<_, _>>();
        let names: Vec<ChannelName> = names.ok()?;
        (names.len() <= CHANNELS_PER_SUBSCRIPTION).then_some((cursor.parse().ok()?, names))
    }

    /// As JSON: neither cursors nor names have anything to escape.
    fn at(&self, cursor: &str) -> String {
        let space = if self.names.is_empty() { "" } else { " " };
        format!("\"{cursor}{space}{}\"", self.names)
    }
}

impl Voice {
    fn packet(&self, kind: PacketKind, ack: Option<u64>, data: String) -> Out {
        Out::Text(Packet { ack, ..Packet::new(kind, self.namespace.as_str(), Some(data)) }.to_text())
    }

    /// An event with one argument, after which the client's cursor is `cursor`.
    fn event(&self, record: &Record<'_>) -> Out {
        let Record { kind, cursor, json } = record;
        let offset = self.offset.as_ref().filter(|_| !cursor.is_empty()).map(|offset| offset.at(cursor));
        let offset = offset.map(|offset| format!(",{offset}")).unwrap_or_default();
        self.packet(PacketKind::Event, None, format!("[\"{kind}\",{json}{offset}]"))
    }

    /// A line of the session: an answer where the client waits for one, else an event.
    fn line(&self, line: &Said) -> Out {
        if let Said::Frame(frame) = line
            && let Some((reference, answer)) = answer(frame)
        {
            return self.packet(PacketKind::Ack, reference.as_u64(), format!("[{answer}]"));
        }
        let mut record = BytesMut::new();
        Record::write(line, &mut record);
        match Record::all(&record).next() {
            Some(record) => self.event(&record),
            None => self.packet(PacketKind::Event, None, "[\"error\",null]".into()),
        }
    }

    /// Says lines; whether all of them went out.
    pub(super) fn say(&self, lines: &[Said]) -> bool {
        self.has_left() || self.outbound.put(lines.iter().map(|line| self.line(line)))
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// Sends a packet that is no event.
    pub(super) fn tell(&self, kind: PacketKind, data: Option<String>) {
        if self.has_left() {
            return;
        }
        self.outbound.put([Out::Text(Packet::new(kind, self.namespace.as_str(), data).to_text())]);
    }
}

/// What an acknowledgement carries, with the number it goes to.
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

impl Outlet for Voice {
    fn push(&self, chunk: &Chunk) -> Then {
        if !self.has_left() && self.outbound.put(Record::all(&chunk.bytes).map(|record| self.event(&record))) {
            Then::Stays
        } else {
            Then::Leaves
        }
    }

    fn beat(&self, bytes: &Bytes) -> Then {
        self.push(&Chunk { bytes: bytes.clone(), messages: 0 })
    }
}

/// What an event is made of, the same for every reader: kind, cursor, and the frame as it is everywhere.
struct Record<'a> {
    kind: &'a str,
    cursor: &'a str,
    json: &'a str,
}

/// Between the parts of a record and behind each record: JSON has neither of them (RFC 8259, section 7).
const PART: u8 = 0x1f;
const END: u8 = 0x1e;

impl<'a> Record<'a> {
    fn write(line: &Said, out: &mut BytesMut) {
        let (kind, cursor) = match line {
            Said::Stored(stored) => ("message", Some(stored.message.id)),
            Said::Frame(frame @ (Frame::Cursor { cursor } | Frame::Behind { cursor, .. })) => {
                (frame.kind(), Some(*cursor))
            }
            Said::Frame(frame) => (frame.kind(), None),
        };
        out.put(kind.as_bytes());
        out.put_u8(PART);
        out.put(cursor.map(|cursor| cursor.to_string()).unwrap_or_default().as_bytes());
        out.put_u8(PART);
        match line {
            Said::Stored(stored) => out.put(&stored.frame()[..]),
            Said::Frame(frame) => out.put(frame.to_json().as_bytes()),
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

/// How deliveries look to [`Voice`].
pub(super) struct Records;

impl Form for Records {
    fn name(&self) -> &'static str {
        "socket.io"
    }

    fn encode(&self, deliveries: &[Delivery], _: Id, _: bool, out: &mut BytesMut) {
        for delivery in deliveries {
            Record::write(&Said::from(delivery.clone()), out);
        }
    }

    fn beat(&self, cursor: Id) -> Bytes {
        let mut out = BytesMut::new();
        Record::write(&Said::Frame(Frame::Cursor { cursor }), &mut out);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_come_back() {
        let names: Vec<ChannelName> = ["온실", "b"].iter().map(|name| name.parse().unwrap()).collect();
        let back = |offset: &Offset| serde_json::from_str::<String>(&offset.at("k.7")).unwrap();
        let text = back(&Offset::of(&names));
        assert_eq!(Offset::parse(&text), Some(("k.7".parse().unwrap(), names)));
        assert_eq!(Offset::parse("k.7"), Some(("k.7".parse().unwrap(), Vec::new())));
        assert_eq!(Offset::parse("7"), None);
        assert_eq!(Offset::parse("k.7 a/b"), None);
        let long: Vec<ChannelName> = (0..9).map(|n| format!("{n}{}", "x".repeat(40)).parse().unwrap()).collect();
        assert_eq!(Offset::parse(&back(&Offset::of(&long))), None, "too many to be carried along");
    }
}
