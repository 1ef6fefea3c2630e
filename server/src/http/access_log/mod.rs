//! The access log: one line per answered request, and for a connection that stays open one line when it opens and one
//! when it closes. A line has the method, path, status, bytes, time and client, but no query, header or body.
//!
//! - [`logged`]: the log, and a request in progress. [`mod@line`]: one line. [`writer`]: the thread that writes the lines.

mod line;
mod logged;
mod writer;

pub use logged::{AccessLog, LogFormat};

pub(super) use logged::LoggedRequest;
