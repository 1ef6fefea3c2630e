//! How a client connects to a namespace and recovers its connection state.

use super::sink::RecoveryOffset;
use crate::{limits::RECOVERY_BYTES, session::Refusal};
use app::wire::{ChannelName, ErrorCode, Id, ReadParams, Start};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

/// What the name of a namespace refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The default namespace `/`. Its client subscribes to channels by events.
    Default,
    /// A channel, named by the path of its URL.
    Channel(ChannelName),
}

impl Target {
    /// Parses a namespace as a client spells it, percent-encoded or not.
    ///
    /// # Errors
    /// Returns an error if the namespace is neither `/` nor the path of a channel.
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

/// The parameters of a CONNECT.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConnectParams {
    /// Where reading begins.
    pub(super) start: Option<Start>,
    /// The name that the client chose.
    pub(super) from: Option<String>,
    /// The earlier session, if the client recovers one (revision 5, "Connection state recovery").
    pub(super) recovery: Option<Recovery>,
}

/// A session that a client recovers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    /// The session id, which stays the same.
    pub(super) sid: String,
    /// The private session id as the client sent it, which stays the same too.
    pub(super) pid: String,
    /// The last cursor that the client received.
    pub(super) after: Id,
    /// In the default namespace: the channels that the client had subscribed to.
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

impl ConnectParams {
    /// Reads the parameters of a CONNECT. Clients 2.x send no `auth` and put the parameters into the query.
    ///
    /// # Errors
    /// Returns an error if a parameter has a value it cannot have.
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

/// Reads the parameters that every transport has. A value in `auth` overrides one in the query.
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
    let given = ReadParams::parse(&given.finish(), None)?;
    let asked = ReadParams::parse(query, None)?;
    Ok((given.start.or(asked.start), given.from.or(asked.from)))
}

fn recovery(pid: Option<&str>, offset: Option<&str>) -> Option<Recovery> {
    let fits = |text: &&str| text.len() <= RECOVERY_BYTES;
    // There is nothing to recover if the pid comes from another server or is invalid. This is not an error.
    let pid = pid.filter(fits)?;
    let (sid, begun) = pid.split_once('~')?;
    let is_sid = sid.len() == SID_CHARS && sid.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !is_sid {
        return None;
    }
    let begun = begun.parse().ok()?;
    // Without an offset the client has received nothing since the session began.
    let (after, channels) = match offset {
        Some(offset) => RecoveryOffset::parse(Some(offset).filter(fits)?)?,
        None => (begun, Vec::new()),
    };
    Some(Recovery { sid: sid.to_owned(), pid: pid.to_owned(), after, channels })
}

const SID_CHARS: usize = 20;

/// A new random session id.
pub(super) fn fresh_sid() -> String {
    let mut random = [0; SID_CHARS * 3 / 4];
    getrandom::fill(&mut random).expect("the system has random numbers");
    BASE64_URL_SAFE_NO_PAD.encode(random)
}

/// The private session id, with which a client recovers: its session id and the cursor at which the session began.
pub(super) fn pid(sid: &str, begun: Id) -> String {
    format!("{sid}~{begun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces() {
        let channel = |text: &str| Target::of(text).ok();
        let named = |name: &str| Some(Target::Channel(name.parse().unwrap()));
        assert_eq!(channel("/"), Some(Target::Default));
        assert_eq!(channel("/c/demo"), named("demo"));
        assert_eq!(channel("/c/%EC%98%A8%EC%8B%A4"), named("온실"));
        assert_eq!(channel("/c/온실"), named("온실"));
        for nothing in ["/demo", "/c", "/c/", "/c/a/b", "/c/a%2Fb", "/c/.a", "/c/%ff", "/live"] {
            assert_eq!(channel(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn where_to_begin() {
        let start = |auth: Option<&str>, query: &str| ConnectParams::read(auth, query).unwrap().start;
        assert_eq!(start(Some("{\"last\":5}"), "after=k.1"), Some(Start::Last(5)));
        assert_eq!(start(Some("{\"last\":\"5\"}"), ""), Some(Start::Last(5)));
        assert_eq!(
            start(Some("{\"after\":\"k.1\",\"last\":5,\"other\":[]}"), ""),
            Some(Start::After("k.1".parse().unwrap()))
        );
        assert_eq!(start(None, "EIO=3&after=earliest"), Some(Start::Earliest));
        assert_eq!(start(Some("{\"after\":null}"), ""), None);
        for nonsense in ["{\"after\":\"x\"}", "{\"after\":1}", "{\"last\":-1}", "{\"from\":\"\\u0007\"}"] {
            assert!(ConnectParams::read(Some(nonsense), "").is_err(), "{nonsense}");
        }
    }

    #[test]
    fn recovery_is_of_this_kind_of_server_or_none() {
        let sid = fresh_sid();
        let begun: Id = "k.3".parse().unwrap();
        let auth = |offset: &str| format!("{{\"pid\":\"{}\"{offset}}}", pid(&sid, begun));
        let recovered =
            |auth: &str| ConnectParams::read(Some(auth), "").unwrap().recovery.map(|found| (found.sid, found.after));
        assert_eq!(recovered(&auth("")), Some((sid.clone(), begun)));
        assert_eq!(recovered(&auth(",\"offset\":\"k.9\"")), Some((sid.clone(), "k.9".parse().unwrap())));
        assert_eq!(recovered(&auth(",\"offset\":\"what\"")), None);
        assert_eq!(recovered("{\"pid\":\"of-socket.io\",\"offset\":\"1\"}"), None);
    }
}
