//! The text form of Socket.IO packets, protocol revision 5 and, for 2.x clients, revision 4. Binary attachments travel
//! in separate WebSocket or polling messages.

use super::{Body, limits::ATTACHMENTS, message::read_body};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The type of a packet ("Packet types" in the protocol). The numbers are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// A client asks to join a namespace, or the server confirms it.
    Connect = 0,
    /// Leave a namespace.
    Disconnect = 1,
    /// An event with arguments.
    Event = 2,
    /// The answer to an event that asked for an acknowledgement.
    Ack = 3,
    /// The server refuses to connect the client to a namespace; in revision 4, any error.
    ConnectError = 4,
    /// An event with some arguments sent as attachments.
    BinaryEvent = 5,
    /// An acknowledgement with some arguments sent as attachments.
    BinaryAck = 6,
}

/// A packet: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The packet's type.
    pub kind: PacketKind,
    /// Number of binary attachments that follow.
    pub attachments: usize,
    /// The namespace without its query, as the client wrote it. `/` is the default namespace.
    pub namespace: String,
    /// The query after the namespace's `?`. 2.x clients use it to send their name and other options.
    pub query: Option<String>,
    /// The acknowledgement id: an event asks for an answer with this id, and the answer repeats it.
    pub ack: Option<u64>,
    /// The JSON of the packet, exactly as it is on the wire.
    pub data: Option<String>,
}

/// Why a text is not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The text does not begin with 0 to 6.
    #[error("a packet begins with its type, 0 to 6")]
    Kind,
    /// The number of attachments is not from 1 to [`ATTACHMENTS`], or no `-` follows it.
    #[error("a binary packet has 1 to {ATTACHMENTS} attachments")]
    Attachments,
    /// The acknowledgement id is too large for a JavaScript number.
    #[error("the number of the acknowledgement is too large")]
    Ack,
    /// The JSON does not fit the packet's type.
    #[error("the packet's JSON is not what packets of its type carry")]
    Data,
}

/// Maximum digits of an acknowledgement id. JavaScript represents integers of 15 digits exactly.
const ACK_DIGITS: usize = 15;

impl PacketKind {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            b'0' => Self::Connect,
            b'1' => Self::Disconnect,
            b'2' => Self::Event,
            b'3' => Self::Ack,
            b'4' => Self::ConnectError,
            b'5' => Self::BinaryEvent,
            b'6' => Self::BinaryAck,
            _ => return None,
        })
    }

    fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }

    /// Whether a packet of this type can carry this JSON.
    fn carries(self, data: Option<&str>) -> bool {
        match self {
            Self::Connect => data.is_none_or(|data| data.starts_with('{') && is_json(data)),
            Self::Disconnect => data.is_none(),
            Self::ConnectError => data.is_some_and(|data| data.starts_with(['{', '"']) && is_json(data)),
            Self::Ack | Self::BinaryAck => data.is_some_and(|data| arguments(data).is_some()),
            Self::Event | Self::BinaryEvent => data.is_some_and(|data| {
                let name = arguments(data).and_then(|all| all.first().map(|name| name.get()));
                name.is_some_and(|name| name.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit()))
            }),
        }
    }
}

fn is_json(text: &str) -> bool {
    super::check_json(text).is_ok()
}

fn arguments(text: &str) -> Option<Vec<&RawValue>> {
    if !text.starts_with('[') || !is_json(text) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Splits a text after its leading digits.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

impl Packet {
    /// Makes a packet without attachments, query and acknowledgement id.
    pub fn new(kind: PacketKind, namespace: impl Into<String>, data: Option<String>) -> Self {
        Self { kind, attachments: 0, namespace: namespace.into(), query: None, ack: None, data }
    }

    /// Parses a packet.
    ///
    /// # Errors
    /// Returns an error if the text is not a valid packet.
    pub fn parse(text: &str) -> Result<Self, PacketError> {
        let kind = text.bytes().next().and_then(PacketKind::of).ok_or(PacketError::Kind)?;
        let mut rest = &text[1..];
        let mut attachments = 0;
        if kind.is_binary() {
            let (count, behind) = digits(rest);
            let count = count.parse().ok().filter(|count| (1..=ATTACHMENTS).contains(count));
            attachments = count.ok_or(PacketError::Attachments)?;
            rest = behind.strip_prefix('-').ok_or(PacketError::Attachments)?;
        }
        let (mut namespace, mut query) = ("/", None);
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
            if let Some((path, behind)) = namespace.split_once('?') {
                (namespace, query) = (path, Some(behind.to_owned()));
            }
        }
        let (number, data) = digits(rest);
        let ack = match number {
            "" => None,
            number if number.len() > ACK_DIGITS => return Err(PacketError::Ack),
            number => Some(number.parse().map_err(|_| PacketError::Ack)?),
        };
        let data = Some(data).filter(|data| !data.is_empty());
        if !kind.carries(data) {
            return Err(PacketError::Data);
        }
        Ok(Self { kind, attachments, namespace: namespace.into(), query, ack, data: data.map(str::to_owned) })
    }

    /// Encodes the packet as text.
    pub fn to_text(&self) -> String {
        let mut out = (self.kind as u8).to_string();
        if self.kind.is_binary() {
            out.push_str(&format!("{}-", self.attachments));
        }
        if self.namespace != "/" || self.query.is_some() {
            out.push_str(&self.namespace);
            if let Some(query) = &self.query {
                out.push('?');
                out.push_str(query);
            }
            out.push(',');
        }
        if let Some(ack) = self.ack {
            out.push_str(&ack.to_string());
        }
        out.push_str(self.data.as_deref().unwrap_or_default());
        out
    }

    /// Returns the name and the arguments of an event. Other packets have no name.
    pub fn event(&self) -> (Option<String>, Vec<&RawValue>) {
        let mut all = self.data.as_deref().and_then(arguments).unwrap_or_default();
        if !matches!(self.kind, PacketKind::Event | PacketKind::BinaryEvent) || all.is_empty() {
            return (None, all);
        }
        let name = all.remove(0).get();
        // The protocol allows a number as the name of an event.
        (Some(serde_json::from_str(name).unwrap_or_else(|_| name.to_owned())), all)
    }
}

