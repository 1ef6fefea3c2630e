//! Parsers for the values of request headers. They take only text, so that they can be fuzzed; the server chooses the
//! header.

use super::{Id, ParamError, Representation};

/// The last message that a publisher expects in the channel (`If-Match`, RFC 9110 section 13.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any message (`*`): the channel must not be empty.
    Any,
    /// The message with this id.
    Last(Id),
}

/// Chooses the answer from an `Accept` header: HTML if it lists `text/html`, else SSE if it lists
/// `text/event-stream`, else JSON. A type with weight zero counts as not listed.
pub fn accept(value: &str) -> Representation {
    let listed = |wanted: &str| value.split(',').any(|item| names(item, wanted));
    if listed("text/html") {
        Representation::Html
    } else if listed("text/event-stream") {
        Representation::Sse
    } else {
        Representation::Json
    }
}

/// Whether an item of `Accept` names the wanted type with a weight above zero.
fn names(item: &str, wanted: &str) -> bool {
    let mut parts = item.split(';').map(str::trim);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
    let refused = parts.any(|part| {
        part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")).and_then(|q| q.parse::<f32>().ok()) == Some(0.0)
    });
    named && !refused
}

/// Returns the value of the named cookie in a `Cookie` header.
pub fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Whether an `Origin` header names the host that the request was sent to. Default ports may be left out.
pub fn same_origin(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.strip_suffix(port).map(str::to_owned).unwrap_or(text)
    };
    let host = bare(host);
    !host.is_empty() && bare(authority) == host
}

/// Parses `If-Match`: `*`, or one id, with the quotes of an entity tag or without.
///
/// # Errors
/// Returns an error if the value is neither.
pub fn if_match(value: &str) -> Result<Expected, ParamError> {
    let value = value.trim();
    if value == "*" {
        return Ok(Expected::Any);
    }
    let id = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    Ok(Expected::Last(id.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ErrorCode;

    #[test]
    fn negotiation() {
        assert_eq!(accept("text/html,application/xhtml+xml,*/*;q=0.8"), Representation::Html);
        assert_eq!(accept("text/event-stream"), Representation::Sse);
        assert_eq!(accept("text/event-stream, TEXT/HTML"), Representation::Html);
        assert_eq!(accept("text/html;q=0, text/event-stream"), Representation::Sse);
        assert_eq!(accept("*/*"), Representation::Json);
        assert_eq!(accept(""), Representation::Json);
    }

    #[test]
    fn same_origin_is_scheme_host_and_port() {
        assert!(same_origin("http://127.0.0.1:3000", "127.0.0.1:3000"));
        assert!(same_origin("https://Baro.example", "baro.example:443"));
        assert!(same_origin("http://baro.example:80", "baro.example"));
        assert!(!same_origin("http://evil.example", "baro.example"));
        assert!(!same_origin("http://baro.example:8080", "baro.example"));
        assert!(!same_origin("null", "baro.example"));
        assert!(!same_origin("file://", ""));
        assert!(!same_origin("http://", ""));
        assert!(!same_origin("http://:80", ""));
    }

    #[test]
    fn cookies_are_found_among_others() {
        assert_eq!(cookie("a=1; baro=v.x=; c", "baro"), Some("v.x="));
        assert_eq!(cookie("abaro=1", "baro"), None);
    }

    #[test]
    fn an_expected_last_message_is_an_id_or_any() {
        let id = "k3.7".parse().unwrap();
        assert_eq!(if_match("k3.7"), Ok(Expected::Last(id)));
        assert_eq!(if_match(" \"k3.7\" "), Ok(Expected::Last(id)));
        assert_eq!(if_match("*"), Ok(Expected::Any));
        for nonsense in ["", "W/\"k3.7\"", "\"k3.7", "k3.7, k3.8"] {
            assert_eq!(if_match(nonsense).unwrap_err().code, ErrorCode::BadCursor, "{nonsense}");
        }
    }
}
