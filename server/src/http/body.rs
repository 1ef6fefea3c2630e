//! The body of a request, within its bounds of size and time.

use super::{error::HttpError, request::RequestContext, state::App};
use crate::{limits::BODY_TIMEOUT, session::Refusal};
use app::wire::{ErrorCode, limits::COMMAND_OVERHEAD_BYTES};
use axum::{body::Body, http::header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::collections::HashMap;

/// The whole body.
///
/// # Errors
/// Returns an error if the body is larger than `max`, or does not arrive whole and in time.
pub(super) async fn read_body(request: &RequestContext, body: Body, max: usize) -> Result<Vec<u8>, HttpError> {
    let announced =
        request.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    if announced.is_some_and(|length: u64| length > max as u64) {
        return Err(Refusal::too_large(max).into());
    }
    let whole = Limited::new(body, max).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large(max).into()),
        Ok(Err(error)) => Err(HttpError::new(ErrorCode::BadBody, format!("the body did not arrive whole: {error}"))),
        Err(_) => Err(HttpError::new(ErrorCode::Timeout, "the body did not arrive within 30 seconds")),
    }
}

/// A form of small fields and one message. Form encoding is decoded here and nowhere else.
///
/// # Errors
/// Returns the errors of [`read_body`].
pub(super) async fn read_form(
    app: &App,
    request: &RequestContext,
    body: Body,
) -> Result<HashMap<String, String>, HttpError> {
    // Percent-encoding takes three bytes for one.
    let bytes = read_body(request, body, app.max_message * 3 + COMMAND_OVERHEAD_BYTES).await?;
    Ok(form_urlencoded::parse(&bytes).into_owned().collect())
}
