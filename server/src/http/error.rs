//! A refusal as an HTTP answer.

use crate::session::Refusal;
use app::wire::{ErrorBody, ErrorCode, ErrorDetail};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// A refusal as an HTTP answer: the right status, and `{"error":{"code","message"}}`. Handlers return it; the router makes
/// a page of it for a request that wants one.
#[derive(Clone, Debug)]
pub struct HttpError(pub Refusal);

impl HttpError {
    /// An error in words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Refusal::new(code, message))
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        status_of(self.0.code)
    }

    /// As JSON.
    pub(super) fn body(&self) -> ErrorBody {
        let Refusal { code, message, last } = self.0.clone();
        ErrorBody { error: ErrorDetail { code, message, last } }
    }
}

/// The status of an error code.
pub(super) fn status_of(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl<R: Into<Refusal>> From<R> for HttpError {
    fn from(refusal: R) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for HttpError {
    /// JSON. The error itself travels in the extensions, for the router.
    fn into_response(self) -> Response {
        let code = self.0.code;
        if code == ErrorCode::Internal {
            tracing::error!(error = self.0.message, "a request failed");
        }
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if code.is_temporary() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
