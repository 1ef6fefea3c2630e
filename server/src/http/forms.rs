//! The forms of the pages, which work without script: they answer with a redirect back to the page.

use super::{
    body::read_form,
    error::HttpError,
    page::{self, add_cookie},
    params::ChannelPath,
    request::RequestContext,
    state::App,
    who::{MessageRefused, Notice, Visitor, Who, YEAR_SECONDS, set_cookie},
};
use crate::{
    engine::Draft,
    session::{Refusal, check_draft},
};
use app::{
    page::Lang,
    wire::{Body, ChannelName, ErrorCode, sender_name},
};
use axum::{
    body::Body as HttpBody,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use std::collections::HashMap;

/// `POST /c/{channel}/say`: `body` and `key`. Always back to the page; a refused message comes back with its text, so that
/// nothing typed is lost.
pub(super) async fn say(
    State(app): State<App>,
    ChannelPath(channel): ChannelPath,
    request: RequestContext,
    body: HttpBody,
) -> Result<Response, HttpError> {
    let form = read_form(&app, &request, body).await?;
    let who = request.who(&app);
    // Browsers send line breaks of a textarea as CR LF (HTML Standard, form submission).
    let text = form.get("body").map(|body| body.replace("\r\n", "\n")).unwrap_or_default();
    let refusal = match publish(&app, &who, channel.clone(), &text, form.get("key").cloned()).await {
        Ok(()) => return Ok(Redirect::to(&channel.path()).into_response()),
        Err(refusal) => refusal,
    };
    let refused = MessageRefused { channel: channel.clone(), code: refusal.code, message: refusal.message, body: text };
    match Notice::MessageRefused(refused.clone()).cookie(app.visitors.seal(), who.peer) {
        Some(cookie) => {
            let mut response = Redirect::to(&channel.path()).into_response();
            add_cookie(&mut response, cookie);
            Ok(response)
        }
        // More than a cookie holds: the answer is the page itself.
        None => page::channel_refusing(&app, &request, refused).await,
    }
}

async fn publish(app: &App, who: &Who, channel: ChannelName, text: &str, key: Option<String>) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(ErrorCode::BadBody, "the message is empty"));
    }
    let from = who.sender(&app.visitors, None);
    let key = key.filter(|key| !key.is_empty());
    let draft = Draft { channel, from, body: Body::Text(text.to_owned()), key, expected: None };
    app.hub.publish(check_draft(draft, app.max_message)?).await?;
    Ok(())
}

/// `POST /name`: `name` and `back`. Always back, where the outcome is told.
pub(super) async fn name(
    State(app): State<App>,
    request: RequestContext,
    body: HttpBody,
) -> Result<Response, HttpError> {
    let form = read_form(&app, &request, body).await?;
    let Who { visitor, peer, .. } = request.who(&app);
    let mut response = back(&form).into_response();
    let notice = match sender_name(form.get("name").map_or("", String::as_str)) {
        Ok(name) => {
            let known = visitor.unwrap_or_else(|| app.visitors.fresh(Lang::En));
            add_cookie(&mut response, app.visitors.cookie(&Visitor { name, ..known }, peer));
            Notice::NameSaved
        }
        Err(error) => Notice::NameRefused(error.message),
    };
    if let Some(cookie) = notice.cookie(app.visitors.seal(), peer) {
        add_cookie(&mut response, cookie);
    }
    Ok(response)
}

/// `POST /lang`: `lang` and `back`.
pub(super) async fn lang(
    State(app): State<App>,
    request: RequestContext,
    body: HttpBody,
) -> Result<Response, HttpError> {
    let form = read_form(&app, &request, body).await?;
    let lang = if form.get("lang").is_some_and(|lang| lang == "ko") { "ko" } else { "en" };
    let cookie = set_cookie("lang", lang, YEAR_SECONDS, false, request.peer);
    let cookie = HeaderValue::from_str(&cookie).expect("the cookie is header text");
    Ok(([(header::SET_COOKIE, cookie)], back(&form)).into_response())
}

/// Back to where the form was, on this server only.
fn back(form: &HashMap<String, String>) -> Redirect {
    let path = form.get("back").map_or("/", String::as_str);
    let ours =
        path.starts_with('/') && !path.starts_with("//") && path.is_ascii() && !path.contains(['\\', '\r', '\n']);
    Redirect::to(if ours { path } else { "/" })
}
