use super::Pipe;
use std::sync::Arc;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// A WebSocket's close code (RFC 6455, section 7.4).
    pub code: Option<u16>,
    /// Bytes that went out, as far as the kernel took them.
    pub bytes: u64,
}

type Tell = Box<dyn FnOnce(Ended) + Send>;

/// Goes with a connection that was taken over, and tells of its end when it is dropped.
#[derive(Default)]
pub struct Farewell {
    tell: Option<Tell>,
    code: Option<u16>,
    /// The pipe, and what it had written before.
    line: Option<(Arc<Pipe>, u64)>,
}

impl Farewell {
    /// Tells so.
    pub fn new(tell: impl FnOnce(Ended) + Send + 'static) -> Self {
        Self { tell: Some(Box::new(tell)), code: None, line: None }
    }

    /// Of what happens on this pipe from here on.
    #[must_use]
    pub fn on(mut self, pipe: &Arc<Pipe>) -> Self {
        self.line = self.tell.is_some().then(|| (Arc::clone(pipe), pipe.written()));
        self
    }

    /// The connection ends with this code.
    pub(super) fn closes_with(&mut self, code: u16) {
        self.code = Some(code);
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            let bytes = self.line.as_ref().map_or(0, |(pipe, before)| pipe.written() - before);
            tell(Ended { code: self.code, bytes });
        }
    }
}
