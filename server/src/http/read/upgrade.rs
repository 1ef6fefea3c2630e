//! Reading over a WebSocket.

use super::super::{error::HttpError, request::RequestContext, state::App};
use crate::{
    hub::Start,
    session::{Input, Session},
    transport::websocket::{self, Handshake},
};
use app::wire::{ChannelName, ErrorCode, Format, ReadParams};
use axum::response::Response;
use std::sync::Arc;

/// Registers the subscription before the client can see the WebSocket as open.
pub(super) async fn upgrade(
    app: &App,
    request: &RequestContext,
    channels: Vec<ChannelName>,
    params: ReadParams,
    input: Input,
) -> Result<Response, HttpError> {
    let handshake = handshake(request)?;
    let announce = matches!(input, Input::Commands) && params.format == Format::Frames;
    let author = Arc::new(request.who(app).sender(&app.visitors, params.from));
    let subscription = app.hub.subscribe(channels, params.start.unwrap_or(Start::Now)).await?;
    let subscription = subscription.attended_by(Arc::clone(&author));
    // The plain clients of `/c` take every frame for a message.
    let subscription = if announce { subscription.with_presence() } else { subscription.unannounced() };
    let session = Session::new(app.hub.clone(), author, input, app.max_message, subscription);
    Ok(websocket::respond(handshake, app.hub.clone(), session, params.format, announce))
}

/// The opening handshake of a request.
///
/// # Errors
/// Returns an error if the handshake is not valid.
pub(in super::super) fn handshake(request: &RequestContext) -> Result<Handshake, HttpError> {
    Handshake::read(&request.method, request.version, &request.headers)
        .map_err(|error| HttpError::new(ErrorCode::BadParameter, error.to_string()))
}
