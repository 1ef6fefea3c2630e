//! The body of a message: text, JSON or binary, chosen from the content type of a publish request.

use super::json::check_json;

/// The body of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Text, exactly as it was sent.
    Text(String),
    /// One JSON value, exactly as it was sent, including its white space.
    Json(String),
    /// Raw bytes. Frames carry them as base64.
    Binary(Vec<u8>),
}

/// How to read the bytes of a body, according to its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentKind {
    /// `application/json`: the bytes must be valid JSON.
    Json,
    /// `text/plain`: the bytes must be UTF-8 text.
    Text,
    /// `application/octet-stream`: the bytes are binary.
    Binary,
    /// Any other content type, or none: JSON if the bytes parse as an object, array or number, else text, else binary.
    Guess,
}

/// The parts of a `Content-Type` that publishing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    /// `type/subtype`, as the sender wrote it.
    pub essence: &'a str,
    /// The `charset` parameter.
    pub charset: Option<&'a str>,
}

/// Why the bytes do not match their content type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body was sent as JSON but is not valid JSON.
    #[error("the body was sent as application/json but is not JSON: {0}")]
    NotJson(String),
    /// The body was sent as text but is not UTF-8.
    #[error("the body was sent as text but is not UTF-8; send it as application/octet-stream")]
    NotUtf8,
    /// The body was sent in a character set other than UTF-8.
    #[error("the body's charset is {0}; Baro takes UTF-8")]
    Charset(String),
}

impl ContentKind {
    /// Chooses how to read a body from its content type.
    ///
    /// # Errors
    /// Returns an error if the charset is not UTF-8, unless the type is `application/octet-stream`.
    pub fn of(media: Option<MediaType<'_>>) -> Result<Self, BodyError> {
        let Some(media) = media else { return Ok(Self::Guess) };
        let essence = media.essence.to_ascii_lowercase();
        let kind = match essence.as_str() {
            "application/json" => Self::Json,
            "text/plain" => Self::Text,
            "application/octet-stream" => return Ok(Self::Binary),
            _ => Self::Guess,
        };
        match media.charset {
            Some(charset) if !["utf-8", "utf8", "us-ascii"].contains(&charset.to_ascii_lowercase().as_str()) => {
                Err(BodyError::Charset(charset.chars().take(40).collect()))
            }
            _ => Ok(kind),
        }
    }
}

impl Body {
    /// Reads bytes according to their kind. Undeclared bytes that are not UTF-8 are kept as binary, so that no byte is
    /// replaced.
    ///
    /// # Errors
    /// Returns an error if the bytes do not match the declared kind.
    pub fn read(kind: ContentKind, bytes: Vec<u8>) -> Result<Self, BodyError> {
        if kind == ContentKind::Binary {
            return Ok(Self::Binary(bytes));
        }
        let text = match (String::from_utf8(bytes), kind) {
            (Ok(text), _) => text,
            (Err(error), ContentKind::Guess) => return Ok(Self::Binary(error.into_bytes())),
            (Err(_), ContentKind::Json) => return Err(BodyError::NotJson("not UTF-8".into())),
            (Err(_), _) => return Err(BodyError::NotUtf8),
        };
        match kind {
            ContentKind::Json => match check_json(&text) {
                Ok(()) => Ok(Self::Json(text)),
                Err(why) => Err(BodyError::NotJson(why)),
            },
            ContentKind::Guess => Ok(Self::guess(text)),
            ContentKind::Text | ContentKind::Binary => Ok(Self::Text(text)),
        }
    }

    /// Reads text as JSON if it is an object, an array or a number, else as plain text.
    pub fn guess(text: String) -> Self {
        let first = text.bytes().find(|b| !b.is_ascii_whitespace());
        let may_be_json = matches!(first, Some(b'{' | b'[' | b'-' | b'0'..=b'9'));
        if may_be_json && check_json(&text).is_ok() { Self::Json(text) } else { Self::Text(text) }
    }

    /// Returns the bytes as they were sent.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Json(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: ContentKind, text: &str) -> Result<Body, BodyError> {
        Body::read(kind, text.as_bytes().to_vec())
    }

    #[test]
    fn undeclared_bodies_are_json_only_where_nobody_would_mind() {
        for json in ["{\"a\":1}", " [1]", "42", "-1.5e3"] {
            assert_eq!(read(ContentKind::Guess, json), Ok(Body::Json(json.into())));
        }
        for text in ["hello", "true", "null", "\"quoted\"", "{not json", "010", "", "a=1&b=2"] {
            assert_eq!(read(ContentKind::Guess, text), Ok(Body::Text(text.into())));
        }
        assert_eq!(Body::read(ContentKind::Guess, vec![0xff]), Ok(Body::Binary(vec![0xff])));
    }

    #[test]
    fn declared_bodies_are_held_to_it() {
        assert_eq!(read(ContentKind::Text, "42"), Ok(Body::Text("42".into())));
        assert_eq!(read(ContentKind::Json, "\"x\""), Ok(Body::Json("\"x\"".into())));
        assert!(matches!(read(ContentKind::Json, "{"), Err(BodyError::NotJson(_))));
        assert_eq!(Body::read(ContentKind::Text, vec![0xff]), Err(BodyError::NotUtf8));
        assert_eq!(read(ContentKind::Binary, "x"), Ok(Body::Binary(b"x".to_vec())));
    }

    #[test]
    fn content_types() {
        let of = |essence, charset| ContentKind::of(Some(MediaType { essence, charset }));
        assert_eq!(of("Application/JSON", None), Ok(ContentKind::Json));
        assert_eq!(of("text/plain", Some("UTF-8")), Ok(ContentKind::Text));
        assert_eq!(of("application/x-www-form-urlencoded", None), Ok(ContentKind::Guess));
        assert_eq!(of("text/plain", Some("euc-kr")), Err(BodyError::Charset("euc-kr".into())));
    }
}
