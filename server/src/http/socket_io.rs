//! `/socket.io/`: where Socket.IO clients come in.

use super::{error::HttpError, headers::is_upgrade, read::upgrade::handshake, request::RequestContext, state::App};
use crate::transport::socket_io::{Introduce, SocketIo};
use app::wire::ErrorCode;
use axum::{extract::Request, response::Response};
use std::sync::Arc;

/// Answers a request to one of the paths of Socket.IO.
///
/// # Errors
/// Returns an error if the handshake is not valid, or if there are too many sessions.
pub(super) async fn answer(
    app: &App,
    at: &SocketIo,
    context: &RequestContext,
    mut request: Request,
) -> Result<Response, HttpError> {
    let introduce = introducer(app, context);
    let answer = if is_upgrade(&context.headers) {
        at.upgrade(handshake(context)?, &context.uri, introduce)
    } else {
        *request.headers_mut() = context.headers.clone();
        at.poll(request, introduce).await
    };
    answer.map_err(|full| HttpError::new(ErrorCode::Unavailable, full.to_string()))
}

/// Says who speaks for as long as the session lives, without keeping the request.
fn introducer(app: &App, context: &RequestContext) -> Introduce {
    let (app, who) = (app.clone(), context.who(app));
    Arc::new(move |name| who.sender(&app.visitors, name))
}
