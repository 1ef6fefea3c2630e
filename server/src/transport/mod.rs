//! The transports turn bytes into frames and frames into bytes, and do nothing else.
//!
//! - [`websocket`], [`sse`], [`socket_io`]: one transport each. Answers to polls are plain HTTP, so they are in `http`.
//! - `sink`: makes a connection a sink of the hub. `goodbye`: how a connection ends on every transport.

mod goodbye;
mod sink;
pub mod socket_io;
pub mod sse;
pub mod websocket;
