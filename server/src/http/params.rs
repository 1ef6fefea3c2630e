//! Parameters of a request as extractors: the channel in its path, and how to read.

use super::{error::HttpError, request::RequestContext, state::App};
use app::wire::{ChannelName, ErrorCode, ReadParams};
use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderMap, HeaderName, Uri, request::Parts},
};

/// The message after which a reader continues. Browsers send it when an EventSource reconnects.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The channel of `/c/{channel}`.
pub(super) struct ChannelPath(pub(super) ChannelName);

impl FromRequestParts<App> for ChannelPath {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        let Path(name) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|_| HttpError::new(ErrorCode::BadChannel, "a channel's name is percent-encoded UTF-8"))?;
        Ok(Self(name.parse()?))
    }
}

impl FromRequestParts<App> for Read {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        let Ok(request) = RequestContext::from_request_parts(parts, app).await;
        read_params(&request.uri, &request.headers).map(Self)
    }
}

/// The reading parameters.
pub(super) struct Read(pub(super) ReadParams);

/// Reads the query and `Last-Event-ID`.
///
/// # Errors
/// Returns an error if a parameter has a value it cannot have.
pub(super) fn read_params(uri: &Uri, headers: &HeaderMap) -> Result<ReadParams, HttpError> {
    let not_text = |_| HttpError::new(ErrorCode::BadCursor, "Last-Event-ID is not an id");
    let last_event_id = headers.get(LAST_EVENT_ID).map(|value| value.to_str().map_err(not_text)).transpose()?;
    Ok(ReadParams::parse(uri.query().unwrap_or_default(), last_event_id)?)
}
