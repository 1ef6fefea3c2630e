//! `GET /live?channels=a,b`: many channels at once.

use super::{
    App, HttpError, channel,
    negotiate::{Asked, is_upgrade},
    params::reading,
};
use crate::session::{Input, channel_set};
use app::wire::{Answer, ErrorCode};
use axum::{
    extract::{Request, State},
    response::Response,
};

pub(super) async fn get(State(app): State<App>, request: Request) -> Result<Response, HttpError> {
    let (asked, request) = Asked::take(&app, request);
    let reading = reading(&asked.uri, &asked.headers)?;
    let channels = channel_set(reading.channels.iter().map(String::as_str))?;
    if is_upgrade(&asked.headers) {
        return channel::upgrade(&app, &asked, request, channels, reading, Input::Commands).await;
    }
    if channels.is_empty() {
        return Err(HttpError::new(ErrorCode::BadParameter, "say which channels: /live?channels=a,b"));
    }
    match reading.answer.unwrap_or(asked.answer) {
        Answer::Sse => channel::stream(&app, &asked, channels, &reading).await,
        Answer::Json | Answer::Html => channel::json(&app, &asked, channels, &reading).await,
    }
}
