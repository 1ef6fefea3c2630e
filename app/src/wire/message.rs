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
    /// Opaque; the same for the same visitor or program.
    pub id: String,
    /// What to call them.
    pub name: String,
    /// A visitor, or a program.
    pub kind: Kind,
}

/// Round is a person, square is a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A visitor: somebody with a cookie.
    Person,
    /// Anything else.
    Program,
}

/// One entry of a channel. As JSON it is itself a frame, the same bytes on every transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id, and the cursor of whoever has read up to here.
    pub id: Id,
    /// The id of the message before it in its channel; `None` for the channel's first.
    pub prev: Option<Id>,
    /// Its channel.
    pub channel: ChannelName,
    /// When it was stored.
    pub time: Time,
    /// Who sent it.
    pub from: Sender,
    /// What it says.
    pub body: Body,
    /// The sender's idempotency key, so that a sender recognises its own.
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
    /// Only from JSON text: the body is kept as it is written there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        let body = read_body(&raw.body, raw.encoding.as_deref()).map_err(D::Error::custom)?;
        let Raw { id, prev, channel, time, from, key, .. } = raw;
        Ok(Self { id, prev, channel, time, from, body, key })
    }
}

/// The body of a frame: a string is text (or base64), any other JSON is JSON.
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
