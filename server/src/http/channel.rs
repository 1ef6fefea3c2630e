//! `GET /c/{channel}`: one URL, four answers.

use super::{
    App, HttpError,
    error::answer,
    negotiate::{Asked, is_upgrade},
    params::reading,
};
use crate::{
    hub::{Start, Subscription, Until},
    session::{Input, Session},
    transport::{
        poll::{self, Poll},
        sse, websocket,
    },
    web,
};
use app::wire::{Answer, ChannelName, ErrorCode, Format, Reading, Sender};
use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use std::sync::Arc;

pub(super) async fn get(State(app): State<App>, Path(channel): Path<String>, request: Request) -> Response {
    let (asked, request) = Asked::take(&app, request);
    match respond(&app, &asked, &channel, request).await {
        Ok(response) => response,
        Err(error) => answer(&app, asked, error).await,
    }
}

async fn respond(app: &App, asked: &Asked, channel: &str, request: Request) -> Result<Response, HttpError> {
    let channel: ChannelName = channel.parse()?;
    let reading = reading(&asked.uri, &asked.headers)?;
    if is_upgrade(&asked.headers) {
        let input = Input::Bodies(channel.clone());
        return upgrade(app, asked, request, vec![channel], reading, input).await;
    }
    match reading.answer.unwrap_or(asked.answer) {
        Answer::Html => {
            // `as=html` may have asked for it: an error is a page then, too.
            let asked = Asked { answer: Answer::Html, ..asked.clone() };
            Ok(web::channel(app, asked, channel, reading.at, None).await)
        }
        Answer::Sse => stream(app, asked, vec![channel], &reading).await,
        Answer::Json => json(app, asked, vec![channel], &reading).await,
    }
}

/// Registers the subscription before the client can see the connection as open.
pub(super) async fn upgrade(
    app: &App,
    asked: &Asked,
    request: Request,
    channels: Vec<ChannelName>,
    reading: Reading,
    input: Input,
) -> Result<Response, HttpError> {
    let handshake = websocket::Handshake::read(request.method(), request.version(), &asked.headers)
        .map_err(|error| HttpError::new(ErrorCode::BadParameter, error.to_string()))?;
    let announce = matches!(input, Input::Commands) && reading.format == Format::Frames;
    let author = Arc::new(asked.sender(app, reading.from.clone()));
    let subscription = subscribe(app, channels, reading.start.unwrap_or(Start::Now)).await?;
    let subscription = subscription.attended_by(Arc::clone(&author));
    // To the plain clients of `/c` every frame is a message.
    let subscription = if announce { subscription.with_presence() } else { subscription.unannounced() };
    let session = Session::new(app.hub.clone(), author, input, app.max_message, subscription);
    Ok(handshake.accept(app.hub.clone(), session, reading.format, announce))
}

pub(super) async fn stream(
    app: &App,
    asked: &Asked,
    channels: Vec<ChannelName>,
    reading: &Reading,
) -> Result<Response, HttpError> {
    let subscription = subscribe(app, channels, reading.start.unwrap_or(Start::Now)).await?;
    let subscription = subscription.attended_by(Arc::new(asked.sender(app, reading.from.clone())));
    let subscription = if reading.format == Format::Frames { subscription.with_presence() } else { subscription };
    Ok(vary(sse::respond(app.hub.clone(), subscription, reading.format)))
}

pub(super) async fn json(
    app: &App,
    asked: &Asked,
    channels: Vec<ChannelName>,
    reading: &Reading,
) -> Result<Response, HttpError> {
    let mut response = polled();
    match ask(app, &asked.sender(app, reading.from.clone()), channels, reading).await? {
        Asking::Answered(body) => {
            // The server stops: the next poll is better not sent at once.
            if let Some(after) = app.hub.return_after() {
                let seconds = after.as_millis().div_ceil(1000) as u64;
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Ok(response.map(|_| Body::from(body)))
        }
        Asking::Waits(poll) => {
            poll.wait(&mut response, app.hub.clone(), reading.wait);
            Ok(response)
        }
    }
}

/// The answer to a poll, but for its body.
pub(super) fn polled() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    vary((headers, ()).into_response())
}

/// What a poll comes to.
pub(super) enum Asking {
    /// This, as JSON.
    Answered(Bytes),
    /// There is nothing yet, and it may wait.
    Waits(Poll),
}

/// Asks for messages, as `from`.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn ask(
    app: &App,
    from: &Sender,
    channels: Vec<ChannelName>,
    reading: &Reading,
) -> Result<Asking, HttpError> {
    if let Some(before) = reading.before {
        let history = app.hub.history(&channels, Until::Before(before), reading.limit).await?;
        let cursor = history.messages.last().map_or(before, |stored| stored.message.id);
        let (messages, missed) = (history.messages, history.missed);
        let answer = poll::Answer { messages, cursor, more: history.more, missed };
        return Ok(Asking::Answered(answer.to_json().freeze()));
    }
    let poll = poll(app, from, channels, reading).await?;
    let waits = poll.is_empty() && !reading.wait.is_zero();
    Ok(if waits { Asking::Waits(poll) } else { Asking::Answered(poll.to_json()) })
}

async fn poll(app: &App, from: &Sender, channels: Vec<ChannelName>, reading: &Reading) -> Result<Poll, HttpError> {
    if reading.continues() {
        app.hub.polled(&channels, from, reading.wait);
    }
    let start = reading.start.unwrap_or(Start::Last(reading.limit));
    let limit = match start {
        Start::Last(count) => count.max(reading.limit),
        Start::Now | Start::After(_) | Start::Earliest => reading.limit,
    };
    let subscription = subscribe(app, channels, start).await?;
    Ok(Poll::ask(subscription, limit).await?)
}

async fn subscribe(app: &App, channels: Vec<ChannelName>, start: Start) -> Result<Subscription, HttpError> {
    Ok(app.hub.subscribe(channels, start).await?)
}

/// The same URL has other answers.
pub(super) fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    response
}
