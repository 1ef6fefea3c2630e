//! Every path of the server, and what every answer goes through.

use super::{
    channels, error::HttpError, forms, origin::cors, page, publish, read, request::RequestContext, socket_io,
    state::App, who::Peer,
};
use crate::{pages, transport::socket_io::SocketIo};
use app::wire::{ChannelName, ErrorCode};
use axum::{
    Json, Router,
    extract::{Path, Request},
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tower::Service;

/// Every path of the server, but for those of Socket.IO, which are options.
pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(channels::list))
        .route("/open", get(channels::open))
        .route("/c/{channel}", get(read::channel).post(publish::post))
        .route("/c/{channel}/say", post(forms::say))
        .route("/live", get(read::live))
        .route("/name", post(forms::name))
        .route("/lang", post(forms::lang))
        .route("/healthz", get(async || Json(json!({"status": "ok"}))))
        .route("/favicon.svg", get(async || pages::favicon()))
        .route("/pkg/{file}", get(asset))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

async fn asset(Path(file): Path<String>, request: RequestContext) -> Response {
    pages::asset(&file, &request.headers)
}

async fn not_found() -> HttpError {
    HttpError::new(ErrorCode::NotFound, "nothing lives here; channels are at /c/NAME")
}

async fn method_not_allowed() -> HttpError {
    HttpError::new(ErrorCode::MethodNotAllowed, "this path does not take this method; publish with POST /c/NAME")
}

/// The channel of `/c/{channel}`, for the fast path: the same channel that the router finds, or `None`.
pub(super) fn channel_at(app: &App, path: &str) -> Option<ChannelName> {
    if app.socket_io.iter().any(|at| at.is_at(path) || at.has_script_at(path)) {
        return None;
    }
    let name = path.strip_prefix("/c/").filter(|name| !name.contains('/'))?;
    percent_decode_str(name).decode_utf8().ok()?.parse().ok()
}

/// Answers a request: the checks that every request goes through, and then its path. A function, and not layers of the
/// router: each layer would be two allocations.
pub(super) async fn respond(app: App, router: Router, mut request: Request, peer: Peer) -> Response {
    let context = RequestContext::take(&mut request, peer);
    let socket_io = app.socket_io.iter().find(|at| at.is_at(context.uri.path()));
    let checked = app.origins.check(&context.method, &context.uri, &context.headers, socket_io.is_some());
    let (mut response, origin) = match checked {
        Err(refusal) => return dress(refusal.into_response(), None),
        Ok(origin @ Some(_)) if context.method == Method::OPTIONS => (().into_response(), origin),
        Ok(origin) => (route(&app, router, socket_io, &context, request).await, origin),
    };
    if let Some(error) = response.extensions_mut().remove::<HttpError>()
        && context.wants_page()
    {
        // Boxed: only errors of browsers need room for it.
        response = Box::pin(page::problem(&app, &context, &error)).await;
    }
    dress(response, origin)
}

async fn route(
    app: &App,
    mut router: Router,
    socket_io: Option<&SocketIo>,
    context: &RequestContext,
    request: Request,
) -> Response {
    match socket_io {
        // Boxed: all other requests need no room for it.
        Some(at) => Box::pin(socket_io::answer(app, at, context, request)).await.into_response(),
        None if app.socket_io.iter().any(|at| at.has_script_at(context.uri.path())) => {
            pages::socket_io_client(&context.headers)
        }
        None => router.call(request).await.unwrap_or_else(|never| match never {}),
    }
}

/// Adds what every answer has: which pages may read it, and headers that stop browsers from guessing.
pub(super) fn dress(response: Response, origin: Option<HeaderValue>) -> Response {
    let mut response = match origin {
        Some(origin) => cors(response, origin),
        None => response,
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
