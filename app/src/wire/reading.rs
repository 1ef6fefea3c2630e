use super::{
    ErrorCode, Id, IdError,
    limits::{DEFAULT_LIMIT, MAX_LIMIT, MAX_WAIT_SECONDS, SENDER_NAME_CHARS},
};
use std::{borrow::Cow, time::Duration};

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes next.
    Now,
    /// After this cursor.
    After(Id),
    /// With the oldest message kept.
    Earliest,
    /// With the newest so many.
    Last(usize),
}

/// What a reader asked its messages to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Whole frames as JSON.
    Frames,
    /// Bodies only, as they were sent (`format=body`).
    Bodies,
}

/// What kind of answer a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The page.
    Html,
    /// A stream of events.
    Sse,
    /// JSON.
    Json,
}

/// The reading parameters, the same on `/c` and `/live` and on every transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Where to begin; `None` is each answer's own default.
    pub start: Option<Start>,
    /// A page of history before this id, instead.
    pub before: Option<Id>,
    /// Messages of one answer.
    pub limit: usize,
    /// How long a poll may wait.
    pub wait: Duration,
    /// Frames or bodies.
    pub format: Format,
    /// Overrides `Accept`.
    pub answer: Option<Answer>,
    /// A program's name.
    pub from: Option<String>,
    /// On `/live`: the channels' names.
    pub channels: Vec<String>,
    /// A message to show.
    pub at: Option<Id>,
}

/// The parameters.
const NAMES: [&str; 10] = ["after", "as", "at", "before", "channels", "format", "from", "last", "limit", "wait"];

/// A parameter or header has a value it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadingError {
    /// For programs.
    pub code: ErrorCode,
    /// What it can be.
    pub message: String,
}

impl From<IdError> for ReadingError {
    fn from(error: IdError) -> Self {
        Self { code: ErrorCode::BadCursor, message: error.to_string() }
    }
}

impl Reading {
    /// Reads the query and `Last-Event-ID`, which beats `after`, which beats `last`.
    ///
    /// # Errors
    /// A parameter has a value it cannot have.
    pub fn parse(query: &str, last_event_id: Option<&str>) -> Result<Self, ReadingError> {
        // The first of several equal names counts; unknown names are left for later versions.
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
            answer: match get("as") {
                None => None,
                Some("html") => Some(Answer::Html),
                Some("sse") => Some(Answer::Sse),
                Some("json") => Some(Answer::Json),
                Some(_) => return Err(bad("as is html, sse or json")),
            },
            from: get("from").map(sender_name).transpose()?,
            channels: get("channels").map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default(),
            at: get("at").map(str::parse).transpose()?,
        })
    }

    /// Whether it is one of many requests of a reader that goes on: it waits, or continues after a cursor.
    pub fn continues(&self) -> bool {
        !self.wait.is_zero() || matches!(self.start, Some(Start::After(_)))
    }
}

/// A pair of a query (URL Standard, section 5.1). Most have nothing in them that is to be decoded.
fn decode(pair: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    if pair.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return form_urlencoded::parse(pair.as_bytes()).next().unwrap_or_default();
    }
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (name.into(), value.into())
}

fn start(last_event_id: Option<&str>, after: Option<&str>, last: Option<usize>) -> Result<Option<Start>, ReadingError> {
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

fn number(text: Option<&str>, name: &str) -> Result<Option<usize>, ReadingError> {
    let Some(text) = text else { return Ok(None) };
    let digits = text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(Some(number)),
        _ => Err(bad(format!("{name} is a whole number, not {:?}", text.chars().take(20).collect::<String>()))),
    }
}

fn bad(message: impl Into<String>) -> ReadingError {
    ReadingError { code: ErrorCode::BadParameter, message: message.into() }
}

/// A sender's name as given: trimmed, of at most [`SENDER_NAME_CHARS`] characters, none of control.
///
/// # Errors
/// It is empty, too long or not printable.
pub fn sender_name(text: &str) -> Result<String, ReadingError> {
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
        let start = |query: &str, id: Option<&str>| Reading::parse(query, id).unwrap().start;
        assert_eq!(start("after=k.1&last=5", Some("k.2")), after("k.2"));
        assert_eq!(start("after=k.1&last=5", None), after("k.1"));
        assert_eq!(start("last=5", None), Some(Start::Last(5)));
        assert_eq!(start("after=earliest", None), Some(Start::Earliest));
        assert_eq!(start("", Some("")), None);
    }

    #[test]
    fn bounds_and_nonsense() {
        assert_eq!(Reading::parse("limit=5000&wait=600", None).unwrap().limit, 1000);
        for query in ["limit=0", "limit=-1", "limit=x", "last=1e3", "wait=%2B1", "as=xml", "format=x", "from=%07"] {
            assert_eq!(Reading::parse(query, None).unwrap_err().code, ErrorCode::BadParameter, "{query}");
        }
        for query in ["after=x", "before=1", "after=k.-1", "at=."] {
            assert_eq!(Reading::parse(query, None).unwrap_err().code, ErrorCode::BadCursor, "{query}");
        }
    }

    proptest! {
        #[test]
        fn queries_never_panic(query in "[a-z]{1,6}=[ -~]{0,30}", id in any::<Option<String>>()) {
            let _ = Reading::parse(&query, id.as_deref());
        }
    }
}
