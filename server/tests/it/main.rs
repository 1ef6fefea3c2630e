//! Integration tests: each starts a real server on a free port and connects to it over real sockets.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod arrows;
mod fast;
mod full_disk;
mod keeping;
mod kill;
mod lines;
mod oracle;
mod presence;
mod protocol_page;
mod publish;
mod read;
mod restart;
mod sse;
mod stopping;
mod support;
mod websocket;
mod who;
