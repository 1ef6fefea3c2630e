//! Every bound of the protocol, each with what it protects.

/// Characters of a channel's name. Keeps URLs, rows and list lines short.
pub const CHANNEL_NAME_CHARS: usize = 64;
/// Channels of one subscription. Bounds what one reader makes the hub keep and read.
pub const CHANNELS_PER_SUBSCRIPTION: usize = 100;
/// Default size of a message's body in bytes (`--max-message`). Bounds every buffer that holds one.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// Nesting of a JSON body. A deeper one would overflow the stack of recursive readers, ours and others'.
pub const JSON_DEPTH: usize = 100;
/// Bytes of an idempotency key: it is stored with its message and echoed to every reader.
pub const KEY_BYTES: usize = 128;
/// Characters of a sender's name: it is stored with every message.
pub const SENDER_NAME_CHARS: usize = 32;
/// Messages of one JSON answer when the request does not say (`limit`).
pub const DEFAULT_LIMIT: usize = 100;
/// Messages of one JSON answer at most; also what `last` may ask for.
pub const MAX_LIMIT: usize = 1000;
/// Seconds a long poll may wait (`wait`): below the idle time of common proxies.
pub const MAX_WAIT_SECONDS: u64 = 55;
/// Bytes of a command's `ref`, which is echoed in its answer.
pub const REF_BYTES: usize = 64;
/// Bytes a command frame may carry beside its body.
pub const COMMAND_OVERHEAD_BYTES: usize = 16 * 1024;
/// Seconds after which somebody who said no more is no longer writing.
pub const TYPING_SECONDS: u64 = 6;
/// Senders named in one `presence` or `typing` frame; the counts tell of the rest. Bounds the frame.
pub const PRESENCE_NAMES: usize = 100;
/// `behind` counts up to here; beyond it the number means "at least". Bounds the counting.
pub const BEHIND_MOST: u32 = 10_000;
/// Binary attachments of one Socket.IO packet; a message is one of them.
pub const ATTACHMENTS: usize = 8;
