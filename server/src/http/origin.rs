//! Which pages may send requests: checks `Origin`, and also `Host` if the server listens on loopback.

use super::{
    error::HttpError,
    headers::{accepts, is_upgrade},
};
use app::wire::{ErrorCode, Representation, headers::same_origin};
use axum::{
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    response::Response,
};
use std::net::{IpAddr, SocketAddr};

/// The origins and hosts that may send requests.
#[derive(Debug)]
pub struct Origins {
    allowed: Vec<String>,
    /// The server listens on loopback, so a foreign `Host` is refused: a page that resolves its own name to 127.0.0.1
    /// (DNS rebinding) would pass the check of the origin.
    loopback: bool,
}

impl Origins {
    /// `allowed` has the values of `--allow-origin`.
    pub fn new(allowed: &[String], listen: SocketAddr) -> Self {
        let tidy = |origin: &String| origin.trim().trim_end_matches('/').to_ascii_lowercase();
        Self { allowed: allowed.iter().map(tidy).collect(), loopback: listen.ip().is_loopback() }
    }

    fn allows(&self, origin: &str) -> bool {
        self.allowed.contains(&origin.to_ascii_lowercase())
    }

    fn allows_host(&self, host: &str) -> bool {
        if !self.loopback {
            return true;
        }
        let name = hostname(host);
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            return true;
        }
        let name = name.to_ascii_lowercase();
        let local = name == "localhost" || name.ends_with(".localhost");
        local || self.allowed.iter().any(|origin| origin.split_once("://").is_some_and(|(_, o)| hostname(o) == name))
    }

    /// Refuses requests of pages of other origins if they change something, or open an upgrade or a stream. Programs
    /// send no `Origin` and pass. With `speaks` (Socket.IO) a request can change something with every method. Returns
    /// the origin if its pages may read the answer.
    ///
    /// # Errors
    /// Returns a refusal for a foreign host or origin.
    pub(super) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        speaks: bool,
    ) -> Result<Option<HeaderValue>, HttpError> {
        let host = host(headers, uri);
        if host.is_some_and(|host| !self.allows_host(host)) {
            let message =
                "this server listens on loopback and answers to localhost only; start it with --listen to open it";
            return Err(HttpError::new(ErrorCode::ForbiddenHost, message));
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        let text = origin.to_str().unwrap_or("null");
        let same = host.is_some_and(|host| same_origin(text, host));
        let allowed = self.allows(text);
        if !same && !allowed && (speaks || must_be_ours(method, uri, headers)) {
            let message = format!("pages of {text} may not do this here; the server's --allow-origin can allow them");
            return Err(HttpError::new(ErrorCode::ForbiddenOrigin, message));
        }
        Ok(allowed.then(|| origin.clone()))
    }
}

/// A host without its port.
fn hostname(host: &str) -> &str {
    let end = if host.starts_with('[') { host.find(']').map(|at| at + 1) } else { host.find(':') };
    &host[..end.unwrap_or(host.len())]
}

/// The host that a request was sent to.
pub(super) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    headers.get(header::HOST).and_then(|value| value.to_str().ok()).or_else(|| uri.authority().map(|a| a.as_str()))
}

fn must_be_ours(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let stream = accepts(headers) == Representation::Sse
        || uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "as=sse"));
    !reads || stream || is_upgrade(headers)
}

/// Lets pages of an origin read the answer.
pub(super) fn cors(mut response: Response, origin: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let fixed = [
        (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, idempotency-key, if-match, from-name, last-event-id"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_answers_to_local_names() {
        let origins = Origins::new(&["https://app.example/".into()], ([127, 0, 0, 1], 3000).into());
        for host in ["127.0.0.1:3000", "localhost", "[::1]:3000", "a.localhost:1", "app.example", "127.0.0.2"] {
            assert!(origins.allows_host(host), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example"] {
            assert!(!origins.allows_host(host), "{host}");
        }
        assert!(Origins::new(&[], ([0, 0, 0, 0], 3000).into()).allows_host("anything"));
        assert!(origins.allows("HTTPS://APP.example"));
    }
}
