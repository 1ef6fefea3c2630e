//! The frames that the server sends on every transport, with their JSON encoding.

use super::{ChannelName, ErrorCode, Id, Message, Ref, Sender, Time, json::is_object};
use serde::{Deserialize, Serialize, Serializer};

/// A frame that the server sends, on every transport: one flat JSON object with a `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A message.
    Message(Box<Message>),
    /// Messages are missing before the reader's next message.
    Missed(Missed),
    /// The server has sent everything up to this cursor. Sent when reading begins, when the reader is up to date, and
    /// as a heartbeat.
    Cursor {
        /// The position of the reader.
        cursor: Id,
    },
    /// The `cursor` frame for a reader that is not up to date.
    Behind {
        /// The position of the reader.
        cursor: Id,
        /// Number of messages after the cursor; [`super::limits::BEHIND_MOST`] means "at least that many".
        behind: u32,
    },
    /// Who is in a channel.
    Presence(PresenceUpdate),
    /// Who is writing in a channel.
    Typing(Typing),
    /// A command was carried out.
    Ack(Ack),
    /// A command was refused.
    Error {
        /// The command's `ref`, if it had one.
        reference: Option<Ref>,
        /// The code, for programs.
        code: ErrorCode,
        /// An explanation for people.
        message: String,
    },
    /// The server closes the connection.
    Bye {
        /// The WebSocket close code, on every transport.
        code: u16,
        /// Why the server closes.
        reason: String,
        /// How long to wait before reconnecting, in milliseconds.
        retry_ms: u64,
    },
}

/// Messages of a channel that this reader will not receive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The channel of the missing messages.
    pub channel: ChannelName,
    /// Why they are missing.
    pub reason: MissedReason,
    /// The reader's cursor; the missing messages come after it.
    pub from: Id,
    /// The end of the missing range; delivery continues after it.
    pub to: Id,
    /// The time of the last missing message, if the store knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_time: Option<Time>,
}

/// Why messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissedReason {
    /// They were older than the messages that the store keeps.
    Trimmed,
    /// The cursor is beyond the end of this store, which was restored, rolled back or lost its newest messages.
    Lost,
    /// The cursor comes from another server or from a lost store.
    UnknownCursor,
}

/// Who is in a channel now. Each visitor and each program counts once, however many connections it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceUpdate {
    /// The channel.
    pub channel: ChannelName,
    /// Number of visitors.
    pub people: u32,
    /// Number of programs.
    pub programs: u32,
    /// `true` if `joined` lists everybody in the channel, up to the limit of one frame, instead of only the arrivals
    /// since the previous frame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// The senders who joined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Sender>,
    /// The senders who left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Sender>,
}

/// Who is writing in a channel now. The list replaces the previous list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// The channel.
    pub channel: ChannelName,
    /// The senders who are writing.
    pub who: Vec<Sender>,
}

/// The answer to a command that was carried out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ack {
    /// The command's `ref`.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Ref>,
    /// `publish`: the message's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// `publish`: the message's channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    /// `publish`: when the message was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// `publish`: `true` if an earlier message with the same key was found and nothing was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<bool>,
    /// `subscribe`: the new set of channels takes effect after this cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Id>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Plain {
    Missed(Missed),
    Cursor {
        cursor: Id,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        behind: Option<u32>,
    },
    Presence(PresenceUpdate),
    Typing(Typing),
    Ack(Ack),
    Error {
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<Ref>,
        code: ErrorCode,
        message: String,
    },
    Bye {
        code: u16,
        reason: String,
        retry_ms: u64,
    },
}

