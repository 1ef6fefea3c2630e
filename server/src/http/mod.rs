//! HTTP: all paths in one place; negotiation, publishing, reading, origins, errors.

mod channel;
mod error;
mod live;
mod lobby;
mod negotiate;
mod origin;
mod params;
mod publish;
mod serve;
mod visitor;

pub use error::HttpError;
pub use negotiate::Asked;
pub use origin::Origins;
pub use origin::host_of;
pub use serve::serve;
pub use visitor::Visitors;

use crate::{hub::Hub, web};
use axum::{
    Router, middleware,
    response::IntoResponse,
    routing::{get, post},
};
use std::sync::Arc;

/// What every handler may use.
#[derive(Clone)]
pub struct App {
    /// Who listens, and the log.
    pub hub: Hub,
    /// Signs and reads the visitor cookie.
    pub visitors: Arc<Visitors>,
    /// Who may ask.
    pub origins: Arc<Origins>,
    /// Largest body in bytes.
    pub max_message: usize,
    /// What pages are rendered with.
    pub leptos: leptos::prelude::LeptosOptions,
}

/// Every path of the server.
pub fn router(app: App) -> Router {
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
        .layer(middleware::from_fn_with_state(app.clone(), origin::guard))
        .layer(middleware::map_response(harden))
        .with_state(app)
}

/// Headers that do no harm anywhere and stop browsers from guessing.
async fn harden(response: axum::response::Response) -> impl IntoResponse {
    ([("x-content-type-options", "nosniff"), ("referrer-policy", "same-origin")], response)
}
