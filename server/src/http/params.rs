//! The reading parameters, the same on `/c` and `/live` and on every transport.

use super::{HttpError, negotiate::Answer};
use crate::{hub::Start, transport::Format};
use app::wire::{ErrorCode, Id, limits};
use axum::http::{HeaderMap, Uri};
use std::{collections::HashMap, time::Duration};

/// What a reader asked for.
#[derive(Clone, Debug)]
pub(super) struct Reading {
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

impl Reading {
    /// Reads the query and `Last-Event-ID`, which beats `after`, which beats `last`.
    ///
    /// # Errors
    /// A parameter has a value it cannot have.
    pub(super) fn parse(uri: &Uri, headers: &HeaderMap) -> Result<Self, HttpError> {
        let query = uri.query().unwrap_or_default();
        // The first of several equal names counts; unknown names are left for later versions.
        let mut given: HashMap<String, String> = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            given.entry(name.into_owned()).or_insert(value.into_owned());
        }
        let get = |name: &str| given.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let limit = match number(get("limit"), "limit")? {
            Some(0) => return Err(bad("limit is at least 1")),
            given => given.unwrap_or(limits::DEFAULT_LIMIT).min(limits::MAX_LIMIT),
        };
        let wait =
            number(get("wait"), "wait")?.unwrap_or(0).min(usize::try_from(limits::MAX_WAIT_SECONDS).unwrap_or(0));
        Ok(Self {
            start: start(headers, get("after"), number(get("last"), "last")?)?,
            before: get("before").map(cursor).transpose()?,
            limit,
            wait: Duration::from_secs(wait as u64),
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
            at: get("at").map(cursor).transpose()?,
        })
    }
}

fn start(headers: &HeaderMap, after: Option<&str>, last: Option<usize>) -> Result<Option<Start>, HttpError> {
    if let Some(id) = headers.get("last-event-id").filter(|value| !value.is_empty()) {
        let text = id.to_str().map_err(|_| HttpError::new(ErrorCode::BadCursor, "Last-Event-ID is not an id"))?;
        return Ok(Some(Start::After(cursor(text)?)));
    }
    match (after, last) {
        (Some("earliest"), _) => Ok(Some(Start::Earliest)),
        (Some(id), _) => Ok(Some(Start::After(cursor(id)?))),
        (None, Some(last)) => Ok(Some(Start::Last(last.min(limits::MAX_LIMIT)))),
        (None, None) => Ok(None),
    }
}

fn cursor(text: &str) -> Result<Id, HttpError> {
    text.parse().map_err(|error: app::wire::IdError| HttpError::new(ErrorCode::BadCursor, error.to_string()))
}

fn number(text: Option<&str>, name: &str) -> Result<Option<usize>, HttpError> {
    let Some(text) = text else { return Ok(None) };
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(Some(number)),
        _ => Err(bad(format!("{name} is a whole number, not {:?}", text.chars().take(20).collect::<String>()))),
    }
}

fn bad(message: impl Into<String>) -> HttpError {
    HttpError::new(ErrorCode::BadParameter, message)
}

/// A sender's name as given: trimmed, of at most [`limits::SENDER_NAME_CHARS`] characters, none of control.
///
/// # Errors
/// It is empty, too long or not printable.
pub(super) fn sender_name(text: &str) -> Result<String, HttpError> {
    let name = text.trim();
    let fits =
        !name.is_empty() && name.chars().count() <= limits::SENDER_NAME_CHARS && !name.chars().any(char::is_control);
    if fits {
        Ok(name.to_owned())
    } else {
        Err(bad(format!("a name has 1 to {} printable characters", limits::SENDER_NAME_CHARS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(query: &str, last_event_id: Option<&str>) -> Result<Reading, HttpError> {
        let mut headers = HeaderMap::new();
        if let Some(id) = last_event_id {
            headers.insert("last-event-id", id.parse().unwrap());
        }
        Reading::parse(&format!("/c/a?{query}").parse().unwrap(), &headers)
    }

    #[test]
    fn precedence() {
        let after = |text: &str| Some(Start::After(text.parse().unwrap()));
        assert_eq!(parse("after=k.1&last=5", Some("k.2")).unwrap().start, after("k.2"));
        assert_eq!(parse("after=k.1&last=5", None).unwrap().start, after("k.1"));
        assert_eq!(parse("last=5", None).unwrap().start, Some(Start::Last(5)));
        assert_eq!(parse("after=earliest", None).unwrap().start, Some(Start::Earliest));
        assert_eq!(parse("", Some("")).unwrap().start, None);
    }

    #[test]
    fn bounds_and_nonsense() {
        assert_eq!(parse("limit=5000&wait=600", None).unwrap().limit, 1000);
        for query in ["limit=0", "limit=-1", "limit=x", "last=1e3", "wait=%2B1", "as=xml", "format=x", "from=%07"] {
            assert_eq!(parse(query, None).unwrap_err().0.code, ErrorCode::BadParameter, "{query}");
        }
        for query in ["after=x", "before=1", "after=k.-1", "at=."] {
            assert_eq!(parse(query, None).unwrap_err().0.code, ErrorCode::BadCursor, "{query}");
        }
    }

    proptest! {
        #[test]
        fn queries_never_panic(query in "[a-z]{1,6}=[ -~&&[^#<>\\\\^`{|}\" ]]{0,30}") {
            if let Ok(uri) = format!("/c/a?{query}").parse() {
                let _ = Reading::parse(&uri, &HeaderMap::new());
            }
        }
    }
}
