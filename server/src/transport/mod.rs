//! Bytes to frames and back, nothing else: WebSocket, SSE, and the JSON answers of polls.

pub mod poll;
pub mod sse;
pub mod websocket;

/// What a reader asked its messages to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Whole frames as JSON.
    Frames,
    /// Bodies only, as they were sent (`format=body`).
    Bodies,
}
