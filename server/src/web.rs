//! The pages, rendered by Leptos on the server, and the files they load, which are part of the binary.

use crate::{
    clock,
    http::App,
    http::{Asked, MessageRefused, Notice, host_of},
    hub::Until,
    session::Refusal,
};
use app::{
    Shell, chart,
    page::{Channel, Home, Page, Problem, Refused, Screen},
    wire::{ChannelName, ErrorCode, Id},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

/// Messages a channel page begins with.
const PAGE_MESSAGES: usize = 50;
/// Older messages whose numbers the chart begins with: five minutes at one a second.
const CHART_MESSAGES: usize = 300;
/// Messages a page of history may be behind and still go on live.
const CONTINUED_MESSAGES: usize = 300;
/// Channels in the side column.
const SIDE_CHANNELS: usize = 20;

/// `/`
pub async fn home(app: &App, asked: Asked) -> Response {
    match app.hub.channels(0).await {
        Ok(channels) => render(app, asked, Screen::Home(Home { channels }), StatusCode::OK).await,
        Err(error) => problem(app, asked, &error.into()).await,
    }
}

/// `/c/{channel}`, with a message to show, or with a form post that was refused.
pub async fn channel(
    app: &App,
    asked: Asked,
    name: ChannelName,
    at: Option<Id>,
    refused: Option<(ErrorCode, Refused)>,
) -> Response {
    let (code, refused) = refused.unzip();
    let refused = refused.or_else(|| match Notice::of(&asked, app.visitors.seal()) {
        Some(Notice::MessageRefused(MessageRefused { channel, message, body, .. })) if channel == name => {
            Some(Refused { message, body })
        }
        _ => None,
    });
    let status = code.and_then(|code| StatusCode::from_u16(code.status()).ok()).unwrap_or(StatusCode::OK);
    match snapshot(app, name, at, refused).await {
        Ok(channel) => render(app, asked, Screen::Channel(Box::new(channel)), status).await,
        Err(error) => problem(app, asked, &error).await,
    }
}

/// What a channel's page begins with. The cursor is the last message shown, or the head when it was read:
/// what comes later comes to the page over its connection.
async fn snapshot(app: &App, name: ChannelName, at: Option<Id>, refused: Option<Refused>) -> Result<Channel, Refusal> {
    let channels = [name.clone()];
    let cursor = app.hub.cursor(app.hub.head());
    // A link to a message shows the page that ends shortly after it.
    let until = match at {
        Some(at) => app.hub.some_after(&name, at, PAGE_MESSAGES / 2).await?.unwrap_or(cursor),
        None => cursor,
    };
    let history = app.hub.history(&channels, Until::At(until), CHART_MESSAGES).await?;
    let split = history.messages.len().saturating_sub(PAGE_MESSAGES);
    let (earlier, shown) = history.messages.split_at(split);
    let side = app.hub.channels(0).await?;
    let cursor = match (at, shown.last()) {
        (Some(_), Some(last)) => last.message.id,
        _ => cursor,
    };
    let here = app.hub.here(&name);
    Ok(Channel {
        continues: at.is_none() || app.hub.is_near(&name, cursor, CONTINUED_MESSAGES).await?,
        name,
        messages: shown.iter().map(|stored| stored.message.clone()).collect(),
        readings: earlier.iter().filter_map(|stored| chart::readings(&stored.message)).collect(),
        cursor,
        older: split > 0 || history.more,
        at,
        channels: side.into_iter().map(|entry| entry.channel).take(SIDE_CHANNELS).collect(),
        form_key: format!("form-{:016x}", getrandom::u64().unwrap_or_default()),
        refused,
        max_message: app.max_message,
        here,
    })
}

/// An error as a page.
pub async fn problem(app: &App, asked: Asked, refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let screen = Screen::Problem(Problem { status: status.as_u16(), message: refusal.message.clone() });
    render(app, asked, screen, status).await
}

async fn render(app: &App, asked: Asked, screen: Screen, status: StatusCode) -> Response {
    let lang = asked.lang();
    let visitor = asked.visitor.clone().unwrap_or_else(|| app.visitors.fresh(lang));
    let zone = asked.cookie("tz").and_then(|zone| zone.parse::<i16>().ok()).filter(|zone| zone.abs() <= 14 * 60);
    let host = host_of(&asked).unwrap_or("localhost").to_owned();
    // Behind a proxy that ends TLS the visitor's address bar says https: commands shown must, too.
    let scheme = if asked.peer.secure { "https" } else { "http" };
    let notice = Notice::of(&asked, app.visitors.seal());
    let page = Page {
        lang,
        origin: format!("{scheme}://{host}"),
        visitor: visitor.sender(),
        now: clock::now(),
        zone: zone.unwrap_or(0),
        zone_is_readers: zone.is_some(),
        notice: match &notice {
            Some(Notice::NameSaved) => Some(app::page::Notice::NameSaved),
            Some(Notice::NameRefused(why)) => Some(app::page::Notice::NameRefused(why.clone())),
            Some(Notice::MessageRefused(_)) | None => None,
        },
        screen,
    };
    // A visitor who comes for the first time gets the cookie with the first page; one under an old secret a new one.
    let mut cookies: Vec<HeaderValue> =
        if asked.current { Vec::new() } else { vec![app.visitors.cookie(&visitor, asked.peer)] };
    cookies.extend(notice.map(|_| Notice::shown(asked.peer)));
    let context = move || {
        let response = expect_context::<ResponseOptions>();
        response.set_status(status);
        for (name, value) in headers(&host) {
            response.insert_header(name, value);
        }
        for cookie in &cookies {
            response.append_header(header::SET_COOKIE, cookie.clone());
        }
    };
    let options = app.leptos.clone();
    let shell = move || view! { <Shell options=options.clone() page=page.clone() /> };
    let request = Request::builder().uri(asked.uri.clone()).body(Body::empty()).unwrap_or_default();
    leptos_axum::render_app_async_with_context(context, shell)(request).await
}

/// A page may run our scripts and talk to us, and nothing else.
fn headers(host: &str) -> Vec<(HeaderName, HeaderValue)> {
    let nonce = leptos::nonce::use_nonce().map(|nonce| nonce.to_string()).unwrap_or_default();
    // Some browsers do not count ws: as 'self'. A host with other characters is no host.
    let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    let sockets = if plain { format!(" ws://{host} wss://{host}") } else { String::new() };
    let reload = if cfg!(debug_assertions) { " ws://127.0.0.1:3001" } else { "" };
    let csp = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self'; connect-src 'self'{sockets}{reload}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut headers = vec![
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("Accept, Accept-Language, Cookie")),
    ];
    if let Ok(csp) = HeaderValue::from_str(&csp) {
        headers.push((header::CONTENT_SECURITY_POLICY, csp));
    }
    headers
}

