//! The files that pages load. They are part of the binary.

use crate::headers::list_items;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

/// The built site: `pkg/` with the WASM, its JavaScript and the styles, each also compressed.
#[derive(RustEmbed)]
#[folder = "../target/site"]
#[allow_missing = true]
struct Site;

/// The newest client of Socket.IO. It is served at the same path as by the server of Socket.IO, so that a page with
/// `<script src="/socket.io/socket.io.js">` finds it.
#[derive(RustEmbed)]
#[folder = "../end2end/node_modules/socket.io-client-4/dist"]
#[include = "socket.io.min.js"]
#[allow_missing = true]
struct SocketIoClient;

/// The script of Socket.IO's client.
pub fn socket_io_client(headers: &HeaderMap) -> Response {
    match SocketIoClient::get("socket.io.min.js") {
        Some(found) => file(found, None, "text/javascript; charset=utf-8", headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

const FAVICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M3 16h18" stroke="#7C8781" stroke-width="4" stroke-linecap="round"/><circle cx="23" cy="16" r="6" fill="#0B6B4F"/></svg>"##;

/// The icon of the browser's tab.
pub fn favicon() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "max-age=86400")], FAVICON).into_response()
}

/// A file of the site, in the best coding that the client accepts.
pub fn asset(file_name: &str, headers: &HeaderMap) -> Response {
    let accepts = |coding: &str| {
        list_items(headers, &header::ACCEPT_ENCODING)
            .any(|item| item.split(';').next().is_some_and(|c| c.trim() == coding))
    };
    let path = format!("pkg/{file_name}");
    let encoded = [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(coding, _)| accepts(coding))
        .find_map(|(coding, ending)| Site::get(&format!("{path}{ending}")).map(|found| (Some(coding), found)));
    let Some((coding, found)) = encoded.or_else(|| Site::get(&path).map(|found| (None, found))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    file(found, coding, media_type(file_name), headers)
}

fn file(found: EmbeddedFile, coding: Option<&'static str>, media_type: &'static str, headers: &HeaderMap) -> Response {
    // The name of a file does not change with its content, so browsers must ask whether their copy is current.
    let hash = found.metadata.sha256_hash();
    let etag = format!("\"{}\"", hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>());
    let mut answer = HeaderMap::new();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        answer.insert(header::ETAG, etag);
    }
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, answer).into_response();
    }
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(coding) = coding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    let body = match found.data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    (answer, body).into_response()
}

fn media_type(file: &str) -> &'static str {
    match file.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css; charset=utf-8",
        _ => "application/octet-stream",
    }
}
