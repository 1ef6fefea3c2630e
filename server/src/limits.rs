//! Every bound of the server and what it protects. The bounds of the protocol are in `app::wire::limits`.

use std::time::Duration;

/// Appends that wait for the writer thread. When the queue is full, publishers wait: it bounds the bodies in memory.
pub(crate) const APPEND_QUEUE: usize = 1024;
/// Messages in one commit. Bounds the time a commit holds the disk.
pub(crate) const COMMIT_MESSAGES: usize = 1024;
/// Messages from which a commit starts at once. Below it the writer yields the processor to collect more messages,
/// because the fixed cost of a commit is then large per message.
pub(crate) const COMMIT_PUBLISHERS: usize = 128;
/// Times the writer yields the processor before one commit. Bounds the delay: on a busy machine each yield can take a
/// few milliseconds.
pub(crate) const COMMIT_YIELDS: usize = 8;
/// Bytes of bodies from which a commit accepts no more messages. Bounds its memory and the time it holds the disk.
pub(crate) const COMMIT_BYTES: usize = 8 * 1024 * 1024;
/// Connections that read the store at once. Bounds the threads that wait for the disk.
pub(crate) const STORE_READERS: usize = 4;
/// Channel rows that the writer caches. Above it the cache is emptied, so that many channels cannot fill the memory.
pub(crate) const CHANNEL_CACHE: usize = 50_000;
/// Messages trimmed in one slice. A slice takes a few milliseconds and publishers are served between two slices.
pub(crate) const TRIM_SLICE: usize = 500;
/// Bytes trimmed in one slice. Bounds its time too, because a large body occupies many pages of the store.
pub(crate) const TRIM_SLICE_BYTES: u64 = 4 * 1024 * 1024;
/// Messages kept per channel (`--keep-messages`). Bounds the number of rows of one channel.
pub(crate) const KEEP_MESSAGES: u64 = 1_000_000;
/// Bytes kept per channel (`--keep-bytes`). Stops one busy channel from displacing all others.
pub(crate) const KEEP_BYTES: u64 = 1_000_000_000;
/// Bytes kept in all channels together (`--keep-total`). Stops a server with default options from filling the disk.
pub(crate) const KEEP_TOTAL_BYTES: u64 = 10_000_000_000;
/// Bytes that a message counts in addition to its body: about the size of its row and index entries.
pub(crate) const ROW_BYTES: u64 = 150;
/// Pause after a trim that found nothing to delete. Bounds the load of searching.
pub(crate) const KEEPING_PAUSE: Duration = Duration::from_secs(1);
/// Pause after a failed trim. Stops the server from querying a failing store every second.
pub(crate) const TRIM_RETRY: Duration = Duration::from_secs(30);
/// Time between two flushes with `--fsync interval`. A power loss loses at most the messages of this time.
pub(crate) const FSYNC_INTERVAL: Duration = Duration::from_secs(1);
/// How long an idempotency key is remembered. Bounds the number of keys in the store.
pub(crate) const KEY_WINDOW: Duration = Duration::from_secs(600);
/// Messages that the memory engine keeps in total, even if the options ask for more. Bounds its memory.
pub(crate) const MEMORY_MESSAGES: usize = 200_000;
/// Idempotency keys that the memory engine remembers. Above it the oldest keys are forgotten before their ten minutes
/// are over, so that keys cannot fill the memory.
pub(crate) const MEMORY_KEYS: usize = 1_000_000;

/// Bytes of messages in the recent log, over all channels. Bounds its memory.
pub(crate) const RECENT_BYTES: usize = 64 * 1024 * 1024;
/// Messages in the recent log, over all channels. Bounds the bookkeeping of tiny messages.
pub(crate) const RECENT_MESSAGES: usize = 200_000;
/// Channels whose message rate of the past hour is kept for the channel list. Above it the channel that has been silent
/// longest is removed, so that many channel names cannot fill the memory.
pub(crate) const RATE_CHANNELS: usize = 10_000;
/// Messages read at start to restore the rates of the past hour. Bounds the time of a start.
pub(crate) const RATE_READ_BACK: usize = 20_000;

