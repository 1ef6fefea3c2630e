use super::{App, negotiate};
use crate::{session::Refusal, web};
use app::wire::{Answer, ErrorBody, ErrorCode, ErrorDetail};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// A refusal as an HTTP answer: right status, `{"error":{"code","message"}}`.
#[derive(Clone, Debug)]
pub struct HttpError(pub Refusal);

impl HttpError {
    /// An error in words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Refusal::new(code, message))
    }
}

impl<R: Into<Refusal>> From<R> for HttpError {
    fn from(refusal: R) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let Refusal { code, message, last } = self.0;
        if code == ErrorCode::Internal {
            tracing::error!(error = message, "a request failed");
        }
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(ErrorBody { error: ErrorDetail { code, message, last } })).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if code.is_temporary() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

/// The error as whoever asked can read it: a page for browsers, JSON for programs.
pub(super) async fn answer(app: &App, request: negotiate::Asked, error: HttpError) -> Response {
    if request.answer == Answer::Html {
        return web::problem(app, request, &error.0).await;
    }
    error.into_response()
}

pub(super) async fn not_found(State(app): State<App>, request: Request) -> Response {
    let error = HttpError::new(ErrorCode::NotFound, "nothing lives here; channels are at /c/NAME");
    answer(&app, negotiate::Asked::take(&app, request).0, error).await
}

pub(super) async fn method_not_allowed() -> Response {
    HttpError::new(ErrorCode::MethodNotAllowed, "this path does not take this method; publish with POST /c/NAME")
        .into_response()
}
