use super::Id;
use serde::{Deserialize, Serialize};

/// What can go wrong with a request or a command: the one list, with its HTTP status and whether
/// doing the same again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// 400: the channel's name is not one.
    BadChannel,
    /// 400: a cursor is not of the form `epoch.offset`.
    BadCursor,
    /// 400: a parameter or header has a value it cannot have.
    BadParameter,
    /// 400: the body is not what its content type says.
    BadBody,
    /// 400: the idempotency key is empty, too long or not printable.
    BadKey,
    /// 400: a frame on `/live` is not a command.
    BadFrame,
    /// 400: more channels than one subscription may have.
    TooManyChannels,
    /// 403: the page that asks is from another origin.
    ForbiddenOrigin,
    /// 403: the server listens on loopback and was asked for under a foreign name.
    ForbiddenHost,
    /// 404: nothing lives at this path.
    NotFound,
    /// 405: the path does not take this method.
    MethodNotAllowed,
    /// 408: the rest of the request did not arrive in time.
    Timeout,
    /// 412: the channel's last message is not the one that `If-Match` names.
    PreconditionFailed,
    /// 413: the body is larger than `--max-message`.
    TooLarge,
    /// 415: the body is in a character set other than UTF-8.
    UnsupportedCharset,
    /// 422: the key was used within ten minutes for another body.
    KeyConflict,
    /// 500: a defect of the server.
    Internal,
    /// 503: the server is stopping or too busy; nothing was stored.
    Unavailable,
    /// 503: nobody knows whether the message was stored; send it again with the same key.
    Unknown,
    /// 507: the disk is full; nothing was stored.
    StoreFull,
}

impl ErrorCode {
    /// The HTTP status that goes with it.
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

    /// Whether the same request may succeed later, unchanged (with the same idempotency key).
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::Unknown | Self::StoreFull)
    }
}

/// Every error over HTTP: `{"error":{"code","message"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what happened and what to do.
    pub message: String,
    /// With `precondition-failed`: the id of the channel's last message, `null` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Option<Id>>,
}

/// WebSocket close codes (RFC 6455 section 7.4) this server sends. Codes below 4500 say: come back; codes from
/// [`CloseCode::FINAL`] on say that coming back unchanged makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The server is going away; come back after the time the `bye` names.
    GoingAway = 1001,
    /// A frame is larger than this server ever reads; come back, without that frame.
    TooBig = 1009,
    /// The server failed; come back.
    Internal = 1011,
    /// Nothing was heard of the client for a minute; come back.
    Silent = 4000,
}

impl CloseCode {
    /// From here on coming back makes no sense. None is sent today; clients must heed the range.
    pub const FINAL: u16 = 4500;
}
