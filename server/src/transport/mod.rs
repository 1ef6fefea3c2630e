//! Bytes to frames and back, nothing else: WebSocket, SSE, Socket.IO, and the JSON answers of polls.

mod alarm;
mod assembler;
mod farewell;
mod guarded;
mod pipe;
pub mod poll;
mod pulse;
pub mod socket_io;
pub mod sse;
mod takeover;
pub mod websocket;

pub use alarm::Alarm;
pub use assembler::{Assembler, Incoming, Violation};
pub use farewell::{Ended, Farewell};
pub use guarded::Guarded;
pub use pipe::{Gone, Pipe};
pub use pulse::Pulse;
pub use takeover::{Head, Line, Run, Takeover};
