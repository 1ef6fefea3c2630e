//! Every bound of the server, each with what it protects. Those of the protocol are in `app::wire::limits`.

use std::time::Duration;

/// Appends that wait for the writer. Beyond it publishers wait; memory stays below this many bodies.
pub(crate) const APPEND_QUEUE: usize = 1024;
/// Messages of one commit. Bounds the time a commit holds the disk.
pub(crate) const COMMIT_MESSAGES: usize = 1024;
/// Bytes of one commit, after which it is closed.
pub(crate) const COMMIT_BYTES: usize = 8 * 1024 * 1024;
/// Connections that read the store at once.
pub(crate) const STORE_READERS: usize = 4;
/// Channels whose row the writer remembers. Past it the memory is emptied and fills again.
pub(crate) const CHANNEL_CACHE: usize = 50_000;
/// Messages trimmed in one slice: a few milliseconds, between which publishers get their turn.
pub(crate) const TRIM_SLICE: usize = 500;
/// How long an idempotency key is remembered.
pub(crate) const KEY_WINDOW: Duration = Duration::from_secs(600);
/// Messages the memory engine keeps in all; then the oldest go.
pub(crate) const MEMORY_MESSAGES: usize = 200_000;

/// Bytes of recent messages kept in memory for readers, over all channels.
pub(crate) const RING_BYTES: usize = 64 * 1024 * 1024;
/// Recent messages kept in memory, over all channels: bounds the bookkeeping of tiny messages.
pub(crate) const RING_MESSAGES: usize = 200_000;
/// Channels whose pace of the past hour is kept for the list; the longest silent goes first.
pub(crate) const PACE_CHANNELS: usize = 10_000;
/// Messages read back at start to fill the pace of the past hour.
pub(crate) const PACE_READ_BACK: usize = 20_000;

/// Messages handed to one connection in one go. With [`BATCH_BYTES`] it bounds what a slow reader holds.
pub(crate) const BATCH_MESSAGES: usize = 256;
/// Bytes handed to one connection in one go (at least one message).
pub(crate) const BATCH_BYTES: usize = 512 * 1024;
/// Bytes of one JSON answer of messages; what does not fit is `more`.
pub(crate) const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Messages read at once for a page of history: bounds what is read and then does not fit.
pub(crate) const HISTORY_CHUNK: usize = 32;
/// An idle reader's cursor is moved forward this often, and a dead line noticed.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Without a byte moved for so long a connection is closed.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
/// Publishes of one connection that wait for their acknowledgement.
pub(crate) const PUBLISHES_IN_FLIGHT: usize = 64;
/// Connections at once: each costs a socket.
pub(crate) const CONNECTIONS: usize = 20_000;
/// The list of channels changes at most this often for one reader.
pub(crate) const LIST_PACE: Duration = Duration::from_millis(500);
/// Channels in the list.
pub(crate) const LIST_CHANNELS: usize = 100;

/// A request's head must be there by then: stops half-sent requests from holding sockets.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// A request's body must be there by then.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// hyper's buffer for one connection; a larger head is refused with 431.
pub(crate) const HTTP_BUFFER: usize = 16 * 1024;
/// axum's read buffer for one WebSocket: its default of 128 KiB would be most of an idle connection.
pub(crate) const WEBSOCKET_READ_BUFFER: usize = 4096;
/// How long open connections may take to end when the server stops.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
