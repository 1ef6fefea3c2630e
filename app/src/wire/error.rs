//! Error codes for requests and commands, the JSON body of an HTTP error, and WebSocket close codes.

use super::Id;
use serde::{Deserialize, Serialize};

/// Everything that can go wrong with a request or a command. Each code has an HTTP status and says whether a retry can
/// succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// 400: the channel name is invalid.
    BadChannel,
    /// 400: a cursor does not have the form `epoch.offset`.
    BadCursor,
    /// 400: a parameter or header has an invalid value.
    BadParameter,
    /// 400: the body does not match its content type.
    BadBody,
    /// 400: the idempotency key is empty, too long or not printable.
    BadKey,
    /// 400: a frame on `/live` is not a command.
    BadFrame,
    /// 400: the subscription has too many channels.
    TooManyChannels,
    /// 403: the request comes from a page of another origin.
    ForbiddenOrigin,
    /// 403: the server listens on loopback only, and the `Host` header names another host.
    ForbiddenHost,
    /// 404: the path does not exist.
    NotFound,
    /// 405: the path does not support this method.
    MethodNotAllowed,
    /// 408: the rest of the request did not arrive in time.
    Timeout,
    /// 412: `If-Match` does not name the channel's last message.
    PreconditionFailed,
    /// 413: the body is larger than `--max-message`.
    TooLarge,
    /// 415: the body is in a character set other than UTF-8.
    UnsupportedCharset,
    /// 422: the key was used for another body in the last ten minutes.
    KeyConflict,
    /// 500: a defect in the server.
    Internal,
    /// 503: the server is stopping or too busy; nothing was stored.
    Unavailable,
    /// 503: the server cannot tell whether the message was stored; send it again with the same key.
    Unknown,
    /// 507: the disk is full; nothing was stored.
    StoreFull,
}

impl ErrorCode {
    /// The HTTP status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::BadChannel
            | Self::BadCursor
            | Self::BadParameter
            | Self::BadBody
            | Self::BadKey
            | Self::BadFrame
            | Self::TooManyChannels => 400,
            Self::ForbiddenOrigin | Self::ForbiddenHost => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Timeout => 408,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::UnsupportedCharset => 415,
            Self::KeyConflict => 422,
            Self::Internal => 500,
            Self::Unavailable | Self::Unknown => 503,
            Self::StoreFull => 507,
        }
    }

    /// Whether the same request, with the same idempotency key, may succeed later.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::Unknown | Self::StoreFull)
    }
}

/// The body of every HTTP error: `{"error":{"code","message"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// One error, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// The code, for programs.
    pub code: ErrorCode,
    /// An explanation for people: what happened and what to do.
    pub message: String,
    /// Present with `precondition-failed`: the id of the channel's last message, `null` if the channel is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Option<Id>>,
}

/// The WebSocket close codes (RFC 6455 section 7.4) that this server sends. A client reconnects after a code below
/// [`CloseCode::FINAL`]; after that code or a higher one, an unchanged client would be refused again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The server is shutting down. Reconnect after the time in the `bye` frame.
    GoingAway = 1001,
    /// A frame is larger than this server accepts. Reconnect, but do not send that frame again.
    TooBig = 1009,
    /// The server failed. Reconnect.
    Internal = 1011,
    /// The client was silent for a minute. Reconnect.
    Silent = 4000,
}

impl CloseCode {
    /// The first code after which a client must not reconnect. The server sends none of them today, but clients must
    /// respect the range.
    pub const FINAL: u16 = 4500;
}
