use super::{Introduced, Opened, Revision, edge::Edge, outbound::Outbound};
use bytes::Bytes;
use engineioxide::{
    DisconnectReason, ProtocolVersion, Socket, Str, TransportType, handler::EngineIoHandler, socket::Sid,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// A client does not speak the protocol: its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) &'static str);

/// What is said on one connection of Engine.IO.
pub(super) trait Conversation: Send + Sync {
    /// A text packet came.
    fn text(&self, text: &str) -> Result<(), Broken>;
    /// A binary packet came.
    fn binary(&self, bytes: Bytes) -> Result<(), Broken>;
    /// The client is gone.
    fn left(&self);
    /// The server stops.
    fn stop(&self);
}

/// Begins a conversation with whoever comes.
pub(super) type Begin = Box<dyn Fn(Arc<Outbound>, Opened) -> Box<dyn Conversation> + Send + Sync>;

/// What Engine.IO calls.
pub(super) struct Handler {
    begin: Begin,
    max_payload: usize,
    links: RwLock<HashMap<Sid, Arc<Link>>>,
}

/// A connection that is there.
pub(super) struct Link {
    outbound: Arc<Outbound>,
    conversation: Box<dyn Conversation>,
}

impl Handler {
    pub(super) fn new(begin: Begin, max_payload: usize) -> Arc<Self> {
        Arc::new(Self { begin, max_payload, links: RwLock::default() })
    }

    fn link(&self, sid: Sid) -> Option<Arc<Link>> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(&sid).cloned()
    }

    /// Where the bytes of a connection come in and go out.
    pub(super) fn edge(&self, sid: Sid) -> Option<Arc<Edge>> {
        self.link(sid).map(|link| Arc::clone(link.outbound.edge()))
    }

    /// Whether a session is on this transport.
    pub(super) fn is_on(&self, sid: Sid, transport: TransportType) -> bool {
        self.link(sid).is_some_and(|link| link.outbound.is_on(transport))
    }

    /// A poll was given up.
    pub(super) fn abandoned(&self, sid: Sid) {
        if let Some(link) = self.link(sid).filter(|link| link.outbound.is_on(TransportType::Polling)) {
            link.outbound.close(DisconnectReason::TransportError);
        }
    }

    /// The server stops.
    pub(super) fn stop(&self) {
        let links: Vec<_> = self.links.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        links.iter().for_each(|link| link.conversation.stop());
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
        let Some(Introduced(edge)) = socket.req_parts.extensions.get().cloned() else {
            return socket.close(DisconnectReason::TransportError);
        };
        edge.belongs_to(&socket);
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
        let outbound = Arc::new(Outbound::new(&socket, edge, !official));
        let conversation = (self.begin)(Arc::clone(&outbound), opened);
        let link = Arc::new(Link { outbound, conversation });
        self.links.write().unwrap_or_else(PoisonError::into_inner).insert(socket.id, link);
    }

    fn on_disconnect(&self, socket: Arc<Socket<()>>, reason: DisconnectReason) {
        let link = self.links.write().unwrap_or_else(PoisonError::into_inner).remove(&socket.id);
        tracing::debug!(?reason, "a Socket.IO client is gone");
        if let Some(link) = link {
            link.conversation.left();
            link.outbound.edge().went_out();
        }
    }

    fn on_message(self: &Arc<Self>, text: Str, socket: Arc<Socket<()>>) {
        self.hear(&socket, |link| link.conversation.text(&text));
    }

    fn on_binary(self: &Arc<Self>, bytes: Bytes, socket: Arc<Socket<()>>) {
        self.hear(&socket, |link| link.conversation.binary(bytes));
    }
}

/// Whether a client is an official one or made after them, by the query that opened its connection: they name the
/// protocol's version first. python-socketio names the transport first. It takes few packets at once, knows no connection
/// state recovery, and fails in its user's handler when an event has an argument more than the handler takes.
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
