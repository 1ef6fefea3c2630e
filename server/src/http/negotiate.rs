//! What kind of answer a request wants, and who asks.

use super::{
    App,
    peer::Peer,
    seal::Age,
    visitor::{Known, Visitor},
};
use app::{
    page::Lang,
    wire::{self, Answer, Sender},
};
use axum::{
    extract::Request,
    http::{HeaderMap, Uri, header},
};

/// What kind of answer a request wants, by its `Accept` headers.
pub(super) fn accepted(headers: &HeaderMap) -> Answer {
    let all: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    wire::headers::accept(&all.join(","))
}

/// Whether the request asks to become a WebSocket.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case("websocket")))
}

/// What is known of a request before its parameters are read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What kind of answer it wants.
    pub answer: Answer,
    /// Who asks, if it is a visitor.
    pub visitor: Option<Visitor>,
    /// Its cookie is as it would be made now.
    pub current: bool,
    /// Where it comes from.
    pub peer: Peer,
    /// What it asked for.
    pub uri: Uri,
    /// All of its headers.
    pub headers: HeaderMap,
}

impl Asked {
    /// Takes a request's head; what is left has the rest.
    pub fn take(app: &App, mut request: Request) -> (Self, Request) {
        let (uri, headers) = (std::mem::take(request.uri_mut()), std::mem::take(request.headers_mut()));
        let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
        (Self::of(app, peer, uri, headers), request)
    }

    /// Of a request's head.
    pub(super) fn of(app: &App, peer: Peer, uri: Uri, headers: HeaderMap) -> Self {
        let (visitor, current) = match app.visitors.read(&headers) {
            Known::Nobody => (None, false),
            Known::Visitor(visitor, age) => (Some(visitor), age == Age::Current),
            Known::Foreign => {
                tracing::info!(client = %peer.address, "a visitor's cookie that is not ours: a first visit");
                (None, false)
            }
        };
        Self { answer: accepted(&headers), visitor, current, peer, uri, headers }
    }

    /// Who this request speaks as: `name` (from `from=` or `From-Name`) or no cookie is a program.
    pub fn sender(&self, app: &App, name: Option<String>) -> Sender {
        speaks_as(app, self.visitor.as_ref(), self.peer, name, || user_agent(&self.headers))
    }

    /// Who speaks, for longer than the request lasts.
    pub(super) fn speaker(&self) -> Speaker {
        Speaker { visitor: self.visitor.clone(), peer: self.peer, product: user_agent(&self.headers) }
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        cookie(&self.headers, name)
    }

    /// The language of the page: a cookie, else `Accept-Language`, else English.
    pub fn lang(&self) -> Lang {
        match self.cookie("lang") {
            Some("ko") => Lang::Ko,
            Some("en") => Lang::En,
            _ => accept_language(&self.headers),
        }
    }
}

/// Who speaks on a connection that outlives the request that opened it.
pub(super) struct Speaker {
    visitor: Option<Visitor>,
    peer: Peer,
    product: String,
}

impl Speaker {
    /// See [`Asked::sender`].
    pub(super) fn sender(&self, app: &App, name: Option<String>) -> Sender {
        speaks_as(app, self.visitor.as_ref(), self.peer, name, || self.product.clone())
    }
}

fn speaks_as(
    app: &App,
    visitor: Option<&Visitor>,
    peer: Peer,
    name: Option<String>,
    product: impl FnOnce() -> String,
) -> Sender {
    match (visitor, name) {
        (Some(visitor), None) => visitor.sender(),
        (_, name) => app.visitors.program(peer, name.unwrap_or_else(product)),
    }
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.into_iter().find_map(|value| wire::headers::cookie(value, name))
}

fn accept_language(headers: &HeaderMap) -> Lang {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let weight = |item: &str| -> f32 {
        item.split(';').find_map(|part| part.trim().strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0)
    };
    let best = |code: &str| {
        accepted
            .split(',')
            .filter(|item| item.trim().get(..2).is_some_and(|tag| tag.eq_ignore_ascii_case(code)))
            .map(weight)
            .fold(0.0, f32::max)
    };
    if best("ko") > best("en") { Lang::Ko } else { Lang::En }
}

/// What a program without a name calls itself: the product of its user agent.
fn user_agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let product: String =
        agent.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).take(32).collect();
    if product.is_empty() { "program".into() } else { product }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages() {
        let lang = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, value.parse().unwrap());
            accept_language(&headers)
        };
        assert_eq!(lang("ko-KR,ko;q=0.9,en;q=0.8"), Lang::Ko);
        assert_eq!(lang("en-US,en;q=0.9,ko;q=0.5"), Lang::En);
        assert_eq!(lang("fr"), Lang::En);
    }
}
