//! HTTP: one way to publish, one way to read, whichever door a request comes through.
//!
//! - [`mod@serve`]: the accept loop. [`connection`]: one connection, which goes from the fast path to hyper to a handoff.
//! - [`fast`]: publishes and polls answered before hyper has the connection; it parses and encodes only.
//! - [`router`]: every path, and what every answer goes through. [`state`]: what handlers may use.
//! - [`request`], [`params`], [`body`]: what a request says. [`headers`]: what single headers say. [`who`]: who asks.
//! - [`publish`]; [`read`]: JSON, SSE and WebSocket; [`page`] and [`forms`]: pages; [`channels`]: the list;
//!   [`socket_io`]: where its clients come in.
//! - [`error`]: a refusal as an answer. [`origin`]: which pages may ask. [`raw_response`]: answers written past hyper.
//! - [`access_log`]: one line per request.

mod access_log;
mod body;
mod channels;
mod connection;
mod error;
pub mod fast;
mod forms;
mod headers;
mod origin;
mod page;
mod params;
mod publish;
mod raw_response;
mod read;
mod request;
mod router;
mod serve;
mod socket_io;
mod state;
mod who;

pub use access_log::{AccessLog, LogFormat};
pub use error::HttpError;
pub use origin::Origins;
pub use serve::serve;
pub use state::{App, Counter, Parts};
pub use who::{Seal, Trusted, Visitors};
