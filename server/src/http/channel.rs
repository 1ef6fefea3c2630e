//! `GET /c/{channel}`: one URL, four answers.

use super::{
    App, HttpError,
    error::answer,
    negotiate::{Answer, Asked, is_upgrade},
    params::Reading,
    serve::Place,
};
use crate::{
    hub::{Start, Subscription, Until},
    session::{Input, Session},
    transport::{
        Format, poll, sse,
        websocket::{self, Look},
    },
    web,
};
use app::wire::{ChannelName, ErrorCode};
use axum::{
    extract::{FromRequestParts, Path, Request, State, ws::WebSocketUpgrade},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

pub(super) async fn get(State(app): State<App>, Path(channel): Path<String>, request: Request) -> Response {
    let asked = Asked::from_request(&app, &request);
    match respond(&app, &asked, &channel, request).await {
        Ok(response) => response,
        Err(error) => answer(&app, asked, error).await,
    }
}

async fn respond(app: &App, asked: &Asked, channel: &str, request: Request) -> Result<Response, HttpError> {
    let channel: ChannelName = channel.parse()?;
    let reading = Reading::parse(&asked.uri, &asked.headers)?;
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
        Answer::Sse => stream(app, vec![channel], &reading).await,
        Answer::Json => json(app, vec![channel], &reading).await,
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
    let (mut parts, _) = request.into_parts();
    let socket = WebSocketUpgrade::from_request_parts(&mut parts, app)
        .await
        .map_err(|rejection| HttpError::new(ErrorCode::BadParameter, rejection.to_string()))?;
    let announce = matches!(input, Input::Commands) && reading.format == Format::Frames;
    let subscription = subscribe(app, channels, reading.start.unwrap_or(Start::Now)).await?;
    let subscription = if announce { subscription } else { subscription.unannounced() };
    let author = asked.sender(app, reading.from);
    let session = Session::new(app.hub.clone(), author, input, app.max_message, subscription);
    let place = parts.extensions.get::<Place>().cloned();
    let look = Look { format: reading.format, announce };
    Ok(websocket::upgrade(socket, app.hub.clone(), session, look, place))
}

pub(super) async fn stream(app: &App, channels: Vec<ChannelName>, reading: &Reading) -> Result<Response, HttpError> {
    let subscription = subscribe(app, channels, reading.start.unwrap_or(Start::Now)).await?;
    Ok(vary(sse::respond(app.hub.clone(), subscription, reading.format)))
}

pub(super) async fn json(app: &App, channels: Vec<ChannelName>, reading: &Reading) -> Result<Response, HttpError> {
    let answer = match reading.before {
        Some(before) => {
            let history = app.hub.history(&channels, Until::Before(before), reading.limit).await?;
            let cursor = history.messages.last().map_or(before, |stored| stored.message.id);
            poll::Answer { messages: history.messages, cursor, more: history.more, missed: history.missed }
        }
        None => {
            let start = reading.start.unwrap_or(Start::Last(reading.limit));
            let limit = match start {
                Start::Last(count) => count.max(reading.limit),
                Start::Now | Start::After(_) | Start::Earliest => reading.limit,
            };
            let subscription = subscribe(app, channels, start).await?;
            poll::take(&app.hub, subscription, limit, reading.wait).await?
        }
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok(vary((headers, answer.to_json().freeze()).into_response()))
}

async fn subscribe(app: &App, channels: Vec<ChannelName>, start: Start) -> Result<Subscription, HttpError> {
    Ok(app.hub.subscribe(channels, start).await?)
}

/// The same URL has other answers.
pub(super) fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    response
}
