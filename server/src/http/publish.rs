//! Publishing by POST.

use super::{
    App, HttpError,
    negotiate::Asked,
    notice::{MessageRefused, Notice},
    params::reading,
};
use crate::{
    engine::{Appended, Draft},
    limits::BODY_TIMEOUT,
    session::{self, Refusal},
    web,
};
use app::{
    page::Refused,
    wire::{
        Body, ChannelName, ContentKind, ErrorCode, Id, MediaType, Sender, Time,
        headers::{self, Expected},
        limits, sender_name,
    },
};
use axum::{
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use std::collections::HashMap;

/// The answer to a publish: 201.
#[derive(Serialize)]
struct Published {
    id: Id,
    channel: ChannelName,
    time: Time,
    duplicate: bool,
}

/// `POST /c/{channel}`: the body is the message.
pub(super) async fn post(
    State(app): State<App>,
    Path(channel): Path<String>,
    request: Request,
) -> Result<Response, HttpError> {
    let channel: ChannelName = channel.parse()?;
    let (asked, request) = Asked::take(&app, request);
    let reading = reading(&asked.uri, &asked.headers)?;
    let mut headers = PublishHeaders::read(&asked.headers)?;
    let from = asked.sender(&app, headers.name.take().or(reading.from));
    let body = read_body(&asked, request, app.max_message).await?;
    Ok(created(publish(&app, draft(&app, channel, from, headers, body)?).await?))
}

/// The answer to a publish.
pub(super) fn created(published: Vec<u8>) -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], published).into_response()
}

/// What the headers of a publish say of the message.
#[derive(Clone)]
pub(super) struct PublishHeaders {
    /// Who sends it.
    pub(super) name: Option<String>,
    kind: ContentKind,
    key: Option<String>,
    expected: Option<Expected>,
}

impl PublishHeaders {
    /// Reads them.
    ///
    /// # Errors
    /// One of them has a value it cannot have.
    pub(super) fn read(all: &HeaderMap) -> Result<Self, HttpError> {
        Ok(Self {
            name: header_text(all, "from-name")?.map(|name| sender_name(&name)).transpose()?,
            key: header_text(all, "idempotency-key")?,
            expected: header_text(all, "if-match")?.map(|value| headers::if_match(&value)).transpose()?,
            kind: content_kind(all)?,
        })
    }
}

/// The message of a request.
///
/// # Errors
/// The body is not one, or a header does not fit.
pub(super) fn draft(
    app: &App,
    channel: ChannelName,
    from: Sender,
    headers: PublishHeaders,
    body: Vec<u8>,
) -> Result<Box<Draft>, HttpError> {
    // Before it is looked into.
    if body.len() > app.max_message {
        return Err(session::too_large(app.max_message).into());
    }
    let body = Body::read(headers.kind, body)?;
    let draft = session::draft(channel, from, body, headers.key, app.max_message)?;
    Ok(Box::new(Draft { expected: headers.expected, ..draft }))
}

/// Publishes a message; the answer as JSON.
///
/// # Errors
/// The message was not stored.
pub(super) async fn publish(app: &App, draft: Box<Draft>) -> Result<Vec<u8>, HttpError> {
    let channel = draft.channel.clone();
    let Appended { id, time, duplicate } = app.hub.publish(draft).await?;
    // Readers first: the publisher has its answer a write later.
    app.hub.hurry();
    let published = Published { id, channel, time, duplicate };
    Ok(serde_json::to_vec(&published).expect("ids and names are JSON"))
}

/// `POST /c/{channel}/say`: the page's form without script. Always back to the page: a refused message with
/// its text, so that nothing typed is lost.
pub(super) async fn say(
    State(app): State<App>,
    Path(channel): Path<String>,
    request: Request,
) -> Result<Response, HttpError> {
    let channel: ChannelName = channel.parse()?;
    let (asked, request) = Asked::take(&app, request);
    let form = read_form(&app, &asked, request).await?;
    // Browsers send line breaks of a textarea as CR LF (HTML Standard, form submission).
    let text = form.get("body").map(|body| body.replace("\r\n", "\n")).unwrap_or_default();
    match publish_form(&app, &asked, channel.clone(), &text, form.get("key").cloned()).await {
        Ok(()) => Ok(Redirect::to(&channel.path()).into_response()),
        Err(Refusal { code, message, .. }) => {
            let refused = MessageRefused { channel, code, message, body: text };
            match Notice::MessageRefused(refused.clone()).cookie(app.visitors.seal(), asked.peer) {
                Some(cookie) => {
                    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&refused.channel.path())).into_response())
                }
                // More than a cookie holds: the answer is the page itself.
                None => {
                    let MessageRefused { channel, code, message, body } = refused;
                    let refused = Refused { message, body };
                    Ok(web::channel(&app, asked, channel, None, Some((code, refused))).await)
                }
            }
        }
    }
}

async fn publish_form(
    app: &App,
    asked: &Asked,
    channel: ChannelName,
    text: &str,
    key: Option<String>,
) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(ErrorCode::BadBody, "the message is empty"));
    }
    let body = Body::Text(text.to_owned());
    let key = key.filter(|key| !key.is_empty());
    let draft = session::draft(channel, asked.sender(app, None), body, key, app.max_message)?;
    app.hub.publish(draft).await?;
    Ok(())
}

/// A form of small fields beside one message. Form encoding is decoded here and nowhere else.
pub(super) async fn read_form(
    app: &App,
    asked: &Asked,
    request: Request,
) -> Result<HashMap<String, String>, HttpError> {
    // Percent-encoding takes three bytes for one.
    let bytes = read_body(asked, request, app.max_message * 3 + limits::COMMAND_OVERHEAD_BYTES).await?;
    Ok(form_urlencoded::parse(&bytes).into_owned().collect())
}

async fn read_body(asked: &Asked, request: Request, max: usize) -> Result<Vec<u8>, HttpError> {
    let announced =
        asked.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    if announced.is_some_and(|length: u64| length > max as u64) {
        return Err(session::too_large(max).into());
    }
    let whole = Limited::new(request.into_body(), max).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(session::too_large(max).into()),
        Ok(Err(error)) => Err(HttpError::new(ErrorCode::BadBody, format!("the body did not arrive whole: {error}"))),
        Err(_) => Err(HttpError::new(ErrorCode::Timeout, "the body did not arrive within 30 seconds")),
    }
}

fn content_kind(headers: &HeaderMap) -> Result<ContentKind, HttpError> {
    let Some(text) = header_text(headers, "content-type")? else { return Ok(ContentKind::Guess) };
    let media: mime::Mime = text.parse().map_err(|_| {
        let shown: String = text.chars().take(60).collect();
        HttpError::new(ErrorCode::BadParameter, format!("Content-Type {shown:?} is not a media type"))
    })?;
    let charset = media.get_param(mime::CHARSET).map(|charset| charset.as_str());
    Ok(ContentKind::of(Some(MediaType { essence: media.essence_str(), charset }))?)
}

/// A header as UTF-8 text: curl and browsers send names in any script so.
fn header_text(headers: &HeaderMap, name: &str) -> Result<Option<String>, HttpError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| HttpError::new(ErrorCode::BadParameter, format!("the header {name} is not UTF-8")))?;
    Ok(Some(text.to_owned()))
}
