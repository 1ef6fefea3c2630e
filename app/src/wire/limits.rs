//! The limits of the protocol. Each comment says what the limit protects.

/// Maximum characters of a channel name. Keeps URLs, stored rows and lists short.
pub const CHANNEL_NAME_CHARS: usize = 64;
/// Maximum channels of one subscription. Bounds the memory and the reads that one reader costs the hub.
pub const CHANNELS_PER_SUBSCRIPTION: usize = 100;
/// Default maximum size of a body in bytes (`--max-message`). Bounds every buffer that holds a body.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// Maximum nesting of a JSON body. Deeper nesting could overflow the stack of a recursive parser, here or in a client.
pub const JSON_DEPTH: usize = 100;
/// Maximum bytes of an idempotency key, which is stored with its message and sent to every reader.
pub const KEY_BYTES: usize = 128;
/// Maximum characters of a sender's name, which is stored with every message.
pub const SENDER_NAME_CHARS: usize = 32;
/// Default number of messages in one JSON answer (`limit`).
pub const DEFAULT_LIMIT: usize = 100;
/// Maximum number of messages in one JSON answer, and the maximum of `last`.
pub const MAX_LIMIT: usize = 1000;
/// Maximum seconds that a long poll waits (`wait`). Below the idle timeout of common proxies.
pub const MAX_WAIT_SECONDS: u64 = 55;
/// Maximum bytes of a command's `ref`, which its answer repeats.
pub const REF_BYTES: usize = 64;
/// Maximum bytes of a command frame in addition to its body.
pub const COMMAND_OVERHEAD_BYTES: usize = 16 * 1024;

/// Returns the maximum bytes of a command whose body has at most `max_message` bytes. A JSON escape can use six bytes
/// for one byte of the body.
pub const fn command_bytes(max_message: usize) -> usize {
    max_message * 6 + COMMAND_OVERHEAD_BYTES
}

/// Seconds after which a sender no longer counts as writing, unless the client repeats the `typing` command.
pub const TYPING_SECONDS: u64 = 6;
/// Maximum senders listed in one `presence` frame; its counts include the others. Bounds the frame.
pub const PRESENCE_NAMES: usize = 100;
/// Maximum value of `behind`, which then means "at least this many". Bounds the cost of counting.
pub const BEHIND_MOST: u32 = 10_000;
/// Maximum binary attachments of one Socket.IO packet. A binary body uses one of them.
pub const ATTACHMENTS: usize = 8;
