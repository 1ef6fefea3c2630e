//! `/socket.io/`: where Socket.IO clients come in.

use super::{
    App, HttpError,
    negotiate::{Asked, is_upgrade},
};
use crate::transport::{
    socket_io::{Introduce, SocketIo},
    websocket::Handshake,
};
use app::wire::ErrorCode;
use axum::{extract::Request, response::Response};
use std::sync::Arc;

/// Answers a request to one of the paths of Socket.IO.
pub(super) async fn answer(app: &App, at: &SocketIo, request: Request) -> Result<Response, HttpError> {
    let (asked, mut request) = Asked::take(app, request);
    let introduce = introducer(app, &asked);
    let answer = if is_upgrade(&asked.headers) {
        let handshake = Handshake::read(request.method(), request.version(), &asked.headers)
            .map_err(|error| HttpError::new(ErrorCode::BadParameter, error.to_string()))?;
        at.upgrade(handshake, &asked.uri, introduce)
    } else {
        (*request.uri_mut(), *request.headers_mut()) = (asked.uri, asked.headers);
        at.poll(request, introduce).await
    };
    answer.map_err(|full| HttpError::new(ErrorCode::Unavailable, full.to_string()))
}

/// Knows who speaks for as long as the session lives, without keeping the request.
fn introducer(app: &App, asked: &Asked) -> Introduce {
    let (app, speaker) = (app.clone(), asked.speaker());
    Arc::new(move |name| speaker.sender(&app, name))
}
