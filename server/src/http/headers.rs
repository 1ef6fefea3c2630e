//! What single headers of a request say.

use super::error::HttpError;
use crate::headers::list_has;
use app::{
    page::Lang,
    wire::{self, ErrorCode, Representation},
};
use axum::http::{HeaderMap, header};

/// Bytes of a program's product name; the rest is cut.
const PRODUCT_CHARS: usize = 32;

/// What kind of answer a request wants, by its `Accept` headers.
pub(super) fn accepts(headers: &HeaderMap) -> Representation {
    let all: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    wire::headers::accept(&all.join(","))
}

/// Whether the request asks to become a WebSocket.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    list_has(headers, &header::UPGRADE, "websocket")
}

/// Whether the client closes the connection after the answer.
pub(super) fn closes(headers: &HeaderMap) -> bool {
    list_has(headers, &header::CONNECTION, "close")
}

/// A header as UTF-8 text: curl and browsers send names in any script so.
///
/// # Errors
/// Returns an error if the header is not UTF-8.
pub(super) fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, HttpError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| HttpError::new(ErrorCode::BadParameter, format!("the header {name} is not UTF-8")))?;
    Ok(Some(text.to_owned()))
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.into_iter().find_map(|value| wire::headers::cookie(value, name))
}

/// The language of the page: a cookie, else `Accept-Language`, else English.
pub(super) fn lang(headers: &HeaderMap) -> Lang {
    match cookie(headers, "lang") {
        Some("ko") => Lang::Ko,
        Some("en") => Lang::En,
        _ => accept_language(headers),
    }
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
pub(super) fn product(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = agent.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let product: String = named.take(PRODUCT_CHARS).collect();
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
