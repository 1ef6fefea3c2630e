//! Publishing by `POST`: one way, whichever door the request came through.

use super::{
    body::read_body,
    error::HttpError,
    headers,
    params::{ChannelPath, Read},
    request::RequestContext,
    state::App,
    who::Who,
};
use crate::{
    engine::{Appended, Draft},
    session::{Refusal, check_draft},
};
use app::wire::{
    Body, ChannelName, ContentKind, ErrorCode, Id, MediaType, Sender, Time,
    headers::{Expected, if_match},
    sender_name,
};
use axum::{
    body::Body as HttpBody,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// The answer to a publish.
#[derive(Serialize)]
pub(super) struct Published {
    id: Id,
    channel: ChannelName,
    time: Time,
    duplicate: bool,
}

/// `POST /c/{channel}`: the body is the message.
pub(super) async fn post(
    State(app): State<App>,
    ChannelPath(channel): ChannelPath,
    Read(query): Read,
    request: RequestContext,
    body: HttpBody,
) -> Result<Response, HttpError> {
    let params = PublishParams::read(&app, &request.who(&app), &request.headers, query.from)?;
    let body = read_body(&request, body, app.max_message).await?;
    let published = publish(&app, draft(&app, channel, params, body)?).await?;
    Ok(created(published.to_json()))
}

/// 201, with its body.
pub(super) fn created(published: Vec<u8>) -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], published).into_response()
}

/// What a request says of its message, but for the body.
#[derive(Clone)]
pub(super) struct PublishParams {
    from: Sender,
    kind: ContentKind,
    key: Option<String>,
    expected: Option<Expected>,
}

impl PublishParams {
    /// Reads headers; `query_name` is the sender's name in the query, which a header overrides.
    ///
    /// # Errors
    /// Returns an error if a header has a value it cannot have.
    pub(super) fn read(app: &App, who: &Who, all: &HeaderMap, query_name: Option<String>) -> Result<Self, HttpError> {
        let name = headers::text(all, "from-name")?.map(|name| sender_name(&name)).transpose()?;
        Ok(Self {
            from: who.sender(&app.visitors, name.or(query_name)),
            key: headers::text(all, "idempotency-key")?,
            expected: headers::text(all, "if-match")?.map(|value| if_match(&value)).transpose()?,
            kind: content_kind(all)?,
        })
    }
}

/// The message of a request.
///
/// # Errors
/// Returns an error if the body does not fit its content type, or if a parameter does not.
pub(super) fn draft(
    app: &App,
    channel: ChannelName,
    params: PublishParams,
    body: Vec<u8>,
) -> Result<Box<Draft>, HttpError> {
    // Before the body is parsed.
    if body.len() > app.max_message {
        return Err(Refusal::too_large(app.max_message).into());
    }
    let PublishParams { from, kind, key, expected } = params;
    let body = Body::read(kind, body)?;
    Ok(Box::new(check_draft(Draft { channel, from, body, key, expected }, app.max_message)?))
}

/// Publishes a message.
///
/// # Errors
/// Says why the message was not stored.
pub(super) async fn publish(app: &App, draft: Box<Draft>) -> Result<Published, HttpError> {
    let channel = draft.channel.clone();
    let Appended { id, time, duplicate } = app.hub.publish(draft).await?;
    Ok(Published { id, channel, time, duplicate })
}

impl Published {
    /// The body of the answer.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("ids and names are JSON")
    }
}

fn content_kind(all: &HeaderMap) -> Result<ContentKind, HttpError> {
    let Some(text) = headers::text(all, "content-type")? else { return Ok(ContentKind::Guess) };
    let media: mime::Mime = text.parse().map_err(|_| {
        let shown: String = text.chars().take(60).collect();
        HttpError::new(ErrorCode::BadParameter, format!("Content-Type {shown:?} is not a media type"))
    })?;
    let charset = media.get_param(mime::CHARSET).map(|charset| charset.as_str());
    Ok(ContentKind::of(Some(MediaType { essence: media.essence_str(), charset }))?)
}
