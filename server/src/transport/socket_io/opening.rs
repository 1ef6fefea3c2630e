use super::voice::Offset;
use crate::session::Refusal;
use app::wire::{ChannelName, ErrorCode, Id, Reading, Start};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

/// Bytes of what a client may give back for recovery.
const RECOVERY_BYTES: usize = 512;

/// What a namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The one every connection may have: channels come and go by events.
    Default,
    /// A channel: its URL's path.
    Channel(ChannelName),
}

impl Place {
    /// Of a namespace as a client spells it: percent-encoded or not.
    ///
    /// # Errors
    /// It is no channel's path.
    pub(super) fn of(namespace: &str) -> Result<Self, Refusal> {
        if namespace == "/" {
            return Ok(Self::Default);
        }
        let nowhere = || Refusal::new(ErrorCode::NotFound, "a namespace is the path of a channel: /c/NAME");
        let name = namespace.strip_prefix("/c/").ok_or_else(nowhere)?;
        let name = percent_encoding::percent_decode_str(name).decode_utf8().map_err(|_| nowhere())?;
        Ok(Self::Channel(name.parse()?))
    }
}

/// How a client comes into a namespace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Where to begin.
    pub(super) start: Option<Start>,
    /// The name it gives itself.
    pub(super) from: Option<String>,
    /// What it had before, if it recovers (revision 5, "Connection state recovery").
    pub(super) recovery: Option<Recovery>,
}

/// A session that goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    /// Its id, which stays the same.
    pub(super) sid: String,
    /// What it gave back, which says the same.
    pub(super) pid: String,
    /// The last cursor it was given.
    pub(super) after: Id,
    /// Where the namespace is no channel: the channels it had.
    pub(super) channels: Vec<ChannelName>,
}

#[derive(Default, Deserialize)]
struct Auth {
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    last: Option<Count>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    pid: Option<String>,
    #[serde(default)]
    offset: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Text(String),
}

impl Opening {
    /// Reads what came with CONNECT; `query` is where 2.x clients, who have nothing else, put it.
    ///
    /// # Errors
    /// A value is not what it can be.
    pub(super) fn read(auth: Option<&str>, query: &str) -> Result<Self, Refusal> {
        let auth: Auth = auth
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| {
                Refusal::new(ErrorCode::BadParameter, format!("auth has after, last and from, each a string: {error}"))
            })?
            .unwrap_or_default();
        let (start, from) = reading(&auth, query)?;
        Ok(Self { start, from, recovery: recovery(auth.pid.as_deref(), auth.offset.as_deref()) })
    }
}

/// The parameters every transport has; those of `auth` come first.
fn reading(auth: &Auth, query: &str) -> Result<(Option<Start>, Option<String>), Refusal> {
    let last = auth.last.as_ref().map(|last| match last {
        Count::Number(number) => number.to_string(),
        Count::Text(text) => text.clone(),
    });
    let mut given = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("after", &auth.after), ("last", &last), ("from", &auth.from)] {
        if let Some(value) = value {
            given.append_pair(name, value);
        }
    }
    let given = Reading::parse(&given.finish(), None)?;
    let asked = Reading::parse(query, None)?;
    Ok((given.start.or(asked.start), given.from.or(asked.from)))
}

fn recovery(pid: Option<&str>, offset: Option<&str>) -> Option<Recovery> {
    let fits = |text: &&str| text.len() <= RECOVERY_BYTES;
    // Of another server, or nonsense: there is nothing to recover, which is no error.
    let pid = pid.filter(fits)?;
    let (sid, begun) = pid.split_once('~')?;
    let is_sid = sid.len() == SID_CHARS && sid.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !is_sid {
        return None;
    }
    let begun = begun.parse().ok()?;
    // Without an offset nothing came since it began.
    let (after, channels) = match offset {
        Some(offset) => Offset::parse(Some(offset).filter(fits)?)?,
        None => (begun, Vec::new()),
    };
    Some(Recovery { sid: sid.to_owned(), pid: pid.to_owned(), after, channels })
}

const SID_CHARS: usize = 20;

/// A fresh session id.
pub(super) fn fresh_sid() -> String {
    let mut random = [0; SID_CHARS * 3 / 4];
    getrandom::fill(&mut random).expect("the system has random numbers");
    BASE64_URL_SAFE_NO_PAD.encode(random)
}

/// What a client gives back when it recovers: who it was and where it began.
pub(super) fn pid(sid: &str, begun: Id) -> String {
    format!("{sid}~{begun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces() {
        let channel = |text: &str| Place::of(text).ok();
        let named = |name: &str| Some(Place::Channel(name.parse().unwrap()));
        assert_eq!(channel("/"), Some(Place::Default));
        assert_eq!(channel("/c/demo"), named("demo"));
        assert_eq!(channel("/c/%EC%98%A8%EC%8B%A4"), named("온실"));
        assert_eq!(channel("/c/온실"), named("온실"));
        for nothing in ["/demo", "/c", "/c/", "/c/a/b", "/c/a%2Fb", "/c/.a", "/c/%ff", "/live"] {
            assert_eq!(channel(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn where_to_begin() {
        let start = |auth: Option<&str>, query: &str| Opening::read(auth, query).unwrap().start;
        assert_eq!(start(Some("{\"last\":5}"), "after=k.1"), Some(Start::Last(5)));
        assert_eq!(start(Some("{\"last\":\"5\"}"), ""), Some(Start::Last(5)));
        assert_eq!(
            start(Some("{\"after\":\"k.1\",\"last\":5,\"other\":[]}"), ""),
            Some(Start::After("k.1".parse().unwrap()))
        );
        assert_eq!(start(None, "EIO=3&after=earliest"), Some(Start::Earliest));
        assert_eq!(start(Some("{\"after\":null}"), ""), None);
        for nonsense in ["{\"after\":\"x\"}", "{\"after\":1}", "{\"last\":-1}", "{\"from\":\"\\u0007\"}"] {
            assert!(Opening::read(Some(nonsense), "").is_err(), "{nonsense}");
        }
    }

    #[test]
    fn recovery_is_of_this_kind_of_server_or_none() {
        let sid = fresh_sid();
        let begun: Id = "k.3".parse().unwrap();
        let auth = |offset: &str| format!("{{\"pid\":\"{}\"{offset}}}", pid(&sid, begun));
        let recovered = |auth: &str| Opening::read(Some(auth), "").unwrap().recovery.map(|all| (all.sid, all.after));
        assert_eq!(recovered(&auth("")), Some((sid.clone(), begun)));
        assert_eq!(recovered(&auth(",\"offset\":\"k.9\"")), Some((sid.clone(), "k.9".parse().unwrap())));
        assert_eq!(recovered(&auth(",\"offset\":\"what\"")), None);
        assert_eq!(recovered("{\"pid\":\"of-socket.io\",\"offset\":\"1\"}"), None);
    }
}
