//! HTTP: all paths in one place; negotiation, publishing, reading, origins, errors.

mod access;
mod channel;
pub mod direct;
mod error;
mod handle;
mod live;
mod lobby;
mod negotiate;
mod notice;
mod origin;
mod params;
mod peer;
mod publish;
mod seal;
mod serve;
mod socket_io;
mod visitor;

pub use access::{AccessLog, LogFormat};
pub use error::HttpError;
pub use negotiate::Asked;
pub use notice::{MessageRefused, Notice};
pub use origin::Origins;
pub use origin::host_of;
pub use peer::Trusted;
pub use seal::Seal;
pub use serve::serve;
pub use visitor::Visitors;

use crate::{hub::Hub, transport::socket_io::SocketIo, web};
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use std::{ops::Deref, sync::Arc};
use tower::Service;

/// What every handler may use.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// Who listens, and the log.
    pub hub: Hub,
    /// Signs and reads the visitor cookie.
    pub visitors: Arc<Visitors>,
    /// Who may ask.
    pub origins: Arc<Origins>,
    /// Proxies whose word is taken.
    pub trusted: Vec<Trusted>,
    /// One line per request.
    pub log: AccessLog,
    /// Largest body in bytes.
    pub max_message: usize,
    /// Where Socket.IO clients come in.
    pub socket_io: Vec<SocketIo>,
    /// What pages are rendered with.
    pub leptos: leptos::prelude::LeptosOptions,
}

impl From<Parts> for App {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Every path of the server.
fn router(app: App) -> Router {
    Router::new()
        .route("/", get(lobby::get))
        .route("/open", get(lobby::open))
        .route("/c/{channel}", get(channel::get).post(publish::post))
        .route("/c/{channel}/say", post(publish::say))
        .route("/live", get(live::get))
        .route("/name", post(visitor::name))
        .route("/lang", post(visitor::lang))
        .route("/healthz", get(|| async { axum::Json(serde_json::json!({"status": "ok"})) }))
        .merge(web::assets())
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(app)
}

/// Answers a request: what all of them go through, and then its path. Not as layers of the router: each would be two
/// allocations.
async fn respond(app: App, router: Router, request: Request) -> Response {
    let path = request.uri().path();
    let socket_io = app.socket_io.iter().position(|at| at.is_at(path));
    let checked = app.origins.check(request.method(), request.uri(), request.headers(), socket_io.is_some());
    match checked {
        Err(refusal) => dress(refusal.into_response(), None),
        Ok(origin @ Some(_)) if request.method() == Method::OPTIONS => dress(().into_response(), origin),
        Ok(origin) => dress(route(&app, router, socket_io, request).await, origin),
    }
}

/// Adds what every answer has: who may read it, and headers that do no harm anywhere and stop browsers from guessing.
fn dress(response: Response, origin: Option<HeaderValue>) -> Response {
    let mut response = match origin {
        Some(origin) => origin::cors(response, origin),
        None => response,
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

async fn route(app: &App, mut router: Router, socket_io: Option<usize>, request: Request) -> Response {
    match socket_io {
        // In a box: all other requests need no room for it.
        Some(at) => Box::pin(socket_io::answer(app, &app.socket_io[at], request)).await.into_response(),
        None if app.socket_io.iter().any(|at| at.has_script_at(request.uri().path())) => {
            web::socket_io_client(request.headers())
        }
        None => router.call(request).await.unwrap_or_else(|never| match never {}),
    }
}
