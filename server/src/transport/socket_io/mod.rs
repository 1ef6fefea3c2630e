//! Socket.IO for its stock clients: a namespace is the path of a channel, and an event `message` is a message.
//!
//! Engine.IO below it (handshake, polling, upgrade, heartbeat) is the crate engineioxide. The packets of Socket.IO are
//! our own code ([`app::wire::socket_io`]), and so is the handling of messages: each namespace of a connection is a
//! session with a subscription, as on every other transport.
//!
//! - [`server`]: Socket.IO at one path, with polls and upgrades. [`handler`]: the callbacks of Engine.IO.
//! - [`opened`]: what is known about a connection from its first request.
//! - [`backpressure`]: makes reading and writing wait. [`outbound`]: the outgoing packets of a connection.
//! - [`channels`]: handles packets. [`namespaces`]: the table of a connection's namespaces. [`namespace`]: one of them.
//! - [`connect`]: how a client connects to a namespace and recovers its state. [`sink`]: writes to a namespace.
//! - [`echo`]: the servers that the protocols' official test suites run against.

mod backpressure;
mod channels;
mod connect;
mod echo;
mod handler;
mod namespace;
mod namespaces;
mod opened;
mod outbound;
mod server;
mod sink;

pub use backpressure::Introduce;
pub use server::{Full, SocketIo};
