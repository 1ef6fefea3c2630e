use super::{
    Opened, Revision,
    handler::{Broken, Conversation},
    opening::{Opening, Place},
    outbound::{Out, Outbound},
    room::{Event, Room},
};
use crate::{
    hub::Hub,
    limits::{CONNECTS_IN_FLIGHT, EVENT_QUEUE, NAMESPACE_BYTES, NAMESPACES, REFUSALS},
    session::Refusal,
};
use app::wire::{
    ErrorCode,
    socket_io::{Packet, PacketKind},
};
use bytes::Bytes;
use engineioxide::DisconnectReason;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc::{self, Receiver, Sender, error::TrySendError},
    time::sleep,
};

/// A client that comes into no namespace is let go after this.
const CONNECT_WITHIN: Duration = Duration::from_secs(45);

/// The namespaces of one connection: each is a session of its own, and they do not wait for each other.
pub(super) struct Rooms {
    pub(super) hub: Hub,
    pub(super) max_message: usize,
    pub(super) outbound: Arc<Outbound>,
    pub(super) opened: Opened,
    /// By the namespace as the client spells it.
    rooms: Mutex<HashMap<String, Door>>,
    /// Namespaces it left by itself: who comes back there begins anew, as with Socket.IO's own server. What was on its way to
    /// it would come twice if it recovered. Bounded by what one connection may have.
    departed: Mutex<HashSet<String>>,
    /// Times the client was not let in.
    refused: AtomicUsize,
    /// Came into any.
    joined: AtomicBool,
    assembly: Mutex<Assembly>,
}

/// The way into a room.
struct Door {
    /// Where events go; in boxes, since a channel has room for some at once.
    events: Sender<Box<Event>>,
    /// Set when the client leaves.
    left: Arc<AtomicBool>,
}

/// The room's side of it.
pub(super) struct Entrance {
    pub(super) events: Receiver<Box<Event>>,
    pub(super) left: Arc<AtomicBool>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Release);
    }
}

/// A packet whose attachments have not all come.
#[derive(Default)]
struct Assembly {
    packet: Option<Packet>,
    attachments: Vec<Vec<u8>>,
    bytes: usize,
}

/// A connection as a conversation.
pub(super) struct Channels(pub(super) Arc<Rooms>);