#[derive(Deserialize)]
struct Placeholder {
    #[serde(rename = "_placeholder")]
    placeholder: bool,
    num: usize,
}

/// Reads an event's argument as a body: a string is text, an attachment is binary, any other value is JSON.
///
/// # Errors
/// Returns an error, worded for the sender, if the argument is not a valid body.
pub fn argument_body(argument: &RawValue, attachments: &[Vec<u8>]) -> Result<Body, String> {
    if attachments.is_empty() {
        return read_body(argument, None);
    }
    match serde_json::from_str::<Placeholder>(argument.get()) {
        Ok(Placeholder { placeholder: true, num }) => {
            attachments.get(num).cloned().map(Body::Binary).ok_or_else(|| format!("attachment {num} did not come"))
        }
        _ => Err("binary inside JSON is not a message: send it alone, or as base64 in a string".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Packet {
        Packet::parse(text).unwrap()
    }

    #[test]
    fn the_protocols_own_examples() {
        use PacketKind::{Ack, BinaryEvent, Connect, ConnectError, Disconnect, Event};
        for (text, kind, namespace, ack, data) in [
            ("0", Connect, "/", None, None),
            ("0/admin,{\"token\":\"123\"}", Connect, "/admin", None, Some("{\"token\":\"123\"}")),
            ("1/admin,", Disconnect, "/admin", None, None),
            ("2[\"foo\"]", Event, "/", None, Some("[\"foo\"]")),
            ("2/admin,456[\"project:delete\",123]", Event, "/admin", Some(456), Some("[\"project:delete\",123]")),
            ("3/admin,456[]", Ack, "/admin", Some(456), Some("[]")),
            (
                "4/admin,{\"message\":\"Not authorized\"}",
                ConnectError,
                "/admin",
                None,
                Some("{\"message\":\"Not authorized\"}"),
            ),
        ] {
            let expected = Packet { ack, ..Packet::new(kind, namespace, data.map(str::to_owned)) };
            assert_eq!(parse(text), expected, "{text}");
            assert_eq!(expected.to_text(), text);
        }
        let binary = parse("51-/admin,456[\"project:delete\",{\"_placeholder\":true,\"num\":0}]");
        assert_eq!((binary.kind, binary.attachments, binary.ack), (BinaryEvent, 1, Some(456)));
    }

    #[test]
    fn a_query_is_no_part_of_the_name() {
        let packet = parse("0/c/demo?after=k.1&x=%2C,");
        assert_eq!((packet.namespace.as_str(), packet.query.as_deref()), ("/c/demo", Some("after=k.1&x=%2C")));
        assert_eq!(parse("0/c/demo?last=1").query.as_deref(), Some("last=1"));
    }

    #[test]
    fn what_is_no_packet() {
        for (text, error) in [
            ("", PacketError::Kind),
            ("7", PacketError::Kind),
            ("é", PacketError::Kind),
            ("2{}", PacketError::Data),
            ("2[]", PacketError::Data),
            ("2[{}]", PacketError::Data),
            ("2", PacketError::Data),
            ("2abc[\"x\"]", PacketError::Data),
            ("1{}", PacketError::Data),
            ("0[]", PacketError::Data),
            ("5[\"x\"]", PacketError::Attachments),
            ("50-[\"x\"]", PacketError::Attachments),
            ("5999-[\"x\"]", PacketError::Attachments),
            ("21234567890123456[\"x\"]", PacketError::Ack),
        ] {
            assert_eq!(Packet::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn bodies() {
        let body = |text: &str, attachments: &[Vec<u8>]| {
            let packet = parse(text);
            let (name, arguments) = packet.event();
            assert_eq!(name.as_deref(), Some("message"));
            argument_body(arguments[0], attachments)
        };
        assert_eq!(body("2[\"message\",\"42\"]", &[]), Ok(Body::Text("42".into())));
        assert_eq!(body("2[\"message\",42]", &[]), Ok(Body::Json("42".into())));
        assert_eq!(body("2[\"message\",null]", &[]), Ok(Body::Json("null".into())));
        let attached = [vec![1, 2, 255]];
        let placeholder = "51-[\"message\",{\"_placeholder\":true,\"num\":0}]";
        assert_eq!(body(placeholder, &attached), Ok(Body::Binary(vec![1, 2, 255])));
        assert!(body("51-[\"message\",{\"_placeholder\":true,\"num\":3}]", &attached).is_err());
        assert!(body("51-[\"message\",{\"a\":{\"_placeholder\":true,\"num\":0}}]", &attached).is_err());
        // Without attachments, an object that looks like a placeholder is ordinary JSON.
        assert!(matches!(body("2[\"message\",{\"_placeholder\":true,\"num\":0}]", &[]), Ok(Body::Json(_))));
    }

    proptest! {
        #[test]
        fn what_parses_prints_the_same(text in "[0-6](1-)?(/[a-z/]{0,6}(\\?[a-z=&]{0,6})?,)?[0-9]{0,4}(\\[\"[a-z]{0,4}\"(,1)?\\])?") {
            if let Ok(packet) = Packet::parse(&text) {
                prop_assert_eq!(Packet::parse(&packet.to_text()), Ok(packet));
            }
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = Packet::parse(&text).map(|packet| packet.event().1.len());
        }
    }
}
