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
pub struct Farewell(Option<Box<Last>>);

struct Last {
    tell: Tell,
    code: Option<u16>,
    /// The pipe, and what it had written before.
    line: Option<(Arc<Pipe>, u64)>,
}

impl Farewell {
    /// Tells so.
    pub fn new(tell: impl FnOnce(Ended) + Send + 'static) -> Self {
        Self(Some(Box::new(Last { tell: Box::new(tell), code: None, line: None })))
    }

    /// Of what happens on this pipe from here on.
    #[must_use]
    pub fn on(mut self, pipe: &Arc<Pipe>) -> Self {
        if let Some(last) = &mut self.0 {
            last.line = Some((Arc::clone(pipe), pipe.written()));
        }
        self
    }

    /// The connection ends with this code.
    pub(super) fn closes_with(&mut self, code: u16) {
        if let Some(last) = &mut self.0 {
            last.code = Some(code);
        }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let Some(Last { tell, code, line }) = self.0.take().map(|last| *last) else { return };
        let bytes = line.as_ref().map_or(0, |(pipe, before)| pipe.written() - before);
        // Before the pipe goes, and with it the connection's place: a stop waits for that, and then for the log.
        tell(Ended { code, bytes });
    }
}
