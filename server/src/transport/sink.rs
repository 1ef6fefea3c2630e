//! Makes a connection a [`Sink`] of the hub: the task that pushes also writes to the socket.

use crate::{
    hub::{Chunk, PushResult, Sink},
    net::Connection,
};
use bytes::Bytes;

impl Sink for Connection {
    fn push(&self, chunk: &Chunk) -> PushResult {
        if self.write(&chunk.bytes) { PushResult::Written } else { PushResult::Behind }
    }

    fn heartbeat(&self, bytes: &Bytes) -> PushResult {
        if self.write_heartbeat(bytes) { PushResult::Written } else { PushResult::Behind }
    }

    fn prefetch(&self) {
        self.touch();
    }
}
