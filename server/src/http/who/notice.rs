//! Notices that a page shows once: the outcome of a form, on the page that the form leads back to. Until then a notice
//! is in a sealed cookie, so that the server keeps no state and nobody else can write one.

use super::{peer::Peer, seal::Seal};
use crate::{
    http::headers,
    limits::{NOTICE_COOKIE_BYTES, NOTICE_SECONDS},
};
use app::wire::{ChannelName, ErrorCode};
use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

const COOKIE: &str = "notice";
/// How long a browser keeps the visitor and the language, in seconds.
pub(crate) const YEAR_SECONDS: u32 = 31_536_000;

/// The outcome of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notice {
    /// The visitor has a new name.
    NameSaved,
    /// The name was refused for this reason.
    NameRefused(String),
    /// A message was not published.
    MessageRefused(MessageRefused),
}

/// A message that was not published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRefused {
    /// The channel that it was meant for.
    pub channel: ChannelName,
    /// The error code.
    pub code: ErrorCode,
    /// The reason, as a sentence.
    pub message: String,
    /// The typed text, which the form shows again.
    pub body: String,
}

impl Notice {
    /// The notice as a cookie. `None` if it is too long.
    pub(crate) fn cookie(&self, seal: &Seal, peer: Peer) -> Option<HeaderValue> {
        let text = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_string(self).ok()?);
        let value = format!("{text}.{}", seal.sign(&[b"notice", text.as_bytes()]));
        let cookie = set_cookie(COOKIE, &value, NOTICE_SECONDS, true, peer);
        (value.len() <= NOTICE_COOKIE_BYTES).then(|| HeaderValue::from_str(&cookie).expect("base64 is header text"))
    }

    /// The notice that came with a request, if its seal is valid.
    pub(crate) fn of(headers: &HeaderMap, seal: &Seal) -> Option<Self> {
        let (text, signature) = headers::cookie(headers, COOKIE)?.split_once('.')?;
        seal.verify(&[b"notice", text.as_bytes()], signature)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    /// The cookie that deletes a notice which was shown.
    pub(crate) fn shown(peer: Peer) -> HeaderValue {
        HeaderValue::from_str(&set_cookie(COOKIE, "", 0, true, peer)).expect("the cookie is header text")
    }
}

/// A cookie for all paths of this server. Behind TLS browsers never send it without TLS.
pub(crate) fn set_cookie(name: &str, value: &str, seconds: u32, hidden: bool, peer: Peer) -> String {
    let hidden = if hidden { "; HttpOnly" } else { "" };
    let secure = if peer.secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}{hidden}; SameSite=Lax{secure}")
}
