//! Answers that are pages: plain values for `pages`, and the cookies that go with them.

use super::{
    error::{HttpError, status_of},
    headers::{cookie, lang},
    origin::host,
    request::RequestContext,
    state::App,
    who::{MessageRefused, Notice, Who},
};
use crate::pages::{self, Viewer};
use app::{
    page::{self, Home, Problem, Refused, Screen},
    wire::{ChannelName, Id},
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

/// A time zone is at most 14 hours from UTC.
const ZONE_MINUTES: i16 = 14 * 60;

/// `/`
pub(super) async fn home(app: &App, request: &RequestContext) -> Result<Response, HttpError> {
    let channels = app.hub.channels(0).await?;
    Ok(render(app, request, Screen::Home(Home { channels }), StatusCode::OK).await)
}

/// `/c/{channel}`, with a message to show. A message that a form could not publish comes back in a notice.
pub(super) async fn channel(
    app: &App,
    request: &RequestContext,
    name: ChannelName,
    at: Option<Id>,
) -> Result<Response, HttpError> {
    let refused = match Notice::of(&request.headers, app.visitors.seal()) {
        Some(Notice::MessageRefused(MessageRefused { channel, message, body, .. })) if channel == name => {
            Some(Refused { message, body })
        }
        _ => None,
    };
    let channel = pages::channel(&app.hub, name, at, refused, app.max_message).await?;
    Ok(render(app, request, Screen::Channel(Box::new(channel)), StatusCode::OK).await)
}

/// `/c/{channel}` with a message that the form of this request could not publish.
pub(super) async fn channel_refusing(
    app: &App,
    request: &RequestContext,
    refused: MessageRefused,
) -> Result<Response, HttpError> {
    let MessageRefused { channel, code, message, body } = refused;
    let refused = Some(Refused { message, body });
    let channel = pages::channel(&app.hub, channel, None, refused, app.max_message).await?;
    Ok(render(app, request, Screen::Channel(Box::new(channel)), status_of(code)).await)
}

/// An error.
pub(super) async fn problem(app: &App, request: &RequestContext, error: &HttpError) -> Response {
    let status = error.status();
    let screen = Screen::Problem(Problem { status: status.as_u16(), message: error.0.message.clone() });
    render(app, request, screen, status).await
}

async fn render(app: &App, request: &RequestContext, screen: Screen, status: StatusCode) -> Response {
    let Who { visitor, has_current_cookie, peer, .. } = request.who(app);
    let lang = lang(&request.headers);
    let visitor = visitor.unwrap_or_else(|| app.visitors.fresh(lang));
    let zone = cookie(&request.headers, "tz").and_then(|zone| zone.parse::<i16>().ok());
    let notice = Notice::of(&request.headers, app.visitors.seal());
    let viewer = Viewer {
        visitor: visitor.sender(),
        lang,
        zone: zone.filter(|zone| zone.abs() <= ZONE_MINUTES),
        // Behind a proxy that ends TLS the address bar says https: commands that the page shows must, too.
        scheme: if peer.secure { "https" } else { "http" },
        host: host(&request.headers, &request.uri).unwrap_or("localhost").to_owned(),
        uri: request.uri.clone(),
        notice: match &notice {
            Some(Notice::NameSaved) => Some(page::Notice::NameSaved),
            Some(Notice::NameRefused(why)) => Some(page::Notice::NameRefused(why.clone())),
            Some(Notice::MessageRefused(_)) | None => None,
        },
    };
    let mut response = app.renderer.render(viewer, screen, status).await;
    // A visitor who comes for the first time gets the cookie with the first page; one under an old secret a new one.
    if !has_current_cookie {
        add_cookie(&mut response, app.visitors.cookie(&visitor, peer));
    }
    if notice.is_some() {
        add_cookie(&mut response, Notice::shown(peer));
    }
    response
}

/// Adds a cookie to a response.
pub(super) fn add_cookie(response: &mut Response, cookie: HeaderValue) {
    response.headers_mut().append(header::SET_COOKIE, cookie);
}
