//! How a connection ends on every transport: the close code, the reason, and when the client may reconnect.

use crate::hub::{Ended, Hub};
use app::wire::{CloseCode, Frame};
use std::time::Duration;

/// What the server tells a client before it closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goodbye {
    pub(super) code: CloseCode,
    pub(super) reason: &'static str,
    /// How long the client should wait before it reconnects, if the server knows.
    pub(super) retry: Option<Duration>,
}

impl Goodbye {
    /// Translates the end of a subscription for the client. Logs a failure of the store.
    pub(super) fn of(ended: Ended, hub: &Hub) -> Self {
        match ended {
            Ended::Closed => Self {
                code: CloseCode::GoingAway,
                reason: "the server is stopping",
                retry: Some(hub.return_after().unwrap_or_default()),
            },
            Ended::Store(error) => {
                tracing::error!(%error, "the connection of a reader ends");
                Self { code: CloseCode::Internal, reason: "the store cannot be read; come back", retry: None }
            }
        }
    }

    /// The client sent nothing for too long.
    pub(super) fn silent() -> Self {
        Self { code: CloseCode::Silent, reason: "nothing was heard for a minute; come back", retry: None }
    }

    fn retry_ms(&self) -> Option<u64> {
        self.retry.map(|retry| u64::try_from(retry.as_millis()).unwrap_or(u64::MAX))
    }

    /// The frame `bye`. `None` if the server does not know when the client may reconnect.
    pub(super) fn frame(&self) -> Option<Frame> {
        let retry_ms = self.retry_ms()?;
        Some(Frame::Bye { code: self.code as u16, reason: self.reason.into(), retry_ms })
    }

    /// The reason of a WebSocket close frame. It repeats when to reconnect, for clients that get no frames.
    pub(super) fn close_reason(&self) -> String {
        match self.retry_ms() {
            Some(retry_ms) => format!("{}; come back in {retry_ms} ms", self.reason),
            None => self.reason.into(),
        }
    }
}
