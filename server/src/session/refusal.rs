//! Why a request or a command is refused: one type for every transport.

use crate::engine::{AppendError, ReadError};
use app::wire::{BodyError, ErrorCode, Frame, Id, NameError, ParamError, Ref};

/// A refusal: a code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// What happened and what to do.
    pub message: String,
    /// The channel's last message, where that is the reason.
    pub last: Option<Option<Id>>,
}

impl Refusal {
    /// A refusal in words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), last: None }
    }

    /// The refusal of a body over the limit.
    pub fn too_large(max: usize) -> Self {
        Self::new(ErrorCode::TooLarge, format!("a message has at most {max} bytes here (--max-message)"))
    }

    /// The refusal as an answer to a command.
    pub fn frame(self, reference: Option<Ref>) -> Frame {
        Frame::Error { reference, code: self.code, message: self.message }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        let code = match error {
            AppendError::KeyConflict => ErrorCode::KeyConflict,
            AppendError::NotLast(_) => ErrorCode::PreconditionFailed,
            AppendError::Full => ErrorCode::StoreFull,
            AppendError::Closed | AppendError::Unavailable(_) => ErrorCode::Unavailable,
            AppendError::Unknown => ErrorCode::Unknown,
            AppendError::Store(_) => ErrorCode::Internal,
        };
        let message = error.to_string();
        let last = if let AppendError::NotLast(last) = error { Some(last) } else { None };
        Self { code, message, last }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::new(ErrorCode::Internal, error.to_string())
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::new(ErrorCode::BadChannel, error.to_string())
    }
}

impl From<ParamError> for Refusal {
    fn from(error: ParamError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let code =
            if matches!(error, BodyError::Charset(_)) { ErrorCode::UnsupportedCharset } else { ErrorCode::BadBody };
        Self::new(code, error.to_string())
    }
}