/// Messages handed to one connection at a time. Together with [`BATCH_BYTES`] it bounds the memory of a slow reader.
pub(crate) const BATCH_MESSAGES: usize = 256;
/// Bytes handed to one connection at a time (at least one message). Bounds the memory of a slow reader.
pub(crate) const BATCH_BYTES: usize = 512 * 1024;
/// Members of a lane written to before other tasks run. A slice takes about half a millisecond.
pub(crate) const LANE_SLICE: usize = 64;
/// Members up to which the publisher's own task writes to a lane. Waking a fan-out worker takes as long as writing to
/// one member.
pub(crate) const SMALL_LANE: usize = 4;
/// Encoded segments that one round keeps. Bounds its memory. A few are enough: a member that falls far behind leaves
/// the lane, so members are at few different positions.
pub(crate) const ROUND_SEGMENTS: usize = 8;
/// Lanes that a heartbeat visits before other tasks run. Bounds how long it delays them.
pub(crate) const LANES_AT_ONCE: usize = 64;
/// Bytes of messages in one JSON answer. Bounds its memory; `more` announces the messages that do not fit.
pub(crate) const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Messages read at a time for a page of history. Bounds what is read but does not fit into the answer.
pub(crate) const HISTORY_CHUNK: usize = 32;
/// Time between two heartbeats to an idle reader. A heartbeat moves the reader's cursor forward and reveals a dead
/// connection.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Closes a connection on which no byte moves for this long. Stops dead peers from holding sockets.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
/// Publishes of one connection that wait for their acknowledgement. Above it the connection is not read.
pub(crate) const PUBLISHES_IN_FLIGHT: usize = 64;
/// Bytes above twice the largest message that a WebSocket still reads. A message that is slightly too large gets an
/// error and the connection stays open; a larger message is not read.
pub(crate) const UNREAD_MESSAGE_BYTES: usize = 64 * 1024;
/// How long a WebSocket waits for the client's close frame after sending its own. The client needs the time to read the
/// reason; the limit stops a silent client from holding the socket.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Received events of one Socket.IO connection that are not handled yet. Above it the connection is not read.
pub(crate) const EVENTS_IN_FLIGHT: usize = 64;
/// Events that wait in one namespace of a Socket.IO connection. One payload or one read buffer can hold more events
/// than [`EVENTS_IN_FLIGHT`]. Above this limit the connection is closed.
pub(crate) const EVENT_QUEUE: usize = 16 * 1024;
/// Packets of one Socket.IO connection that Engine.IO holds unsent. Engine.IO drops packets that do not fit its queue,
/// so it is given no more than these.
pub(crate) const OUTBOUND_PACKETS: usize = 64;
/// Bytes of these packets (at least one packet). Bounds the memory of a client that does not read.
pub(crate) const OUTBOUND_BYTES: usize = 256 * 1024;
/// Namespaces of one Socket.IO connection. Each has a task and a queue.
pub(crate) const NAMESPACES: usize = 64;
/// Unhandled events and CONNECTs of one Socket.IO connection when another CONNECT arrives. Each CONNECT starts a task;
/// above the limit the connection is closed.
pub(crate) const CONNECTS_IN_FLIGHT: usize = 1024;
/// Refused CONNECTs of one Socket.IO connection. Above it the connection is closed, so that a client cannot retry
/// forever.
pub(crate) const REFUSALS: usize = 256;
/// Bytes of a namespace's name. The longest channel name fits when it is percent-encoded.
pub(crate) const NAMESPACE_BYTES: usize = 1024;
/// Time between two pings to a Socket.IO client. A ping reveals a dead connection.
pub(crate) const ENGINE_PING: Duration = Duration::from_secs(20);
/// Time in which a Socket.IO client must answer a ping, including the time to read the packets sent before it. Together
/// with [`ENGINE_PING`] it equals [`SILENCE`].
pub(crate) const ENGINE_PONG: Duration = Duration::from_secs(40);
/// How long a poll waits while its session upgrades to a WebSocket. Without the wait the client polls in a tight loop.
/// A client's close packet waits as long for the poll that the client sends at the same time.
pub(crate) const UPGRADE_POLL: Duration = Duration::from_millis(100);
/// Time in which a session must complete its upgrade to a WebSocket. Stops unfinished upgrades from holding sockets.
pub(crate) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which a Socket.IO client 3.x or 4.x must join a namespace. Stops connections without a session from holding
/// sockets.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(45);
/// Bytes of the largest payload that can be a close packet of Engine.IO: `1`, or `1:1` in Engine.IO 3.
pub(crate) const ENGINE_CLOSE_BYTES: u64 = 3;
/// Bytes of the read buffer that each Engine.IO WebSocket keeps for as long as it lives. Small, because most clients
/// only receive; a larger buffer needs fewer reads for large messages.
pub(crate) const ENGINE_READ_BYTES: usize = 1024;
/// Bytes of the response that opens an Engine.IO session. Bounds what is buffered to rewrite the response.
pub(crate) const ENGINE_HANDSHAKE_BYTES: usize = 4096;
/// Bytes of each value that a client sends to recover its connection state. Bounds the parsing of every CONNECT.
pub(crate) const RECOVERY_BYTES: usize = 512;
/// Bytes of channel names that an offset may carry. Bounds its size, because an offset is sent with every message.
pub(crate) const OFFSET_NAMES: usize = 256;
/// Connections that the kernel queues until they are accepted (at most `net.core.somaxconn`). It must hold the burst of
/// connections from a proxy that reconnects.
pub(crate) const ACCEPT_QUEUE: u32 = 4096;
/// Tasks that a runtime thread runs before it checks for I/O events: as many as its local queue holds. With fewer, a
/// thousand repeated polls overflow the queue, and tasks behind them, also publishers, wait for a tenth of a second.
pub(crate) const TASKS_BETWEEN_EVENTS: u32 = 256;
/// Connections at once (`--connections`). Each costs a file descriptor and some kilobytes.
pub(crate) const CONNECTIONS: u32 = 20_000;
/// File descriptors that are not connections: the store, the runtime, the standard streams.
pub(crate) const OTHER_FILES: u64 = 100;
/// Minimum time between two updates of the channel list for one reader. Bounds the load of busy channels.
pub(crate) const LIST_PACE: Duration = Duration::from_millis(500);
/// Channels in the channel list. Bounds the size of the page.
pub(crate) const LIST_CHANNELS: usize = 100;

