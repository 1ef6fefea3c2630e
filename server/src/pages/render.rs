//! Renders a page as a response.

use crate::clock;
use app::{
    Shell,
    page::{Lang, Notice, Page, Screen},
    wire::Sender,
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use std::net::SocketAddr;

/// Who looks at a page, and how they reached it.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// The sender as which they would publish.
    pub visitor: Sender,
    /// The language of the page.
    pub lang: Lang,
    /// The minutes by which the clock of the viewer is ahead of UTC, if the browser sent them.
    pub zone: Option<i16>,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host and port as in the address bar.
    pub host: String,
    /// The URI that they requested.
    pub uri: Uri,
    /// The outcome of a form, which the page shows once.
    pub notice: Option<Notice>,
}

/// Renders pages.
#[derive(Clone, Debug)]
pub struct Renderer(LeptosOptions);

impl Renderer {
    /// Renders for a server at this address. A shipped binary reads no Cargo.toml, so the options of Leptos are fixed
    /// here.
    pub fn new(address: SocketAddr) -> Self {
        let options = LeptosOptions::builder()
            .output_name("baro")
            .site_root("target/site")
            .site_pkg_dir("pkg")
            .site_addr(address)
            .env(if cfg!(debug_assertions) { Env::DEV } else { Env::PROD })
            .build();
        Self(options)
    }

    /// Renders a screen as a page.
    pub async fn render(&self, viewer: Viewer, screen: Screen, status: StatusCode) -> Response {
        let Viewer { visitor, lang, zone, scheme, host, uri, notice } = viewer;
        let page = Page {
            lang,
            origin: format!("{scheme}://{host}"),
            visitor,
            now: clock::now(),
            zone: zone.unwrap_or(0),
            zone_is_readers: zone.is_some(),
            notice,
            screen,
        };
        let context = move || {
            let response = expect_context::<ResponseOptions>();
            response.set_status(status);
            for (name, value) in headers(&host) {
                response.insert_header(name, value);
            }
        };
        let options = self.0.clone();
        let shell = move || view! { <Shell options=options.clone() page=page.clone() /> };
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap_or_default();
        leptos_axum::render_app_async_with_context(context, shell)(request).await
    }
}

/// The headers of a page. The content security policy lets a page run only our scripts and connect only to this server.
fn headers(host: &str) -> Vec<(HeaderName, HeaderValue)> {
    let nonce = leptos::nonce::use_nonce().map(|nonce| nonce.to_string()).unwrap_or_default();
    // Some browsers do not count ws: as 'self'. Other characters in `Host` could add directives to the policy.
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
