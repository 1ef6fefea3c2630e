//! One connection: requests and answers, until it ends or a transport takes it over.

use super::{
    App,
    direct::{Direct, Next},
    peer::Peer,
    respond,
};
use crate::{
    limits::{HEAD_TIMEOUT, HTTP_BUFFER},
    transport::{Farewell, Guarded, Head, Line, Pipe, Run, Takeover},
};
use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, Method, Version, header},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    net::IpAddr,
    pin::{Pin, pin},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    task::Poll,
};

/// What a transport goes on with.
type Taken = (Head, Run, Farewell);

/// Where an answer is put of which hyper is to say nothing.
type Desk = Mutex<Option<Taken>>;

/// Serves a connection.
pub(super) async fn handle(pipe: Arc<Pipe>, address: IpAddr, app: App, router: Router) {
    let mut connection = Connection { pipe, address, desk: Desk::default(), closing: false, router };
    let mut closed = pin!(app.hub.closed());
    let mut direct = Direct::new(app.clone(), Arc::clone(&connection.pipe), address);
    let mut received = Bytes::new();
    loop {
        if !connection.closing {
            match direct.serve(received, closed.as_mut()).await {
                Next::Other(bytes) => received = bytes,
                Next::Over => return,
            }
        }
        // In a box: a connection that publishes and polls has no room for it.
        match Box::pin(connection.until_taken(received, &app, closed.as_mut())).await {
            Ok(Some(((head, run, farewell), rest))) => {
                let pipe = Arc::clone(&connection.pipe);
                let farewell = farewell.on(&pipe);
                let line = Line { pipe, received: BytesMut::from(rest), head, farewell };
                let Some(line) = run(line).await else { return };
                received = line.received.freeze();
            }
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "a connection ended early"),
        }
    }
}

struct Connection {
    pipe: Arc<Pipe>,
    address: IpAddr,
    desk: Desk,
    /// The server stops.
    closing: bool,
    router: Router,
}

/// One for all connections: making it is an allocation.
static HTTP: LazyLock<http1::Builder> = LazyLock::new(|| {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HTTP_BUFFER);
    builder
});

impl Connection {
    /// Lets hyper serve the connection, until a transport takes it over: with what came behind its request.
    async fn until_taken(
        &mut self,
        received: Bytes,
        app: &App,
        mut closed: Pin<&mut impl Future<Output = ()>>,
    ) -> hyper::Result<Option<(Taken, Bytes)>> {
        let Self { pipe, address, desk, closing, router } = self;
        let service = service_fn(|request: Request<Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            let peer = Peer::of(*address, request.headers(), &app.trusted);
            request.extensions_mut().insert(peer);
            answer(app.clone(), router.clone(), request, peer, desk)
        });
        let io = TokioIo::new(Guarded::new(Arc::clone(pipe), received));
        let mut connection = HTTP.serve_connection(io, service);
        let mut told = false;
        let taken = poll_fn(|cx| {
            *closing |= !*closing && closed.as_mut().poll(cx).is_ready();
            if *closing && !std::mem::replace(&mut told, true) {
                Pin::new(&mut connection).graceful_shutdown();
            }
            if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(ended.map(|()| None));
            }
            // Answers before this one may still be hyper's to write.
            let taken = if pipe.is_flushed() { take(desk) } else { None };
            taken.map_or(Poll::Pending, |taken| Poll::Ready(Ok(Some(taken))))
        });
        let taken = taken.await?;
        Ok(taken.map(|taken| {
            let parts = connection.into_parts();
            (taken, parts.io.into_inner().with_received(parts.read_buf))
        }))
    }
}

fn take(desk: &Desk) -> Option<Taken> {
    desk.lock().unwrap_or_else(PoisonError::into_inner).take()
}

async fn answer(app: App, router: Router, request: Request, peer: Peer, desk: &Desk) -> Result<Response, Infallible> {
    let logged = app.log.request(|| (request.method(), request.uri().path(), peer));
    let is_head = request.method() == Method::HEAD;
    // Nor is a connection given back on which something lies that is no request.
    let closes =
        request.version() != Version::HTTP_11 || asks_to_close(request.headers()) || !request.body().is_end_stream();
    let mut response = respond(app, router, request).await;
    match Takeover::of(&mut response) {
        Some(run) if !is_head => {
            let head = Head::of(&response, closes);
            let farewell = logged.map(|logged| logged.follow_taken(&response)).unwrap_or_default();
            *desk.lock().unwrap_or_else(PoisonError::into_inner) = Some((head, run, farewell));
            pending().await
        }
        _ => Ok(match logged {
            Some(logged) => logged.follow(response),
            None => response,
        }),
    }
}

fn asks_to_close(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case("close"))
}
