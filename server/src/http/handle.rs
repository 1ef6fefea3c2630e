//! One connection: requests and answers, until it ends or a transport takes it over.

use super::{App, respond, serve::Peer};
use crate::{
    clock,
    limits::{HEAD_TIMEOUT, HTTP_BUFFER},
    transport::{Guarded, Line, Pipe, Takeover},
};
use axum::{
    Router,
    extract::Request,
    http::{Method, header},
    response::Response,
};
use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::{Duration, UNIX_EPOCH},
};

/// What a transport goes on with.
struct Taken {
    head: Bytes,
    run: Box<dyn FnOnce(Line) -> BoxFuture<'static, ()> + Send>,
}

/// Where an answer is put of which hyper is to say nothing.
type Desk = Arc<Mutex<Option<Taken>>>;

/// Serves a connection.
pub(super) async fn handle(pipe: Arc<Pipe>, peer: Peer, app: App, router: Router) {
    let desk = Desk::default();
    let service = service_fn(|request: Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer);
        answer(app.clone(), router.clone(), request, Arc::clone(&desk))
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HTTP_BUFFER)
        .serve_connection(TokioIo::new(Guarded::new(Arc::clone(&pipe))), service);
    let mut closed = pin!(app.hub.closed());
    let mut closing = false;
    let taken = poll_fn(|cx| {
        if !closing && closed.as_mut().poll(cx).is_ready() {
            closing = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(ended.map(|()| None));
        }
        // Answers before this one may still be hyper's to write.
        let taken = if pipe.is_flushed() { take(&desk) } else { None };
        taken.map_or(Poll::Pending, |taken| Poll::Ready(Ok(Some(taken))))
    });
    match taken.await {
        Ok(None) => {}
        Ok(Some(Taken { head, run })) => {
            let received = connection.into_parts().read_buf;
            pipe.put(head);
            // A task of its own: this one has room for hyper.
            tokio::spawn(run(Line { pipe, received }));
        }
        Err(error) => tracing::debug!(%error, "a connection ended early"),
    }
}

fn take(desk: &Desk) -> Option<Taken> {
    desk.lock().unwrap_or_else(PoisonError::into_inner).take()
}

async fn answer(app: App, router: Router, request: Request, desk: Desk) -> Result<Response, Infallible> {
    let is_head = request.method() == Method::HEAD;
    let mut response = respond(app, router, request).await;
    match Takeover::of(&mut response) {
        Some(run) if !is_head => {
            let head = head(&response);
            *desk.lock().unwrap_or_else(PoisonError::into_inner) = Some(Taken { head, run });
            pending().await
        }
        _ => Ok(response),
    }
}

/// The head of an answer (RFC 9112, sections 4 and 5). Not its length: axum says 0, and what comes is the transport's.
fn head(response: &Response) -> Bytes {
    let mut out = BytesMut::with_capacity(512);
    out.put(format!("HTTP/1.1 {}\r\n", response.status()).as_bytes());
    for (name, value) in response.headers().iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
        out.put(name.as_str().as_bytes());
        out.put(&b": "[..]);
        out.put(value.as_bytes());
        out.put(&b"\r\n"[..]);
    }
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(clock::now().0).unwrap_or_default());
    out.put(format!("{}: {}\r\n\r\n", header::DATE, httpdate::fmt_http_date(now)).as_bytes());
    out.freeze()
}