impl Rooms {
    pub(super) fn new(hub: Hub, max_message: usize, outbound: Arc<Outbound>, opened: Opened) -> Arc<Self> {
        let this = Arc::new(Self {
            hub,
            max_message,
            outbound,
            opened,
            rooms: Mutex::default(),
            departed: Mutex::default(),
            refused: AtomicUsize::new(0),
            joined: AtomicBool::new(false),
            assembly: Mutex::default(),
        });
        match this.opened.revision {
            // The default namespace is there from the beginning ("Connection to a namespace" in revision 4).
            Revision::Four => {
                let connected = Packet::new(PacketKind::Connect, "/", None);
                this.outbound.put([Out::Text(connected.to_text())]);
            }
            Revision::Five => {
                let waiting = Arc::downgrade(&this);
                tokio::spawn(async move {
                    sleep(CONNECT_WITHIN).await;
                    if let Some(this) = waiting.upgrade().filter(|this| !this.joined.load(Ordering::Acquire)) {
                        this.outbound.close(DisconnectReason::TransportClose);
                    }
                });
            }
        }
        this
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<String, Door>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn departed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.departed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn departs(&self, namespace: String) {
        let mut departed = self.departed();
        if departed.len() < NAMESPACES {
            departed.insert(namespace);
        }
    }

    fn assembly(&self) -> MutexGuard<'_, Assembly> {
        self.assembly.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(self: &Arc<Self>, packet: Packet, attachments: Vec<Vec<u8>>) -> Result<(), Broken> {
        match packet.kind {
            PacketKind::Connect => self.connect(&packet),
            PacketKind::Disconnect => {
                if self.rooms().remove(&packet.namespace).is_some() {
                    self.departs(packet.namespace);
                }
                Ok(())
            }
            PacketKind::Event | PacketKind::BinaryEvent => self.event(packet, attachments),
            // Nothing of ours asks for an answer.
            PacketKind::Ack | PacketKind::BinaryAck => Ok(()),
            PacketKind::ConnectError => Err(Broken("a client sends no errors")),
        }
    }

    fn connect(self: &Arc<Self>, packet: &Packet) -> Result<(), Broken> {
        if packet.namespace.len() > NAMESPACE_BYTES {
            return Err(Broken("the namespace is too long"));
        }
        let namespace = packet.namespace.as_str();
        // Who comes again before it knows that it was in begins anew.
        if self.rooms().remove(namespace).is_some() {
            self.departs(namespace.to_owned());
        }
        let edge = self.outbound.edge();
        let coming = edge.taken();
        if edge.queued() > CONNECTS_IN_FLIGHT || self.refused.load(Ordering::Relaxed) > REFUSALS {
            return Err(Broken("more namespaces at once than are looked at"));
        }
        let query = packet.query.as_deref().unwrap_or(&self.opened.query);
        let place = Place::of(namespace);
        let opening = Opening::read(packet.data.as_deref(), query);
        match (place, opening) {
            _ if self.rooms().len() >= NAMESPACES => {
                let message = format!("one connection has at most {NAMESPACES} namespaces");
                self.refuse(namespace, &Refusal::new(ErrorCode::TooManyChannels, message));
            }
            // In the words of Socket.IO's own server.
            (Err(refusal), _) => self.refuse_as(namespace, "Invalid namespace", &refusal),
            (_, Err(refusal)) => self.refuse(namespace, &refusal),
            (Ok(place), Ok(mut opening)) => {
                if self.departed().contains(namespace) {
                    opening.recovery = None;
                }
                let entrance = self.enter(namespace);
                let (rooms, namespace) = (Arc::clone(self), namespace.to_owned());
                tokio::spawn(Room::open(rooms, namespace, place, opening, entrance, coming));
            }
        }
        Ok(())
    }

    fn enter(&self, namespace: &str) -> Entrance {
        let (sender, events) = mpsc::channel(EVENT_QUEUE);
        let left = Arc::new(AtomicBool::new(false));
        self.rooms().insert(namespace.to_owned(), Door { events: sender, left: Arc::clone(&left) });
        self.joined.store(true, Ordering::Release);
        Entrance { events, left }
    }

    fn event(self: &Arc<Self>, packet: Packet, attachments: Vec<Vec<u8>>) -> Result<(), Broken> {
        let namespace = packet.namespace.clone();
        let to = |rooms: &Self| rooms.rooms().get(&namespace).map(|door| door.events.clone());
        let mut room = to(self);
        if room.is_none() && namespace == "/" && self.opened.revision == Revision::Four {
            // It was told it is in: its session begins when it says something.
            let opening = Opening::read(None, &self.opened.query).map_err(|_| Broken("the query is none"))?;
            let entrance = self.enter("/");
            tokio::spawn(Room::open_silently(Arc::clone(self), opening, entrance));
            room = to(self);
        }
        let room = room.ok_or(Broken("an event for a namespace the client is not in"))?;
        match room.try_send(Box::new(Event { packet, attachments, _taken: self.outbound.edge().taken() })) {
            // Of a room that has just gone nobody waits for an answer.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Broken("more events at once than are taken")),
        }
    }

    /// Does not let a client in.
    pub(super) fn refuse(&self, namespace: &str, refusal: &Refusal) {
        self.refuse_as(namespace, &refusal.message, refusal);
    }

    fn refuse_as(&self, namespace: &str, title: &str, refusal: &Refusal) {
        let data = match self.opened.revision {
            Revision::Four => serde_json::json!(title),
            Revision::Five => serde_json::json!({
                "message": title,
                "data": {"code": refusal.code, "message": refusal.message},
            }),
        };
        let error = Packet::new(PacketKind::ConnectError, namespace, Some(data.to_string()));
        self.refused.fetch_add(1, Ordering::Relaxed);
        if !self.outbound.put([Out::Text(error.to_text())]) {
            // There may be no room that drains it.
            let outbound = Arc::clone(&self.outbound);
            tokio::spawn(async move { outbound.drain().await });
        }
    }

    /// A room is no more; whether it was the last.
    pub(super) fn left(&self, namespace: &str, left: &Arc<AtomicBool>) -> bool {
        let mut rooms = self.rooms();
        // Not the one that has taken its place.
        if rooms.get(namespace).is_some_and(|door| Arc::ptr_eq(&door.left, left)) {
            rooms.remove(namespace);
        }
        rooms.is_empty()
    }
}

impl Conversation for Channels {
    fn text(&self, text: &str) -> Result<(), Broken> {
        let packet = Packet::parse(text).map_err(|_| Broken("no packet of Socket.IO"))?;
        let mut assembly = self.0.assembly();
        if assembly.packet.is_some() {
            return Err(Broken("a packet came before the attachments of the last"));
        }
        if packet.attachments > 0 {
            assembly.packet = Some(packet);
            return Ok(());
        }
        drop(assembly);
        self.0.handle(packet, Vec::new())
    }

    fn binary(&self, bytes: Bytes) -> Result<(), Broken> {
        let mut assembly = self.0.assembly();
        let wanted = assembly.packet.as_ref().ok_or(Broken("an attachment without a packet"))?.attachments;
        assembly.bytes += bytes.len();
        if assembly.bytes > self.0.opened.max_payload {
            return Err(Broken("the attachments are too large"));
        }
        assembly.attachments.push(bytes.into());
        if assembly.attachments.len() < wanted {
            return Ok(());
        }
        let Assembly { packet, attachments, .. } = std::mem::take(&mut *assembly);
        drop(assembly);
        packet.map_or(Ok(()), |packet| self.0.handle(packet, attachments))
    }

    fn left(&self) {
        self.0.rooms().clear();
    }

    fn stop(&self) {
        // Rooms hear of it themselves; the last of them ends the connection.
        if self.0.rooms().is_empty() {
            self.0.outbound.close(DisconnectReason::ClosingServer);
        }
    }
}
