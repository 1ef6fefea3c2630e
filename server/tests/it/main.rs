//! The real server on port 0, spoken to over real sockets.

mod arrows;
mod publish;
mod read;
mod restart;
mod sse;
mod support;
mod websocket;
mod who;
