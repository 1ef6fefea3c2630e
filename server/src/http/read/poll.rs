//! Reading as one JSON object.

use super::{
    super::{error::HttpError, raw_response::seconds, request::RequestContext, state::App},
    long_poll::{LongPoll, Wait},
    messages::Messages,
    vary,
};
use crate::{
    hub::Until,
    net::{Deadline, Handoff},
};
use app::wire::{ChannelName, ReadParams, Sender};
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;

/// The outcome of a poll.
pub(in super::super) enum Polled {
    /// This, as JSON.
    Now(Answer),
    /// There is nothing yet, and the client waits.
    Later(Box<LongPoll>),
}

/// The body of an answer, and when the client may ask again, if the server stops.
pub(in super::super) struct Answer {
    pub(in super::super) body: Bytes,
    pub(in super::super) retry_after: Option<Duration>,
}

/// Reads messages as `from`, whichever door the request came through.
///
/// # Errors
/// Returns an error if the store cannot be read.
pub(in super::super) async fn read(
    app: &App,
    from: Sender,
    channels: Vec<ChannelName>,
    params: &ReadParams,
) -> Result<Polled, HttpError> {
    let retry_after = app.hub.return_after();
    if let Some(before) = params.before {
        let history = app.hub.history(&channels, Until::Before(before), params.limit).await?;
        let cursor = history.messages.last().map_or(before, |stored| stored.message.id);
        let answer = Messages { messages: history.messages, cursor, more: history.more, missed: history.missed };
        return Ok(Polled::Now(Answer { body: answer.to_json().freeze(), retry_after }));
    }
    let poll = LongPoll::ask(app.hub.clone(), from, channels, params).await?;
    if poll.is_empty() && !params.wait.is_zero() {
        return Ok(Polled::Later(Box::new(poll)));
    }
    Ok(Polled::Now(Answer { body: poll.to_json(), retry_after }))
}

/// Answers through hyper, or hands the connection to the poll that waits.
pub(super) async fn respond(
    app: &App,
    request: &RequestContext,
    channels: Vec<ChannelName>,
    mut params: ReadParams,
) -> Result<Response, HttpError> {
    let from = request.who(app).sender(&app.visitors, params.from.take());
    let mut response = head();
    match read(app, from, channels, &params).await? {
        Polled::Now(Answer { body, retry_after }) => {
            if let Some(after) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(after)));
            }
            Ok(response.map(|_| Body::from(body)))
        }
        Polled::Later(mut poll) => {
            let until = Instant::now() + params.wait;
            Handoff::answer(&mut response, move |mut upgraded, head| async move {
                let wait = Wait { deadline: &mut Deadline::default(), until };
                let goes_on = poll.answer(&mut upgraded, &head.into(), wait).await;
                goes_on.then_some(upgraded)
            });
            Ok(response)
        }
    }
}

/// The answer to a poll, without its body.
pub(in super::super) fn head() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    vary((headers, ()).into_response())
}