/// The built site: `pkg/` with the WASM, its JavaScript and the styles, each also compressed.
#[derive(RustEmbed)]
#[folder = "../target/site"]
#[allow_missing = true]
struct Site;

/// The newest client of Socket.IO, as its own server serves it: a page that says `<script src="/socket.io/socket.io.js">`
/// finds it here.
#[derive(RustEmbed)]
#[folder = "../end2end/node_modules/socket.io-client-4/dist"]
#[include = "socket.io.min.js"]
#[allow_missing = true]
struct SocketIoClient;

/// The script of Socket.IO's client.
pub fn socket_io_client(headers: &HeaderMap) -> Response {
    match SocketIoClient::get("socket.io.min.js") {
        Some(found) => file(found, None, "text/javascript; charset=utf-8", headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

const FAVICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M3 16h18" stroke="#7C8781" stroke-width="4" stroke-linecap="round"/><circle cx="23" cy="16" r="6" fill="#0B6B4F"/></svg>"##;

/// The files pages load.
pub fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let favicon =
        || async { ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "max-age=86400")], FAVICON) };
    Router::new().route("/favicon.svg", get(favicon)).route("/pkg/{file}", get(asset))
}

async fn asset(Path(file_name): Path<String>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accepts =
        |coding: &str| accepted.split(',').any(|item| item.split(';').next().is_some_and(|c| c.trim() == coding));
    let path = format!("pkg/{file_name}");
    let encoded = [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(coding, _)| accepts(coding))
        .find_map(|(coding, ending)| Site::get(&format!("{path}{ending}")).map(|found| (Some(coding), found)));
    let Some((coding, found)) = encoded.or_else(|| Site::get(&path).map(|found| (None, found))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    file(found, coding, media_type(&file_name), &headers)
}

fn file(found: EmbeddedFile, coding: Option<&'static str>, media_type: &'static str, headers: &HeaderMap) -> Response {
    // Names do not change with content: browsers ask whether theirs is still the one.
    let hash = found.metadata.sha256_hash();
    let etag = format!("\"{}\"", hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>());
    let mut answer = HeaderMap::new();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        answer.insert(header::ETAG, etag);
    }
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, answer).into_response();
    }
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(coding) = coding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    let body = match found.data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    (answer, body).into_response()
}

fn media_type(file: &str) -> &'static str {
    match file.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css; charset=utf-8",
        _ => "application/octet-stream",
    }
}
