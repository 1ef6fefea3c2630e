//! WebSocket (RFC 6455): each outgoing frame is one WebSocket frame, and the session handles each incoming message.
//!
//! - [`handshake`]: the opening handshake. [`assembler`]: incoming frames to messages. [`encoder`]: outgoing frames.
//! - [`connection`]: one WebSocket from its handshake to its close.

mod assembler;
mod connection;
mod encoder;
mod handshake;

pub use assembler::{Assembler, Incoming, Violation};
pub use connection::{NO_CLOSE, respond};
pub use handshake::{Handshake, NoHandshake};
