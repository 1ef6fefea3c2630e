//! Every bound of the server, each with what it protects. Those of the protocol are in `app::wire::limits`.

use std::time::Duration;

/// Appends that wait for the writer. Beyond it publishers wait; memory stays below this many bodies.
pub(crate) const APPEND_QUEUE: usize = 1024;
/// Messages of one commit. Bounds the time a commit holds the disk.
pub(crate) const COMMIT_MESSAGES: usize = 1024;
/// Messages of one commit for which others are given the processor once more: with so many, what the commit itself costs
/// is little beside them.
pub(crate) const COMMIT_COMPANY: usize = 128;
/// Times the processor is given away before one commit: where others keep it busy, each takes up to a few milliseconds.
pub(crate) const COMMIT_TURNS: usize = 8;
/// Bytes of one commit, after which it is closed.
pub(crate) const COMMIT_BYTES: usize = 8 * 1024 * 1024;
/// Connections that read the store at once.
pub(crate) const STORE_READERS: usize = 4;
/// Channels whose row the writer remembers. Past it the memory is emptied and fills again.
pub(crate) const CHANNEL_CACHE: usize = 50_000;
/// Messages trimmed in one slice: a few milliseconds, between which publishers get their turn.
pub(crate) const TRIM_SLICE: usize = 500;
/// Bytes trimmed in one slice: large bodies are many pages of the store.
pub(crate) const TRIM_SLICE_BYTES: u64 = 4 * 1024 * 1024;
/// Messages kept of one channel (`--keep-messages`).
pub(crate) const KEEP_MESSAGES: u64 = 1_000_000;
/// Bytes kept of one channel (`--keep-bytes`): one loud channel cannot push all others out.
pub(crate) const KEEP_BYTES: u64 = 1_000_000_000;
/// Bytes kept of all channels (`--keep-total`): the disk is not filled to the brim unasked.
pub(crate) const KEEP_TOTAL_BYTES: u64 = 10_000_000_000;
/// What a message counts for beside its body: about what its row and index entries take.
pub(crate) const ROW_BYTES: u64 = 150;
/// Pause between two looks for what need not be kept.
pub(crate) const KEEPING_PAUSE: Duration = Duration::from_secs(1);
/// With `--fsync interval` a power loss takes at most what came within this time.
pub(crate) const FSYNC_INTERVAL: Duration = Duration::from_secs(1);
/// How long an idempotency key is remembered.
pub(crate) const KEY_WINDOW: Duration = Duration::from_secs(600);
/// Messages the memory engine keeps in all, whatever is asked for: it has no disk to put them on.
pub(crate) const MEMORY_MESSAGES: usize = 200_000;
/// Idempotency keys the memory engine remembers; past it the oldest are forgotten before their ten minutes are over.
pub(crate) const MEMORY_KEYS: usize = 1_000_000;

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
/// Readers of one lane that are written to before others get their turn: half a millisecond.
pub(crate) const LANE_SLICE: usize = 64;
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
/// Events of one Socket.IO connection that are taken in before the first of them is handled: past it, it is not read.
pub(crate) const EVENTS_IN_FLIGHT: usize = 64;
/// Events that wait in one of its namespaces: what came in one payload, or lay in one buffer, before it was no longer read.
/// With more the connection ends.
pub(crate) const EVENT_QUEUE: usize = 16 * 1024;
/// Packets of one Socket.IO connection that Engine.IO is given before it has sent them: it drops what does not fit.
pub(crate) const OUTBOUND_PACKETS: usize = 64;
/// Bytes of them (at least one packet): what a client that does not read holds.
pub(crate) const OUTBOUND_BYTES: usize = 256 * 1024;
/// Namespaces of one Socket.IO connection.
pub(crate) const NAMESPACES: usize = 64;
/// Events and CONNECTs of one Socket.IO connection under way when another CONNECT comes; with more it ends: each is a task.
pub(crate) const CONNECTS_IN_FLIGHT: usize = 1024;
/// Times one Socket.IO connection may ask for a namespace it is not let into.
pub(crate) const REFUSALS: usize = 256;
/// Bytes of a namespace: the longest channel name, percent-encoded.
pub(crate) const NAMESPACE_BYTES: usize = 1024;
/// A Socket.IO client is asked this often whether it is there.
pub(crate) const ENGINE_PING: Duration = Duration::from_secs(20);
/// It has so long to answer, and to read what was sent before the question: with [`ENGINE_PING`] it makes [`SILENCE`].
pub(crate) const ENGINE_PONG: Duration = Duration::from_secs(40);
/// A poll of a session that goes over to a WebSocket waits so long before it is told that there is nothing.
pub(crate) const UPGRADE_POLL: Duration = Duration::from_millis(100);
/// A session that was to go over to a WebSocket has so long for it.
pub(crate) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections the kernel holds until they are accepted (at most `net.core.somaxconn`): those of a proxy that comes back.
pub(crate) const ACCEPT_QUEUE: u32 = 4096;
/// Tasks a thread of the runtime runs before it looks for what came meanwhile: as many as its own queue holds. With fewer,
/// a thousand polls that come again overflow it, and who lies behind them, publishers too, waits for a tenth of a second.
pub(crate) const TASKS_BETWEEN_EVENTS: u32 = 256;
/// Connections at once (`--connections`): each costs a socket.
pub(crate) const CONNECTIONS: u32 = 20_000;
/// File descriptors beside those of connections: the store, the runtime, standard streams.
pub(crate) const OTHER_FILES: u64 = 100;
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
/// Bytes read in one go from a connection that hyper does not have, into a buffer that all connections of a thread share:
/// an idle one has none.
pub(crate) const READ_BUFFER: usize = 64 * 1024;
/// What a peer has not acknowledged for so long never will be: with the heartbeat before it, a line that died is
/// noticed within a minute on every transport (`TCP_USER_TIMEOUT`).
pub(crate) const UNACKNOWLEDGED: Duration = Duration::from_secs(45);
/// Bytes the kernel may hold for a client that does not read; it doubles the number. Without it each such client
/// could take 4 MB.
pub(crate) const SEND_BUFFER: usize = 256 * 1024;
/// Seconds open connections may take to end when the server stops (`--drain`).
pub(crate) const DRAIN_SECONDS: u64 = 5;
/// Nobody is told to come back sooner than this after a stop: the next server has to start first.
pub(crate) const RETURN_AFTER: Duration = Duration::from_millis(500);

/// Who has no connection left is gone after this: a reconnect is no leave.
pub(crate) const LEAVE_GRACE: Duration = Duration::from_secs(5);
/// A poll that goes on counts as present for so long beyond its own wait.
pub(crate) const POLL_LEASE: Duration = Duration::from_secs(30);
/// Whoever polls again and again over one connection is said to be there this often, for as much longer.
pub(crate) const POLL_ATTENDANCE: Duration = Duration::from_secs(1);
/// Leases without a connection: polls under ever new names cannot fill the memory.
pub(crate) const POLL_LEASES: usize = 20_000;
/// Comings and goings of one channel that are kept for readers who have not heard of them.
pub(crate) const PRESENCE_CHANGES: usize = 256;
/// Presence is told at most this often.
pub(crate) const PRESENCE_PACE: Duration = Duration::from_millis(200);
/// Bytes of the access log that wait for whoever reads it; past it lines are counted and dropped.
pub(crate) const LOG_BYTES: usize = 1024 * 1024;
/// Senders who are shown as writing in one channel at once.
pub(crate) const TYPERS: usize = 20;
/// A reader that is behind for so long is told how far, and again as often.
pub(crate) const BEHIND_PACE: Duration = Duration::from_secs(1);
