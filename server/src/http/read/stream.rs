//! Reading as Server-Sent Events.

use super::{
    super::{error::HttpError, request::RequestContext, state::App},
    vary,
};
use crate::{hub::Start, transport::sse};
use app::wire::{ChannelName, Format, ReadParams};
use axum::response::Response;
use std::sync::Arc;

/// Registers the subscription before the client can see the stream as open.
pub(super) async fn stream(
    app: &App,
    request: &RequestContext,
    channels: Vec<ChannelName>,
    params: ReadParams,
) -> Result<Response, HttpError> {
    let author = Arc::new(request.who(app).sender(&app.visitors, params.from));
    let subscription = app.hub.subscribe(channels, params.start.unwrap_or(Start::Now)).await?.attended_by(author);
    let subscription = if params.format == Format::Frames { subscription.with_presence() } else { subscription };
    Ok(vary(sse::respond(app.hub.clone(), subscription, params.format)))
}