/// The text is not a frame of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("not a frame: {0}")]
pub struct FrameError(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

impl Frame {
    /// Parses a frame from a server.
    ///
    /// # Errors
    /// Returns an error if the text is not JSON, its `type` is unknown, or a field is missing.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        if !is_object(text) {
            return Err(FrameError(serde::de::Error::custom("a frame is a JSON object")));
        }
        if serde_json::from_str::<Peek<'_>>(text)?.kind == "message" {
            return Ok(Self::Message(Box::new(serde_json::from_str(text)?)));
        }
        Ok(match serde_json::from_str(text)? {
            Plain::Missed(missed) => Self::Missed(missed),
            Plain::Cursor { cursor, behind: None } => Self::Cursor { cursor },
            Plain::Cursor { cursor, behind: Some(behind) } => Self::Behind { cursor, behind },
            Plain::Presence(presence) => Self::Presence(presence),
            Plain::Typing(typing) => Self::Typing(typing),
            Plain::Ack(ack) => Self::Ack(ack),
            Plain::Error { reference, code, message } => Self::Error { reference, code, message },
            Plain::Bye { code, reason, retry_ms } => Self::Bye { code, reason, retry_ms },
        })
    }

    /// Returns the frame's `type`, which is also its SSE event name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Missed(_) => "missed",
            Self::Cursor { .. } | Self::Behind { .. } => "cursor",
            Self::Presence(_) => "presence",
            Self::Typing(_) => "typing",
            Self::Ack(_) => "ack",
            Self::Error { .. } => "error",
            Self::Bye { .. } => "bye",
        }
    }

    /// Encodes the frame as JSON on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("frames have string keys and no failing values")
    }
}

impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plain = match self.clone() {
            Self::Message(message) => return message.serialize(serializer),
            Self::Missed(missed) => Plain::Missed(missed),
            Self::Cursor { cursor } => Plain::Cursor { cursor, behind: None },
            Self::Behind { cursor, behind } => Plain::Cursor { cursor, behind: Some(behind) },
            Self::Presence(presence) => Plain::Presence(presence),
            Self::Typing(typing) => Plain::Typing(typing),
            Self::Ack(ack) => Plain::Ack(ack),
            Self::Error { reference, code, message } => Plain::Error { reference, code, message },
            Self::Bye { code, reason, retry_ms } => Plain::Bye { code, reason, retry_ms },
        };
        plain.serialize(serializer)
    }
}

/// An entry of the list of channels: in `GET /` as JSON, and as the SSE event `channel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelEntry {
    /// The channel's name.
    pub channel: ChannelName,
    /// The channel's newest message.
    pub last: Message,
    /// Messages in each minute of the past hour, oldest first; the last number is the current minute.
    pub pace: Vec<u32>,
    /// Number of connections that read the channel now.
    pub here: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Body, Kind, Sender};
    use proptest::prelude::*;

    fn message(body: Body) -> Message {
        Message {
            id: "k3.1042".parse().unwrap(),
            prev: "k3.1039".parse().ok(),
            channel: "온실-3동".parse().unwrap(),
            time: "2026-11-22T05:06:07.089Z".parse().unwrap(),
            from: Sender { id: "p7f2".into(), name: "esp32-03".into(), kind: Kind::Program },
            body,
            key: None,
        }
    }

    #[test]
    fn a_message_is_the_frame_of_the_protocol() {
        let frame = Frame::Message(Box::new(message(Body::Json("{ \"temp\": 24.8 }".into()))));
        let expected = r#"{"type":"message","id":"k3.1042","prev":"k3.1039","channel":"온실-3동","time":"2026-11-22T05:06:07.089Z","from":{"id":"p7f2","name":"esp32-03","kind":"program"},"body":{"temp":24.8}}"#;
        assert_eq!(frame.to_json(), expected);
        let Frame::Message(read) = Frame::parse(expected).unwrap() else { panic!("a message") };
        assert_eq!(read.body, Body::Json("{\"temp\":24.8}".into()));
    }

    proptest! {
        #[test]
        fn text_and_bytes_survive(text in any::<String>(), bytes in any::<Vec<u8>>(), key in any::<Option<String>>()) {
            for body in [Body::Text(text), Body::Binary(bytes)] {
                let frame = Frame::Message(Box::new(Message { key: key.clone(), ..message(body) }));
                prop_assert_eq!(Frame::parse(&frame.to_json()).unwrap(), frame);
            }
        }

        #[test]
        fn parsers_never_panic(text in any::<String>()) {
            let _ = Frame::parse(&text);
        }
    }
}
