//! The reading parameters of a request.

use super::HttpError;
use app::wire::{ErrorCode, Reading};
use axum::http::{HeaderMap, HeaderName, Uri};

/// After which message a reader goes on: browsers send it when an EventSource reconnects.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Reads the query and `Last-Event-ID`.
///
/// # Errors
/// A parameter has a value it cannot have.
pub(super) fn reading(uri: &Uri, headers: &HeaderMap) -> Result<Reading, HttpError> {
    let not_text = |_| HttpError::new(ErrorCode::BadCursor, "Last-Event-ID is not an id");
    let last_event_id = headers.get(LAST_EVENT_ID).map(|value| value.to_str().map_err(not_text)).transpose()?;
    Ok(Reading::parse(uri.query().unwrap_or_default(), last_event_id)?)
}
