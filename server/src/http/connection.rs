//! One connection: requests and answers, until it ends or a stream takes it over.
//!
//! ```text
//!            a request that is not plainly            an answer of its own:
//!            a publish or a poll                      SSE, WebSocket, a poll that waits
//!   Fast ───────────────────────────────▶ Hyper ───────────────────────────────────────▶ HandedOff
//!    ▲                                                                                       │
//!    └───────────────────────── the answer of a poll was given ──────────────────────────────┘
//! ```
//!
//! Each state holds the connection alone. What happens between the last two is drawn in [`crate::net`]'s `handoff`.

use super::{
    fast::{Fast, Next},
    headers::closes,
    raw_response::RawHead,
    router::respond,
    state::App,
    who::Peer,
};
use crate::net::{
    AnswerHead, Connection, Handoff, HandoffSlot, Offer, Served, TakeOver, Upgraded, serve_until_handoff,
};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, Version},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use futures::{
    FutureExt,
    future::{Fuse, FusedFuture},
};
use hyper::body::Body as _;
use std::{
    convert::Infallible,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
};

/// Serves a connection from `address`.
pub(super) async fn serve_connection(connection: Arc<Connection>, address: IpAddr, app: App, router: Router) {
    let mut stopping = pin!(app.hub.closed().fuse());
    let mut fast = Fast::new(app.clone(), Arc::clone(&connection), address);
    let hyper = Hyper { connection, address, app: &app, router };
    let mut received = Bytes::new();
    loop {
        if !stopping.is_terminated() {
            match fast.serve(received, stopping.as_mut()).await {
                Next::Hyper(bytes) => received = bytes,
                Next::Closed => return,
            }
        }
        // Boxed: a connection that only publishes and polls needs no room for it.
        match Box::pin(hyper.serve(received, stopping.as_mut())).await {
            Some(bytes) => received = bytes,
            None => return,
        }
    }
}

struct Hyper<'a> {
    connection: Arc<Connection>,
    address: IpAddr,
    app: &'a App,
    router: Router,
}

impl Hyper<'_> {
    /// Lets hyper serve the connection, and what takes it over from hyper. Returns the bytes that came meanwhile, unless the
    /// connection ended or is a stream's.
    async fn serve(&self, received: Bytes, stopping: Pin<&mut Fuse<impl Future<Output = ()>>>) -> Option<Bytes> {
        let slot = HandoffSlot::default();
        let answer = |request| self.answer(request, &slot);
        let served = serve_until_handoff(&self.connection, received, &slot, answer, stopping).await;
        match served {
            Ok(Served::HandedOff(Offer { take_over, head, on_close }, received)) => {
                let connection = Arc::clone(&self.connection);
                let on_close = on_close.on(&connection);
                let upgraded = Upgraded { connection, received: BytesMut::from(received), on_close };
                self.hand_off(take_over, upgraded, head).await
            }
            Ok(Served::Ended) => None,
            Err(error) => {
                tracing::debug!(%error, "a connection ended early");
                None
            }
        }
    }

    async fn hand_off(&self, take_over: TakeOver, upgraded: Upgraded, head: AnswerHead) -> Option<Bytes> {
        match take_over {
            TakeOver::Stream(run) => {
                RawHead::from(head).write_stream(&upgraded.connection);
                run(upgraded);
                None
            }
            TakeOver::Answer(answer) => answer(upgraded, head).await.map(|upgraded| upgraded.received.freeze()),
        }
    }

    async fn answer(
        &self,
        request: hyper::Request<hyper::body::Incoming>,
        slot: &HandoffSlot,
    ) -> Result<Response, Infallible> {
        let request: Request = request.map(Body::new);
        let peer = Peer::of(self.address, request.headers(), &self.app.trusted);
        let logged = self.app.log.request(|| (request.method(), request.uri().path(), peer));
        let is_head = request.method() == Method::HEAD;
        // A connection is not handed back, either, if the bytes that follow are not a request.
        let closes =
            request.version() != Version::HTTP_11 || closes(request.headers()) || !request.body().is_end_stream();
        let mut response = respond(self.app.clone(), self.router.clone(), request, peer).await;
        match Handoff::take(&mut response) {
            Some(take_over) if !is_head => {
                let on_close = logged.map(|logged| logged.on_handoff(&response)).unwrap_or_default();
                let (parts, _) = response.into_parts();
                slot.offer(Offer { take_over, head: AnswerHead { parts, closes }, on_close }).await
            }
            _ => Ok(match logged {
                Some(logged) => logged.on_body_end(response),
                None => response,
            }),
        }
    }
}