/// Time in which a request's head must arrive. Stops half-sent requests from holding sockets.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Time in which a request's body must arrive. Stops half-sent bodies from holding sockets.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of hyper's buffer for one connection. A larger request head is refused with 431.
pub(crate) const HTTP_BUFFER: usize = 16 * 1024;
/// Bytes read at a time from a connection after its handoff from hyper. All connections of a thread share one buffer,
/// so an idle connection has none.
pub(crate) const READ_BUFFER: usize = 64 * 1024;
/// The kernel closes a connection whose peer acknowledges no bytes for this long (`TCP_USER_TIMEOUT`). Together with
/// the heartbeat before it, a dead connection is noticed within a minute on every transport.
pub(crate) const UNACKNOWLEDGED: Duration = Duration::from_secs(45);
/// Bytes that the kernel may buffer for a client that does not read; the kernel doubles the value. Without the limit
/// each such client could take 4 MB.
pub(crate) const SEND_BUFFER: usize = 256 * 1024;
/// Seconds in which open connections must end when the server stops (`--drain`). Stops a slow client from delaying it.
pub(crate) const DRAIN_SECONDS: u64 = 5;
/// Least time that clients are told to wait before they reconnect after a stop. The next server has to start first.
pub(crate) const RETURN_AFTER: Duration = Duration::from_millis(500);

