//! The commands that a client sends on `/live`, with their JSON encoding.

use super::{Body, json::is_object, limits::REF_BYTES, message::read_body};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A command's `ref`: a string or a number of at most [`REF_BYTES`] bytes. The answer to the command repeats it.
pub type Ref = serde_json::Value;

/// A frame that a client sends on `/live`.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Publish a message.
    Publish(PublishCommand),
    /// Replace the subscribed channels. The new set takes effect at the cursor in the ack.
    Subscribe {
        /// Repeated in the ack.
        reference: Option<Ref>,
        /// The whole new set, not validated yet.
        channels: Vec<String>,
    },
    /// Tell the channel's readers that this sender is writing. Expires after [`super::limits::TYPING_SECONDS`].
    Typing {
        /// Repeated in the ack.
        reference: Option<Ref>,
        /// The channel's name, not validated yet.
        channel: String,
        /// `false` if the sender stopped writing.
        on: bool,
    },
    /// Ask for an ack, to measure the round trip.
    Ping {
        /// Repeated in the ack.
        reference: Option<Ref>,
    },
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishCommand {
    /// Repeated in the ack.
    pub reference: Option<Ref>,
    /// The channel's name, not validated yet.
    pub channel: String,
    /// The body of the message.
    pub body: Body,
    /// The idempotency key, not validated yet.
    pub key: Option<String>,
}

/// Why a frame is not a valid command.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// The `ref` of the refused command, if it could be read.
    pub reference: Option<Ref>,
    /// The explanation for the client.
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
    #[serde(default, deserialize_with = "present")]
    body: Option<Box<RawValue>>,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    on: Option<bool>,
}

/// Reads a `null` body as a present body; serde would read it as `None`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Command {
    /// Parses a frame from a client.
    ///
    /// # Errors
    /// Returns an error that says what is wrong with the frame.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let not = |why: String| CommandError { reference: None, message: format!("not a command: {why}") };
        if !is_object(text) {
            return Err(not("a command is a JSON object".into()));
        }
        let raw: RawCommand = serde_json::from_str(text).map_err(|error| not(error.to_string()))?;
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
            "typing" => {
                let channel = raw.channel.ok_or_else(|| refuse("typing needs a channel".into()))?;
                Ok(Self::Typing { reference, channel, on: raw.on.unwrap_or(true) })
            }
            "ping" => Ok(Self::Ping { reference }),
            other => Err(refuse(format!("unknown command {:?}", other.chars().take(40).collect::<String>()))),
        }
    }

    /// Encodes the command as JSON, for clients written in Rust.
    pub fn to_json(&self) -> String {
        let json = |value: serde_json::Value| value.to_string();
        match self {
            Self::Ping { reference } => json(serde_json::json!({"type": "ping", "ref": reference})),
            Self::Subscribe { reference, channels } => {
                json(serde_json::json!({"type": "subscribe", "ref": reference, "channels": channels}))
            }
            Self::Typing { reference, channel, on } => {
                json(serde_json::json!({"type": "typing", "ref": reference, "channel": channel, "on": on}))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_keep_their_ref_when_refused() {
        let error = Command::parse(r#"{"type":"publish","ref":7,"channel":"a"}"#).unwrap_err();
        assert_eq!(error.reference, Some(7.into()));
        assert_eq!(Command::parse("[]").unwrap_err().reference, None);
        assert!(Command::parse(r#"{"type":"dance","ref":"x"}"#).unwrap_err().message.contains("dance"));
    }

    #[test]
    fn a_ref_comes_back_as_it_was() {
        let command = Command::parse(r#"{"type":"ping","ref":0.9073038322028689}"#).unwrap();
        assert!(command.to_json().contains("0.9073038322028689"), "{}", command.to_json());
    }

    #[test]
    fn null_is_a_body_and_an_array_is_no_command() {
        let publish = Command::parse(r#"{"type":"publish","channel":"a","body":null}"#).unwrap();
        assert_eq!(Command::parse(&publish.to_json()), Ok(publish));
        assert!(Command::parse(r#"["ping"]"#).is_err());
    }

    #[test]
    fn typing_is_on_unless_it_says_otherwise() {
        let typing = Command::parse(r#"{"type":"typing","channel":"a"}"#).unwrap();
        assert_eq!(typing, Command::Typing { reference: None, channel: "a".into(), on: true });
        assert_eq!(Command::parse(&typing.to_json()), Ok(typing));
    }

    proptest! {
        #[test]
        fn text_and_bytes_survive(text in any::<String>(), bytes in any::<Vec<u8>>(), key in any::<Option<String>>()) {
            for body in [Body::Text(text), Body::Binary(bytes)] {
                let publish = PublishCommand { reference: Some(1.into()), channel: "a".into(), body, key: key.clone() };
                let command = Command::Publish(publish);
                prop_assert_eq!(Command::parse(&command.to_json()).unwrap(), command);
            }
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = Command::parse(&text);
        }
    }
}
