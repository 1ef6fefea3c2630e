//! The opening handshake of a WebSocket (RFC 6455, section 4.2).

use crate::headers::list_has;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use tungstenite::handshake::derive_accept_key;

/// Why a request is not an opening handshake (section 4.2.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHandshake {
    /// The method is not GET, or the version is not HTTP/1.1.
    #[error("a WebSocket is opened with GET over HTTP/1.1")]
    Method,
    /// A header is missing or has a wrong value.
    #[error("a WebSocket's opening handshake has the header {0}")]
    Header(&'static str),
}

/// A valid opening handshake.
pub struct Handshake {
    accept: HeaderValue,
}

/// Header, the item that its list must have, and how an error shows both (section 4.2.1, items 3, 4 and 6).
const REQUIRED: [(HeaderName, &str, &str); 3] = [
    (header::CONNECTION, "upgrade", "Connection: upgrade"),
    (header::UPGRADE, "websocket", "Upgrade: websocket"),
    (header::SEC_WEBSOCKET_VERSION, "13", "Sec-WebSocket-Version: 13"),
];

impl Handshake {
    /// Reads the handshake from the head of a request.
    ///
    /// # Errors
    /// Returns an error if the request is not a valid opening handshake.
    pub fn read(method: &Method, version: Version, headers: &HeaderMap) -> Result<Self, NoHandshake> {
        if method != Method::GET || version != Version::HTTP_11 {
            return Err(NoHandshake::Method);
        }
        if let Some((.., shown)) = REQUIRED.iter().find(|(name, value, _)| !list_has(headers, name, value)) {
            return Err(NoHandshake::Header(shown));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(NoHandshake::Header("Sec-WebSocket-Key"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        let accept = accept.map_err(|_| NoHandshake::Header("Sec-WebSocket-Key"))?;
        Ok(Self { accept })
    }

    /// The response (section 4.2.2). After it the connection is a WebSocket.
    pub fn answer(self) -> Response {
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}
