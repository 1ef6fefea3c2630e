use super::Pipe;
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};

/// A connection that hyper has let go.
pub struct Line {
    /// The way to the peer.
    pub pipe: Arc<Pipe>,
    /// What came behind the request.
    pub received: Bytes,
}

type Run = Box<dyn FnOnce(Line) -> BoxFuture<'static, ()> + Send>;

/// Goes with an answer of which only the head is said by HTTP: the connection is a transport's from there on, and hyper,
/// its buffers and its task are gone.
#[derive(Clone)]
pub struct Takeover(Arc<Mutex<Option<Run>>>);

impl Takeover {
    /// Puts it into an answer.
    pub fn add<F>(response: &mut Response, run: impl FnOnce(Line) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let run: Run = Box::new(|line| Box::pin(run(line)));
        response.extensions_mut().insert(Self(Arc::new(Mutex::new(Some(run)))));
    }

    /// Takes it out of an answer, if there is one.
    pub fn of(response: &mut Response) -> Option<Run> {
        let Self(run) = response.extensions_mut().remove()?;
        run.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
