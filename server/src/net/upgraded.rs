//! What a transport gets when it takes a connection over.

use super::{Connection, Disconnected, OnClose};
use crate::limits::HTTP_BUFFER;
use bytes::BytesMut;
use std::sync::Arc;

/// A connection that hyper no longer has.
pub struct Upgraded {
    /// The socket.
    pub connection: Arc<Connection>,
    /// Bytes that came behind the request.
    pub received: BytesMut,
    /// Tells the end of the answer; it goes wherever the connection goes.
    pub on_close: OnClose,
}

impl Upgraded {
    /// Whether more may be read while the answer waits. A client may send its next request before it has this answer, up
    /// to what hyper would buffer.
    pub fn has_room(&self) -> bool {
        self.received.len() < HTTP_BUFFER
    }

    /// Keeps what the peer sends.
    ///
    /// # Errors
    /// Returns an error if the peer is gone.
    pub fn receive(&mut self) -> Result<(), Disconnected> {
        let mut chunk = [0; 1024];
        let read = self.connection.read(&mut chunk)?;
        self.received.extend_from_slice(&chunk[..read]);
        Ok(())
    }
}
