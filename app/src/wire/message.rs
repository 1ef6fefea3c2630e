//! Messages and their senders, with the JSON encoding that all transports share.

use super::{Body, ChannelName, Id, Time, compact_json};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::Error as _,
    ser::{Error as _, SerializeStruct},
};
use serde_json::value::RawValue;

/// Who sent a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sender {
    /// An opaque id that stays the same for the same visitor or program.
    pub id: String,
    /// The display name.
    pub name: String,
    /// Visitor or program.
    pub kind: Kind,
}

/// The kind of a sender. The page draws a person as a round node and a program as a square node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A visitor, recognised by a cookie.
    Person,
    /// A sender without a cookie.
    Program,
}

/// A message of a channel. Its JSON form is a frame, with the same bytes on every transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id, which is also the cursor of a reader that has read up to this message.
    pub id: Id,
    /// The id of the previous message in the channel; `None` for the first message.
    pub prev: Option<Id>,
    /// Its channel.
    pub channel: ChannelName,
    /// When it was stored.
    pub time: Time,
    /// Who sent it.
    pub from: Sender,
    /// The body.
    pub body: Body,
    /// The sender's idempotency key. Readers receive it so that a sender recognises its own message.
    pub key: Option<String>,
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Message", 9)?;
        out.serialize_field("type", "message")?;
        out.serialize_field("id", &self.id)?;
        out.serialize_field("prev", &self.prev)?;
        out.serialize_field("channel", &self.channel)?;
        out.serialize_field("time", &self.time)?;
        out.serialize_field("from", &self.from)?;
        if let Some(key) = &self.key {
            out.serialize_field("key", key)?;
        }
        match &self.body {
            Body::Text(text) => out.serialize_field("body", text)?,
            Body::Json(json) => {
                let raw = RawValue::from_string(compact_json(json).into_owned()).map_err(S::Error::custom)?;
                out.serialize_field("body", &raw)?;
            }
            Body::Binary(bytes) => {
                out.serialize_field("encoding", "base64")?;
                out.serialize_field("body", &BASE64_STANDARD.encode(bytes))?;
            }
        }
        out.end()
    }
}

#[derive(Deserialize)]
struct Raw {
    id: Id,
    prev: Option<Id>,
    channel: ChannelName,
    time: Time,
    from: Sender,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
    body: Box<RawValue>,
}

impl<'de> Deserialize<'de> for Message {
    /// Works only with JSON text, because the body keeps the exact JSON that was sent.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        let body = read_body(&raw.body, raw.encoding.as_deref()).map_err(D::Error::custom)?;
        let Raw { id, prev, channel, time, from, key, .. } = raw;
        Ok(Self { id, prev, channel, time, from, body, key })
    }
}

/// Reads the `body` field of a frame: a string is text (or base64 for binary), any other value is JSON.
pub(super) fn read_body(raw: &RawValue, encoding: Option<&str>) -> Result<Body, String> {
    let json = raw.get();
    match (json.starts_with('"'), encoding) {
        (true, Some("base64")) => {
            let text: String = serde_json::from_str(json).map_err(|e| e.to_string())?;
            BASE64_STANDARD.decode(text).map(Body::Binary).map_err(|_| "the body is not base64".into())
        }
        (_, Some(other)) => Err(format!("the encoding {other:?} is not known; only base64 on a string body is")),
        (true, None) => serde_json::from_str(json).map(Body::Text).map_err(|e| e.to_string()),
        (false, None) => super::check_json(json).map(|()| Body::Json(json.to_owned())),
    }
}
