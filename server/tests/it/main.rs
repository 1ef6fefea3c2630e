//! The real server on port 0, spoken to over real sockets.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod arrows;
mod direct;
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
