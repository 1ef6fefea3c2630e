//! Bytes to frames and back, nothing else: WebSocket, SSE, and the JSON answers of polls.

pub mod poll;
mod pulse;
pub mod sse;
pub mod websocket;

pub use pulse::Pulse;
