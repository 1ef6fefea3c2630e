//! Notices shown once: what a form came to is told by the page it leads back to. Between the two they are in a sealed
//! cookie: nothing is kept here, and only we can have written it.

use super::{negotiate::Asked, peer::Peer, seal::Seal};
use app::wire::{ChannelName, ErrorCode};
use axum::http::HeaderValue;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

const COOKIE: &str = "notice";
/// Browsers keep cookies of 4,096 bytes, with their names and attributes.
const COOKIE_BYTES: usize = 3_800;
/// A redirect takes no longer; a notice nobody came for is gone after it.
const SECONDS: u32 = 60;

/// What a form came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// The visitor's name is this one now.
    NameSaved,
    /// The name was none, and why.
    NameRefused(String),
    /// A message was not published.
    MessageRefused(MessageRefused),
}

/// A message that was not published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRefused {
    /// Where it was to go.
    pub channel: ChannelName,
    /// For programs.
    pub code: ErrorCode,
    /// Why.
    pub message: String,
    /// What was typed: it is not lost.
    pub body: String,
}

impl Notice {
    /// As a cookie; none where it is too long for one.
    pub(super) fn cookie(&self, seal: &Seal, peer: Peer) -> Option<HeaderValue> {
        let text = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_string(self).ok()?);
        let value = format!("{text}.{}", seal.sign(&[b"notice", text.as_bytes()]));
        let cookie = set_cookie(COOKIE, &value, SECONDS, true, peer);
        (value.len() <= COOKIE_BYTES).then(|| HeaderValue::from_str(&cookie).expect("base64 is header text"))
    }

    /// The one that came with a request.
    pub(crate) fn of(asked: &Asked, seal: &Seal) -> Option<Self> {
        let (text, signature) = asked.cookie(COOKIE)?.split_once('.')?;
        seal.verify(&[b"notice", text.as_bytes()], signature)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    /// Forgets it: it was shown.
    pub(crate) fn shown(peer: Peer) -> HeaderValue {
        HeaderValue::from_str(&set_cookie(COOKIE, "", 0, true, peer)).expect("the cookie is header text")
    }
}

/// A cookie for all of this server, and for nobody else; behind TLS it never leaves without it.
pub(super) fn set_cookie(name: &str, value: &str, seconds: u32, hidden: bool, peer: Peer) -> String {
    let hidden = if hidden { "; HttpOnly" } else { "" };
    let secure = if peer.secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}{hidden}; SameSite=Lax{secure}")
}
