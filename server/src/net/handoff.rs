//! How a connection goes from hyper to a transport, and back.
//!
//! A handler answers with a [`Handoff`] in its response: HTTP contributes the head of the answer, the transport goes on
//! with the socket. An idle stream then has none of hyper's 16 kB, and the answers of a thousand polls are written by
//! whoever publishes, without waking a task.
//!
//! ```text
//! state       the socket is held by        what happens                                             next state
//! ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
//! Serving     hyper, in this file          a handler puts an `Offer` into the `HandoffSlot`          Offered
//!                                          the peer closes, or the server stops                      Ended
//! Offered     hyper: it writes the         hyper has flushed everything before the offered answer    HandedOff
//!             answers before this one,     the peer closes                                           Ended
//!             and waits for this one
//! HandedOff   nobody else: hyper is gone,  `TakeOver::Stream` ends with the connection               Ended
//!             its unused bytes are in      `TakeOver::Answer` gives the connection back              Serving
//!             `Upgraded::received`                                                                   (a new hyper)
//! ```
//!
//! [`serve_until_handoff`] covers the first two states and returns at the third, as [`Served`].

use super::{Connection, HyperIo, OnClose, Upgraded};
use crate::{
    limits::{HEAD_TIMEOUT, HTTP_BUFFER},
    lock::Lock,
};
use bytes::Bytes;
use futures::future::{BoxFuture, Fuse, FusedFuture};
use http::{Request, Response, response::Parts};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    error::Error,
    future::{pending, poll_fn},
    pin::Pin,
    sync::{Arc, LazyLock},
    task::Poll,
};

/// What takes the connection over.
pub enum TakeOver {
    /// A stream: the connection is its own to the end.
    Stream(Box<dyn FnOnce(Upgraded) + Send>),
    /// One answer, which begins with this head. Resolves to the connection, unless it ended.
    Answer(Box<dyn FnOnce(Upgraded, AnswerHead) -> BoxFuture<'static, Option<Upgraded>> + Send>),
}

/// The head of the answer that is handed off.
pub struct AnswerHead {
    /// Status and header fields.
    pub parts: Parts,
    /// The connection closes after the answer.
    pub closes: bool,
}

/// A [`TakeOver`] on its way through a response's extensions.
#[derive(Clone)]
pub struct Handoff(Arc<Lock<Option<TakeOver>>>);

impl Handoff {
    /// Hands the connection to a stream, in a task of its own: the present one has room for hyper.
    pub fn stream<B, F>(response: &mut Response<B>, run: impl FnOnce(Upgraded) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::attach(response, TakeOver::Stream(Box::new(|upgraded| drop(tokio::spawn(run(upgraded))))));
    }

    /// Hands the connection over for one answer.
    pub fn answer<B, F>(response: &mut Response<B>, run: impl FnOnce(Upgraded, AnswerHead) -> F + Send + 'static)
    where
        F: Future<Output = Option<Upgraded>> + Send + 'static,
    {
        Self::attach(response, TakeOver::Answer(Box::new(|upgraded, head| Box::pin(run(upgraded, head)))));
    }

    fn attach<B>(response: &mut Response<B>, take_over: TakeOver) {
        response.extensions_mut().insert(Self(Arc::new(Lock::new(Some(take_over)))));
    }

    /// Takes it out of a response that has one.
    pub fn take<B>(response: &mut Response<B>) -> Option<TakeOver> {
        let Self(take_over) = response.extensions_mut().remove()?;
        take_over.lock().take()
    }
}

/// An answer that hyper is not to write.
pub struct Offer {
    /// Who writes it.
    pub take_over: TakeOver,
    /// Its head.
    pub head: AnswerHead,
    /// Who is told of its end.
    pub on_close: OnClose,
}

/// Where a service leaves its [`Offer`].
#[derive(Default)]
pub struct HandoffSlot(Lock<Option<Offer>>);

impl HandoffSlot {
    /// Leaves an offer. Never resolves: hyper waits for this answer until it is gone.
    pub async fn offer<T>(&self, offer: Offer) -> T {
        *self.0.lock() = Some(offer);
        pending().await
    }
}

/// How hyper's turn with a connection ended.
pub enum Served {
    /// The connection is closed.
    Ended,
    /// The connection is the caller's; the bytes came behind the request.
    HandedOff(Offer, Bytes),
}

/// One for all connections: building it allocates.
static HTTP: LazyLock<http1::Builder> = LazyLock::new(|| {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HTTP_BUFFER);
    builder
});

/// Lets hyper serve a connection, on which `received` came already, until an answer is handed off. When `stopping`
/// resolves, hyper ends the connection after the present answer.
///
/// # Errors
/// Returns an error if the peer does not speak HTTP, or is gone.
pub async fn serve_until_handoff<A, F, B>(
    connection: &Arc<Connection>,
    received: Bytes,
    slot: &HandoffSlot,
    answer: A,
    mut stopping: Pin<&mut Fuse<impl Future<Output = ()>>>,
) -> hyper::Result<Served>
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let io = TokioIo::new(HyperIo::new(Arc::clone(connection), received));
    let mut serving = HTTP.serve_connection(io, service_fn(answer));
    let mut is_told_to_stop = false;
    let offered = poll_fn(|cx| {
        if !is_told_to_stop && (stopping.is_terminated() || stopping.as_mut().poll(cx).is_ready()) {
            is_told_to_stop = true;
            Pin::new(&mut serving).graceful_shutdown();
        }
        if let Poll::Ready(ended) = Pin::new(&mut serving).poll(cx) {
            return Poll::Ready(ended.map(|()| None));
        }
        // Until hyper has flushed, answers before the offered one may still be in its buffers.
        let offer = if connection.is_hyper_flushed() { slot.0.lock().take() } else { None };
        offer.map_or(Poll::Pending, |offer| Poll::Ready(Ok(Some(offer))))
    });
    let Some(offer) = offered.await? else { return Ok(Served::Ended) };
    let parts = serving.into_parts();
    Ok(Served::HandedOff(offer, parts.io.into_inner().unused(parts.read_buf)))
}
