//! The query parameters of a reader, such as `after`, `limit` and `wait`.

use super::{
    ErrorCode, Id, IdError,
    limits::{DEFAULT_LIMIT, MAX_LIMIT, MAX_WAIT_SECONDS, SENDER_NAME_CHARS},
};
use std::{borrow::Cow, time::Duration};

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next message that is published.
    Now,
    /// After this cursor.
    After(Id),
    /// With the oldest message in the store.
    Earliest,
    /// With this number of newest messages.
    Last(usize),
}

/// How messages are encoded for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Complete frames as JSON.
    Frames,
    /// Only the bodies, exactly as they were sent (`format=body`).
    Bodies,
}

/// The kind of answer that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// The HTML page.
    Html,
    /// A stream of server-sent events.
    Sse,
    /// A JSON document.
    Json,
}

/// The parameters of a reader, the same on `/c`, on `/live` and on every transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadParams {
    /// Where to start; `None` selects the default of the endpoint.
    pub start: Option<Start>,
    /// Ask for history before this id instead of reading forward.
    pub before: Option<Id>,
    /// Maximum number of messages in one answer.
    pub limit: usize,
    /// How long a long poll waits for a message.
    pub wait: Duration,
    /// Complete frames or only bodies.
    pub format: Format,
    /// The kind of answer; overrides the `Accept` header.
    pub representation: Option<Representation>,
    /// The name of a program.
    pub from: Option<String>,
    /// On `/live`: the names of the channels, not validated yet.
    pub channels: Vec<String>,
    /// The message that the page shows and highlights.
    pub at: Option<Id>,
}

/// The names of the known parameters.
const NAMES: [&str; 10] = ["after", "as", "at", "before", "channels", "format", "from", "last", "limit", "wait"];

/// A parameter or header has an invalid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    /// The code, for programs.
    pub code: ErrorCode,
    /// An explanation for people, with the valid values.
    pub message: String,
}

impl From<IdError> for ParamError {
    fn from(error: IdError) -> Self {
        Self { code: ErrorCode::BadCursor, message: error.to_string() }
    }
}

impl ReadParams {
    /// Parses the query and the `Last-Event-ID` header, which overrides `after`. `after` overrides `last`.
    ///
    /// # Errors
    /// Returns an error if a parameter or the header has an invalid value.
    pub fn parse(query: &str, last_event_id: Option<&str>) -> Result<Self, ParamError> {
        // The first of several equal names counts. Unknown names are ignored, so that later versions can add some.
        let mut given = [const { None }; NAMES.len()];
        for (name, value) in query.split('&').filter(|pair| !pair.is_empty()).map(decode) {
            if let Some(at) = NAMES.iter().position(|known| *known == name) {
                given[at].get_or_insert(value);
            }
        }
        let get = |name: &str| {
            let value: &Cow<'_, str> = given[NAMES.iter().position(|known| *known == name)?].as_ref()?;
            Some(&**value).filter(|value| !value.is_empty())
        };
        let limit = match number(get("limit"), "limit")? {
            Some(0) => return Err(bad("limit is at least 1")),
            given => given.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
        };
        let wait = number(get("wait"), "wait")?.unwrap_or(0) as u64;
        Ok(Self {
            start: start(last_event_id, get("after"), number(get("last"), "last")?)?,
            before: get("before").map(str::parse).transpose()?,
            limit,
            wait: Duration::from_secs(wait.min(MAX_WAIT_SECONDS)),
            format: match get("format") {
                None | Some("frames") => Format::Frames,
                Some("body") => Format::Bodies,
                Some(_) => return Err(bad("format is body, or absent")),
            },
            representation: match get("as") {
                None => None,
                Some("html") => Some(Representation::Html),
                Some("sse") => Some(Representation::Sse),
                Some("json") => Some(Representation::Json),
                Some(_) => return Err(bad("as is html, sse or json")),
            },
            from: get("from").map(sender_name).transpose()?,
            channels: get("channels").map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default(),
            at: get("at").map(str::parse).transpose()?,
        })
    }

    /// Whether the request is one of a series of polls: it waits for messages or continues after a cursor.
    pub fn continues(&self) -> bool {
        !self.wait.is_zero() || matches!(self.start, Some(Start::After(_)))
    }
}

/// Decodes one pair of a query (URL Standard, section 5.1). Most pairs contain no escapes and need no allocation.
fn decode(pair: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    if pair.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return form_urlencoded::parse(pair.as_bytes()).next().unwrap_or_default();
    }
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (name.into(), value.into())
}

fn start(last_event_id: Option<&str>, after: Option<&str>, last: Option<usize>) -> Result<Option<Start>, ParamError> {
    if let Some(id) = last_event_id.filter(|id| !id.is_empty()) {
        return Ok(Some(Start::After(id.parse()?)));
    }
    match (after, last) {
        (Some("earliest"), _) => Ok(Some(Start::Earliest)),
        (Some(id), _) => Ok(Some(Start::After(id.parse()?))),
        (None, Some(last)) => Ok(Some(Start::Last(last.min(MAX_LIMIT)))),
        (None, None) => Ok(None),
    }
}

fn number(text: Option<&str>, name: &str) -> Result<Option<usize>, ParamError> {
    let Some(text) = text else { return Ok(None) };
    let digits = text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(Some(number)),
        _ => Err(bad(format!("{name} is a whole number, not {:?}", text.chars().take(20).collect::<String>()))),
    }
}

fn bad(message: impl Into<String>) -> ParamError {
    ParamError { code: ErrorCode::BadParameter, message: message.into() }
}

/// Trims and validates a sender's name: 1 to [`SENDER_NAME_CHARS`] characters without control characters.
///
/// # Errors
/// Returns an error if the name is empty, too long or contains a control character.
pub fn sender_name(text: &str) -> Result<String, ParamError> {
    let name = text.trim();
    let fits = !name.is_empty() && name.chars().count() <= SENDER_NAME_CHARS && !name.chars().any(char::is_control);
    if fits {
        Ok(name.to_owned())
    } else {
        Err(bad(format!("a name has 1 to {SENDER_NAME_CHARS} printable characters")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn precedence() {
        let after = |text: &str| Some(Start::After(text.parse().unwrap()));
        let start = |query: &str, id: Option<&str>| ReadParams::parse(query, id).unwrap().start;
        assert_eq!(start("after=k.1&last=5", Some("k.2")), after("k.2"));
        assert_eq!(start("after=k.1&last=5", None), after("k.1"));
        assert_eq!(start("last=5", None), Some(Start::Last(5)));
        assert_eq!(start("after=earliest", None), Some(Start::Earliest));
        assert_eq!(start("", Some("")), None);
    }

    #[test]
    fn bounds_and_nonsense() {
        assert_eq!(ReadParams::parse("limit=5000&wait=600", None).unwrap().limit, 1000);
        for query in ["limit=0", "limit=-1", "limit=x", "last=1e3", "wait=%2B1", "as=xml", "format=x", "from=%07"] {
            assert_eq!(ReadParams::parse(query, None).unwrap_err().code, ErrorCode::BadParameter, "{query}");
        }
        for query in ["after=x", "before=1", "after=k.-1", "at=."] {
            assert_eq!(ReadParams::parse(query, None).unwrap_err().code, ErrorCode::BadCursor, "{query}");
        }
    }

    proptest! {
        #[test]
        fn queries_never_panic(query in "[a-z]{1,6}=[ -~]{0,30}", id in any::<Option<String>>()) {
            let _ = ReadParams::parse(&query, id.as_deref());
        }
    }
}
