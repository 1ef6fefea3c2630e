//! Who is told when a connection ends that hyper no longer has.

use super::Connection;
use std::sync::Arc;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// A WebSocket's close code (RFC 6455, section 7.4).
    pub code: Option<u16>,
    /// Bytes that the kernel took.
    pub bytes: u64,
}

/// Calls a function when it is dropped, with how the answer ended. The default calls nothing.
#[derive(Default)]
pub struct OnClose(Option<Box<Inner>>);

struct Inner {
    call: Box<dyn FnOnce(Closed) + Send>,
    code: Option<u16>,
    /// The connection, and the bytes it had written before this answer.
    connection: Option<(Arc<Connection>, u64)>,
}

impl OnClose {
    /// Calls `call` at the end.
    pub fn new(call: impl FnOnce(Closed) + Send + 'static) -> Self {
        Self(Some(Box::new(Inner { call: Box::new(call), code: None, connection: None })))
    }

    /// Counts the bytes that this connection writes from now on.
    #[must_use]
    pub fn on(mut self, connection: &Arc<Connection>) -> Self {
        if let Some(inner) = &mut self.0 {
            inner.connection = Some((Arc::clone(connection), connection.written()));
        }
        self
    }

    /// Sets the close code of the connection.
    pub fn set_code(&mut self, code: u16) {
        if let Some(inner) = &mut self.0 {
            inner.code = Some(code);
        }
    }
}

impl Drop for OnClose {
    fn drop(&mut self) {
        let Some(Inner { call, code, connection }) = self.0.take().map(|inner| *inner) else { return };
        let bytes = connection.as_ref().map_or(0, |(connection, before)| connection.written() - before);
        // The call comes before the connection is dropped and gives its place back: a stopping server waits for all
        // places, and then for the log.
        call(Closed { code, bytes });
    }
}
