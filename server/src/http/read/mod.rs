//! Reading: `GET /c/{channel}` and `GET /live`, with four kinds of answer.
//!
//! - [`poll`]: JSON now; [`long_poll`]: JSON when there is something. The fast path reads through them too.
//!   [`messages`]: the object; [`poll_sink`]: where it is written.
//! - [`stream`]: Server-Sent Events. [`upgrade`]: a WebSocket. The page is in [`super::page`].

mod long_poll;
mod messages;
pub(super) mod poll;
mod poll_sink;
mod stream;
pub(super) mod upgrade;

pub(super) use long_poll::{LongPoll, Wait};

use super::{
    error::HttpError,
    headers::is_upgrade,
    page,
    params::{ChannelPath, Read},
    request::RequestContext,
    state::App,
};
use crate::session::{Input, channel_set};
use app::wire::{ErrorCode, Representation};
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};

/// `GET /c/{channel}`.
pub(super) async fn channel(
    State(app): State<App>,
    ChannelPath(channel): ChannelPath,
    Read(params): Read,
    request: RequestContext,
) -> Result<Response, HttpError> {
    if is_upgrade(&request.headers) {
        let input = Input::Bodies(channel.clone());
        return upgrade::upgrade(&app, &request, vec![channel], params, input).await;
    }
    match request.wants(&params) {
        Representation::Html => page::channel(&app, &request, channel, params.at).await,
        Representation::Sse => stream::stream(&app, &request, vec![channel], params).await,
        Representation::Json => poll::respond(&app, &request, vec![channel], params).await,
    }
}

/// `GET /live?channels=a,b`: many channels at once; there is no page.
pub(super) async fn live(
    State(app): State<App>,
    Read(params): Read,
    request: RequestContext,
) -> Result<Response, HttpError> {
    let channels = channel_set(params.channels.iter().map(String::as_str))?;
    if is_upgrade(&request.headers) {
        return upgrade::upgrade(&app, &request, channels, params, Input::Commands).await;
    }
    if channels.is_empty() {
        return Err(HttpError::new(ErrorCode::BadParameter, "say which channels: /live?channels=a,b"));
    }
    match request.wants(&params) {
        Representation::Sse => stream::stream(&app, &request, channels, params).await,
        Representation::Json | Representation::Html => poll::respond(&app, &request, channels, params).await,
    }
}

/// The same URL has other answers.
pub(super) fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    response
}
