//! What is known of a request before its parameters are read.

use super::{
    headers,
    state::App,
    who::{Peer, Who},
};
use app::wire::{ReadParams, Representation};
use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, Method, Uri, Version, request::Parts},
};
use std::{convert::Infallible, ops::Deref, sync::Arc};

/// What is known of a request before its parameters are read. The router makes it once; handlers extract it.
#[derive(Clone)]
pub(crate) struct RequestContext(Arc<Inner>);

/// The fields of a [`RequestContext`].
pub(crate) struct Inner {
    /// The request's method.
    pub method: Method,
    /// The request's version of HTTP.
    pub version: Version,
    /// The target.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// Where the request comes from.
    pub peer: Peer,
    /// What kind of answer its `Accept` wants.
    pub accepts: Representation,
}

impl Deref for RequestContext {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl RequestContext {
    /// Takes the headers out of a request, and leaves itself in its extensions.
    pub(super) fn take(request: &mut Request, peer: Peer) -> Self {
        let headers = std::mem::take(request.headers_mut());
        let this = Self(Arc::new(Inner {
            method: request.method().clone(),
            version: request.version(),
            uri: request.uri().clone(),
            accepts: headers::accepts(&headers),
            headers,
            peer,
        }));
        request.extensions_mut().insert(this.clone());
        this
    }

    /// Who asks.
    pub(super) fn who(&self, app: &App) -> Who {
        Who::of(&app.visitors, self.peer, &self.headers)
    }

    /// What kind of answer the request wants: `as=` in its query overrides `Accept`.
    pub(super) fn wants(&self, params: &ReadParams) -> Representation {
        params.representation.unwrap_or(self.accepts)
    }

    /// Whether an error is to be a page.
    pub(super) fn wants_page(&self) -> bool {
        let params = ReadParams::parse(self.uri.query().unwrap_or_default(), None);
        params.map_or(self.accepts, |params| self.wants(&params)) == Representation::Html
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().expect("the router makes it before it calls a handler"))
    }
}
