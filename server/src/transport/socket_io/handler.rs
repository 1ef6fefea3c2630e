//! The callbacks of Engine.IO, and the table of its open connections.

use super::{
    backpressure::Backpressure,
    opened::{Introduced, Opened, Revision},
    outbound::Outbound,
};
use crate::lock::Lock;
use bytes::Bytes;
use engineioxide::{
    DisconnectReason, ProtocolVersion, Socket, Str, TransportType, handler::EngineIoHandler, socket::Sid,
};
use std::{collections::HashMap, fmt, sync::Arc};

/// A client violates the protocol. Its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) &'static str);

/// What runs on top of one connection of Engine.IO.
pub(super) trait Protocol: Send + Sync {
    /// Handles a text packet.
    fn text(&self, text: &str) -> Result<(), Broken>;
    /// Handles a binary packet.
    fn binary(&self, bytes: Bytes) -> Result<(), Broken>;
    /// Called when the client has disconnected.
    fn left(&self);
    /// Called when the server stops.
    fn stop(&self);
}

/// Creates the [`Protocol`] of a new connection.
pub(super) type Begin = Box<dyn Fn(Arc<Outbound>, Opened) -> Box<dyn Protocol> + Send + Sync>;

/// Implements the callbacks of Engine.IO.
pub(super) struct Handler {
    begin: Begin,
    max_payload: usize,
    links: Lock<HashMap<Sid, Arc<Link>>>,
}

/// An open connection.
pub(super) struct Link {
    outbound: Arc<Outbound>,
    protocol: Box<dyn Protocol>,
}

impl Handler {
    pub(super) fn new(begin: Begin, max_payload: usize) -> Arc<Self> {
        Arc::new(Self { begin, max_payload, links: Lock::default() })
    }

    fn link(&self, sid: Sid) -> Option<Arc<Link>> {
        self.links.lock().get(&sid).cloned()
    }

    /// The backpressure of a session. `None` if there is no such session.
    pub(super) fn backpressure(&self, sid: Sid) -> Option<Arc<Backpressure>> {
        self.link(sid).map(|link| Arc::clone(link.outbound.backpressure()))
    }

    /// Whether a session uses this transport.
    pub(super) fn is_on(&self, sid: Sid, transport: TransportType) -> bool {
        self.link(sid).is_some_and(|link| link.outbound.is_on(transport))
    }

    /// Closes a session whose poll was aborted.
    pub(super) fn abandoned(&self, sid: Sid) {
        if let Some(link) = self.link(sid).filter(|link| link.outbound.is_on(TransportType::Polling)) {
            link.outbound.close(DisconnectReason::TransportError);
        }
    }

    /// Tells all connections that the server stops.
    pub(super) fn stop(&self) {
        let links: Vec<_> = self.links.lock().values().cloned().collect();
        links.iter().for_each(|link| link.protocol.stop());
    }

    fn hear(&self, socket: &Socket<()>, what: impl FnOnce(&Link) -> Result<(), Broken>) {
        let Some(link) = self.link(socket.id) else { return };
        if let Err(broken) = what(&link) {
            tracing::debug!(%broken, "a Socket.IO client does not speak the protocol");
            socket.close(DisconnectReason::PacketParsingError);
        }
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl EngineIoHandler for Handler {
    type Data = ();

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<()>>) {
        let Some(Introduced(backpressure)) = socket.req_parts.extensions.get().cloned() else {
            return socket.close(DisconnectReason::TransportError);
        };
        backpressure.belongs_to(&socket);
        let query = socket.req_parts.uri.query().unwrap_or_default().to_owned();
        let official = is_official(&query);
        let opened = Opened {
            revision: match socket.protocol {
                ProtocolVersion::V3 => Revision::Four,
                ProtocolVersion::V4 => Revision::Five,
            },
            recovers: socket.protocol == ProtocolVersion::V4 && official,
            query,
            max_payload: self.max_payload,
        };
        let outbound = Arc::new(Outbound::new(&socket, backpressure, !official));
        let protocol = (self.begin)(Arc::clone(&outbound), opened);
        let link = Arc::new(Link { outbound, protocol });
        self.links.lock().insert(socket.id, link);
    }

    fn on_disconnect(&self, socket: Arc<Socket<()>>, reason: DisconnectReason) {
        let link = self.links.lock().remove(&socket.id);
        tracing::debug!(?reason, "a Socket.IO client is gone");
        if let Some(link) = link {
            link.protocol.left();
            link.outbound.backpressure().went_out();
        }
    }

    fn on_message(self: &Arc<Self>, text: Str, socket: Arc<Socket<()>>) {
        self.hear(&socket, |link| link.protocol.text(&text));
    }

    fn on_binary(self: &Arc<Self>, bytes: Bytes, socket: Arc<Socket<()>>) {
        self.hear(&socket, |link| link.protocol.binary(bytes));
    }
}

/// Whether a client is an official one or behaves like one: in the query that opens a connection, official clients put
/// the version of the protocol first. python-socketio puts the transport first. It accepts few packets at once, has no
/// connection state recovery, and fails in its user's handler if an event has more arguments than the handler takes.
fn is_official(query: &str) -> bool {
    let at = |name: &str| query.split('&').position(|pair| pair.starts_with(name));
    at("EIO=") < at("transport=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_official() {
        assert!(is_official("EIO=4&transport=polling&t=abc"));
        assert!(is_official("token=1&EIO=4&transport=websocket"));
        assert!(!is_official("transport=polling&EIO=4&t=17.5"));
    }
}
