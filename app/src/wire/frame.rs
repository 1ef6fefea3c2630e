use super::{Body, ChannelName, ErrorCode, Id, Message, Time, limits::REF_BYTES, message::read_body};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// A command's `ref`, echoed in its answer: a string or a number, at most [`REF_BYTES`] bytes.
pub type Ref = serde_json::Value;

/// What the server sends, on every transport: one flat JSON object with `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A message.
    Message(Box<Message>),
    /// History was lost before the reader's next message.
    Missed(Missed),
    /// The heartbeat: everything up to here was handed out.
    Cursor {
        /// Where the reader is.
        cursor: Id,
    },
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
    },
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
        if serde_json::from_str::<Peek<'_>>(text)?.kind == "message" {
            return Ok(Self::Message(Box::new(serde_json::from_str(text)?)));
        }
        Ok(match serde_json::from_str(text)? {
            Plain::Missed(missed) => Self::Missed(missed),
            Plain::Cursor { cursor } => Self::Cursor { cursor },
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
            Self::Cursor { .. } => "cursor",
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
            Self::Cursor { cursor } => Plain::Cursor { cursor },
            Self::Ack(ack) => Plain::Ack(ack),
            Self::Error { reference, code, message } => Plain::Error { reference, code, message },
            Self::Bye { code, reason, retry_ms } => Plain::Bye { code, reason, retry_ms },
        };
        plain.serialize(serializer)
    }
}

/// What a client may say on `/live`.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Publish a message.
    Publish(PublishCommand),
    /// Replace the set of channels, from the cursor in the ack on.
    Subscribe {
        /// Echoed in the ack.
        reference: Option<Ref>,
        /// The whole new set.
        channels: Vec<String>,
    },
    /// Answer with an ack: for the round trip.
    Ping {
        /// Echoed in the ack.
        reference: Option<Ref>,
    },
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishCommand {
    /// Echoed in the ack.
    pub reference: Option<Ref>,
    /// Where to; checked by whoever carries it out.
    pub channel: String,
    /// What it says.
    pub body: Body,
    /// Idempotency key.
    pub key: Option<String>,
}

/// Why a frame is no command; carries the `ref` if one could be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// Of the refused command.
    pub reference: Option<Ref>,
    /// What to tell the client.
    pub message: String,
}

#[derive(Deserialize)]
struct RawCommand {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "ref", default)]
    reference: Option<Ref>,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    channels: Option<Vec<String>>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    key: Option<String>,
}

impl Command {
    /// Reads one frame of a client.
    ///
    /// # Errors
    /// Says what the client got wrong.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let raw: RawCommand = serde_json::from_str(text)
            .map_err(|error| CommandError { reference: None, message: format!("not a command: {error}") })?;
        let reference = match raw.reference {
            None => None,
            Some(r @ (Ref::Number(_) | Ref::String(_))) if r.to_string().len() <= REF_BYTES => Some(r),
            Some(_) => {
                let message = "ref is a number or a short string".into();
                return Err(CommandError { reference: None, message });
            }
        };
        let refuse = |message: String| CommandError { reference: reference.clone(), message };
        match raw.kind.as_str() {
            "publish" => {
                let channel = raw.channel.ok_or_else(|| refuse("publish needs a channel".into()))?;
                let body = raw.body.ok_or_else(|| refuse("publish needs a body".into()))?;
                let body = read_body(&body, raw.encoding.as_deref()).map_err(refuse)?;
                Ok(Self::Publish(PublishCommand { reference, channel, body, key: raw.key }))
            }
            "subscribe" => {
                let channels = raw.channels.ok_or_else(|| refuse("subscribe needs channels".into()))?;
                Ok(Self::Subscribe { reference, channels })
            }
            "ping" => Ok(Self::Ping { reference }),
            other => Err(refuse(format!("unknown command {:?}", other.chars().take(40).collect::<String>()))),
        }
    }

    /// The command as JSON, for clients written in Rust.
    pub fn to_json(&self) -> String {
        let json = |value: serde_json::Value| value.to_string();
        match self {
            Self::Ping { reference } => json(serde_json::json!({"type": "ping", "ref": reference})),
            Self::Subscribe { reference, channels } => {
                json(serde_json::json!({"type": "subscribe", "ref": reference, "channels": channels}))
            }
            Self::Publish(publish) => publish.to_json(),
        }
    }
}

impl PublishCommand {
    fn to_json(&self) -> String {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let quote = |text: &str| serde_json::Value::from(text).to_string();
        let mut out = format!("{{\"type\":\"publish\",\"channel\":{}", quote(&self.channel));
        if let Some(reference) = &self.reference {
            out.push_str(&format!(",\"ref\":{reference}"));
        }
        if let Some(key) = &self.key {
            out.push_str(&format!(",\"key\":{}", quote(key)));
        }
        let body = match &self.body {
            Body::Text(text) => quote(text),
            Body::Json(json) => super::compact_json(json).into_owned(),
            Body::Binary(bytes) => {
                out.push_str(",\"encoding\":\"base64\"");
                quote(&BASE64_STANDARD.encode(bytes))
            }
        };
        out.push_str(&format!(",\"body\":{body}}}"));
        out
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
    use crate::wire::{Kind, Sender};
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

    #[test]
    fn commands_keep_their_ref_when_refused() {
        let error = Command::parse(r#"{"type":"publish","ref":7,"channel":"a"}"#).unwrap_err();
        assert_eq!(error.reference, Some(7.into()));
        assert_eq!(Command::parse("[]").unwrap_err().reference, None);
        assert!(Command::parse(r#"{"type":"dance","ref":"x"}"#).unwrap_err().message.contains("dance"));
    }

    proptest! {
        #[test]
        fn text_and_bytes_survive(text in any::<String>(), bytes in any::<Vec<u8>>(), key in any::<Option<String>>()) {
            for body in [Body::Text(text), Body::Binary(bytes)] {
                let frame = Frame::Message(Box::new(Message { key: key.clone(), ..message(body.clone()) }));
                prop_assert_eq!(Frame::parse(&frame.to_json()).unwrap(), frame);
                let publish = PublishCommand { reference: Some(1.into()), channel: "a".into(), body, key: key.clone() };
                let command = Command::Publish(publish);
                prop_assert_eq!(Command::parse(&command.to_json()).unwrap(), command);
            }
        }

        #[test]
        fn parsers_never_panic(text in any::<String>()) {
            let _ = Frame::parse(&text);
            let _ = Command::parse(&text);
        }
    }
}