/// A sender without a connection counts as gone after this time. Stops a reconnect from being shown as a leave.
pub(crate) const LEAVE_GRACE: Duration = Duration::from_secs(5);
/// A polling sender stays present for this long after the wait of its poll has ended, so that the next poll can renew
/// it.
pub(crate) const POLL_LEASE: Duration = Duration::from_secs(30);
/// Repeated polls on one connection renew the sender's presence at most this often, each time for this much longer.
/// Bounds the updates of presence.
pub(crate) const POLL_ATTENDANCE: Duration = Duration::from_secs(1);
/// Presence leases without a connection. Stops polls under ever new names from filling the memory.
pub(crate) const POLL_LEASES: usize = 20_000;
/// Presence changes kept per channel for readers that have not received them. Bounds the memory; a reader further
/// behind receives the whole list.
pub(crate) const PRESENCE_CHANGES: usize = 256;
/// Minimum time between two presence updates. Bounds the messages when many readers come and go.
pub(crate) const PRESENCE_PACE: Duration = Duration::from_millis(200);
/// Bytes of the access log that wait to be written. Above it lines are counted and dropped, so that a blocked log
/// output cannot fill the memory.
pub(crate) const LOG_BYTES: usize = 1024 * 1024;
/// Senders shown as typing in one channel at once. Bounds the memory and the size of an update.
pub(crate) const TYPERS: usize = 20;
/// A reader that stays behind for this long is told how far behind it is, and again each time this much time has
/// passed.
pub(crate) const BEHIND_PACE: Duration = Duration::from_secs(1);

/// Bytes of the visitor cookie, with four bytes for each character of a name. A longer cookie is ignored unparsed.
pub(crate) const VISITOR_COOKIE_BYTES: usize = 512;
/// Bytes of a notice's cookie. Browsers keep cookies up to 4,096 bytes, including name and attributes.
pub(crate) const NOTICE_COOKIE_BYTES: usize = 3_800;
/// Seconds until a notice's cookie expires. A redirect takes no longer.
pub(crate) const NOTICE_SECONDS: u32 = 60;
/// Entries of `X-Forwarded-For` that are read, from the last entry backwards. Bounds the work for a long header.
pub(crate) const FORWARDED_HOPS: usize = 32;
/// Header fields of a request that the fast path reads. Browsers send about fifteen.
pub(crate) const FAST_FIELDS: usize = 32;
/// Bytes of a request's head that the fast path remembers for the life of the connection. Bounds its memory.
pub(crate) const REMEMBERED_HEAD_BYTES: usize = 4 * 1024;
/// Bodies up to this size are copied behind their head, which is cheaper than a vectored write of two parts.
pub(crate) const COPIED_BODY_BYTES: usize = 8 * 1024;
/// Messages on a channel's page when it is loaded. Bounds the size of the page.
pub(crate) const PAGE_MESSAGES: usize = 50;
/// Messages read to fill the page's chart when it is loaded: five minutes at one message per second.
pub(crate) const CHART_MESSAGES: usize = 300;
/// Messages that a page of history may be behind the end of the channel and still continue with live messages.
pub(crate) const CONTINUED_MESSAGES: usize = 300;
/// Channels in the side column of a page. Bounds the size of the page.
pub(crate) const SIDE_CHANNELS: usize = 20;
/// Capacity that a thread's buffer for encoding frames keeps after a large message.
pub(crate) const FRAME_SCRATCH_BYTES: usize = 64 * 1024;
/// Bytes that a message costs in memory beside its texts and their encoding: field names, ids, times and the bookkeeping of
/// the recent log.
pub(crate) const STORED_BYTES: usize = 512;
/// Shapes of requests that a thread remembers, each with a head of at most [`REMEMBERED_HEAD_BYTES`]: a few programs are
/// most of the traffic.
pub(crate) const REMEMBERED_SHAPES: usize = 8;
