use super::{ChannelName, ErrorCode, Id, Message, Ref, Sender, Time, json::is_object};
use serde::{Deserialize, Serialize, Serializer};

/// What the server sends, on every transport: one flat JSON object with `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A message.
    Message(Box<Message>),
    /// History was lost before the reader's next message.
    Missed(Missed),
    /// Everything up to here was handed out: where reading begins, when it is up to date, and as heartbeat.
    Cursor {
        /// Where the reader is.
        cursor: Id,
    },
    /// A `cursor` of a reader that is not up to date.
    Behind {
        /// Where the reader is.
        cursor: Id,
        /// Messages that lie ahead of it; [`super::limits::BEHIND_MOST`] means so many or more.
        behind: u32,
    },
    /// Who is in a channel.
    Presence(Presence),
    /// Who is writing in a channel.
    Typing(Typing),
    /// A command was carried out.
    Ack(Ack),
    /// A command was refused.
    Error {
        /// Of the command, if it had one.
        reference: Option<Ref>,
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
    },
    /// The server says goodbye.
    Bye {
        /// A WebSocket close code.
        code: u16,
        /// Why.
        reason: String,
        /// When to come back, in milliseconds.
        retry_ms: u64,
    },
}

/// Messages of a channel that this reader will not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The channel they were in.
    pub channel: ChannelName,
    /// Why they are gone.
    pub reason: MissedReason,
    /// The reader's cursor: they came after it.
    pub from: Id,
    /// They came before this one; delivery goes on after it.
    pub to: Id,
    /// The time of the last message known to be gone, if the store knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_time: Option<Time>,
}

/// Why messages are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissedReason {
    /// They were older than what is kept.
    Trimmed,
    /// The cursor is beyond what this store holds: it was restored, rolled back or lost its tail.
    Lost,
    /// The cursor was made by another server or an unknown store.
    UnknownCursor,
}

/// Who is in a channel now: each visitor and each program counts once, however many connections it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The channel.
    pub channel: ChannelName,
    /// How many visitors.
    pub people: u32,
    /// How many programs.
    pub programs: u32,
    /// `joined` is everybody there, as far as one frame lists them, and not only who came since the last frame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// Who came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Sender>,
    /// Who went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Sender>,
}

/// Who is writing in a channel now; the list replaces the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// The channel.
    pub channel: ChannelName,
    /// Who.
    pub who: Vec<Sender>,
}

/// The answer to a command that was carried out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ack {
    /// Of the command.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Ref>,
    /// `publish`: the message's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// `publish`: its channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    /// `publish`: when it was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// `publish`: it was there already, under the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<bool>,
    /// `subscribe`: the new set holds from here on.
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
    Presence(Presence),
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

/// The text is no frame of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("not a frame: {0}")]
pub struct FrameError(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

impl Frame {
    /// Reads one frame as it comes from a server.
    ///
    /// # Errors
    /// The text is not JSON, or its `type` is unknown or lacks a field.
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

    /// The frame's `type`, which is also its SSE event name.
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

    /// The frame as JSON on one line.
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

/// One line of the list of channels: `GET /` as JSON, and as SSE event `channel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelEntry {
    /// Its name.
    pub channel: ChannelName,
    /// Its newest message.
    pub last: Message,
    /// Messages per minute of the past hour, oldest first; the last one is the current minute.
    pub pace: Vec<u32>,
    /// Connections that watch it now.
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
