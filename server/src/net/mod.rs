//! One TCP connection, below every transport: the socket, the bytes that the kernel did not take yet, whether the peer
//! is still there, and how the connection goes from hyper to a transport.
//!
//! - [`connection`]: the socket and its unsent bytes; [`unsent`]: those bytes; [`liveness`]: when a byte last moved.
//! - [`deadline`]: a timer that one task moves often.
//! - [`hyper_io`]: the connection as hyper reads and writes it.
//! - [`handoff`]: the way from hyper to a transport, with its states; [`upgraded`]: what the transport gets.
//! - [`on_close`]: who is told when a connection ends.

mod connection;
mod deadline;
mod handoff;
mod hyper_io;
mod liveness;
mod on_close;
mod unsent;
mod upgraded;

pub use connection::Connection;
pub use deadline::Deadline;
pub use handoff::{AnswerHead, Handoff, HandoffSlot, Offer, Served, TakeOver, serve_until_handoff};
pub use hyper_io::HyperIo;
pub use on_close::{Closed, OnClose};
pub use unsent::Disconnected;
pub use upgraded::Upgraded;
