//! The namespaces of one connection: the table of their event queues, and the state that they share.

use super::{
    backpressure::EventGuard,
    opened::{Opened, Revision},
    outbound::{Out, Outbound},
};
use crate::{
    hub::Hub,
    limits::{CONNECT_WITHIN, EVENT_QUEUE, NAMESPACES, REFUSALS},
    lock::Lock,
    session::Refusal,
};
use app::wire::socket_io::{Packet, PacketKind};
use engineioxide::DisconnectReason;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::{
    sync::mpsc::{self, Receiver, Sender, WeakSender},
    time::sleep,
};

/// An event packet with its attachments.
pub(super) struct Event {
    pub(super) packet: Packet,
    pub(super) attachments: Vec<Vec<u8>>,
    pub(super) _guard: EventGuard,
}

/// The namespaces of one connection. Each is a separate session, and none waits for another.
pub(super) struct Namespaces {
    pub(super) hub: Hub,
    pub(super) max_message: usize,
    pub(super) outbound: Arc<Outbound>,
    pub(super) opened: Opened,
    /// The event queues, by namespace as the client spells it. Removing an entry tells the namespace that the client
    /// has left. Events are boxed because a queue allocates space for several at once.
    table: Lock<HashMap<String, Sender<Box<Event>>>>,
    /// Namespaces that the client left on purpose. A client that returns to one of them starts over, as with
    /// Socket.IO's own server: with a recovery it would receive twice what was on its way. Bounded by [`NAMESPACES`].
    departed: Lock<HashSet<String>>,
    /// The number of refused CONNECTs.
    refused: AtomicUsize,
    /// Whether the client has ever connected to a namespace.
    joined: AtomicBool,
}

impl Namespaces {
    pub(super) fn new(hub: Hub, max_message: usize, outbound: Arc<Outbound>, opened: Opened) -> Arc<Self> {
        let this = Arc::new(Self {
            hub,
            max_message,
            outbound,
            opened,
            table: Lock::default(),
            departed: Lock::default(),
            refused: AtomicUsize::new(0),
            joined: AtomicBool::new(false),
        });
        match this.opened.revision {
            // The default namespace is connected from the beginning ("Connection to a namespace" in revision 4).
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

    /// The event queue of a namespace that the client is in.
    pub(super) fn find(&self, namespace: &str) -> Option<Sender<Box<Event>>> {
        self.table.lock().get(namespace).cloned()
    }

    /// Adds the event queue of a namespace. Returns both ends; the weak sender shows whether the client has left.
    pub(super) fn enter(&self, namespace: &str) -> (WeakSender<Box<Event>>, Receiver<Box<Event>>) {
        let (sender, events) = mpsc::channel(EVENT_QUEUE);
        let way_in = sender.downgrade();
        self.table.lock().insert(namespace.to_owned(), sender);
        self.joined.store(true, Ordering::Release);
        (way_in, events)
    }

    /// Removes the client from a namespace, if it is in it.
    pub(super) fn depart(&self, namespace: &str) {
        if self.table.lock().remove(namespace).is_none() {
            return;
        }
        let mut departed = self.departed.lock();
        if departed.len() < NAMESPACES {
            departed.insert(namespace.to_owned());
        }
    }

    /// Whether the client left this namespace before.
    pub(super) fn has_departed(&self, namespace: &str) -> bool {
        self.departed.lock().contains(namespace)
    }

    /// Removes a namespace that has ended. Returns whether no other is left.
    pub(super) fn ended(&self, namespace: &str, events: &WeakSender<Box<Event>>) -> bool {
        let mut table = self.table.lock();
        // A newer queue of the same namespace may be in the table.
        let is_it = |known: &Sender<_>| events.upgrade().is_some_and(|events| events.same_channel(known));
        if table.get(namespace).is_some_and(is_it) {
            table.remove(namespace);
        }
        table.is_empty()
    }

    /// The connection ended: removes the client from all namespaces.
    pub(super) fn clear(&self) {
        self.table.lock().clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.lock().is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.table.lock().len() >= NAMESPACES
    }

    /// Whether the client was refused more than [`REFUSALS`] times.
    pub(super) fn is_refused_too_often(&self) -> bool {
        self.refused.load(Ordering::Relaxed) > REFUSALS
    }

    /// Refuses a CONNECT.
    pub(super) fn refuse(&self, namespace: &str, refusal: &Refusal) {
        self.refuse_as(namespace, &refusal.message, refusal);
    }

    /// Refuses a CONNECT with a title that clients know.
    pub(super) fn refuse_as(&self, namespace: &str, title: &str, refusal: &Refusal) {
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
            // There may be no namespace whose task drains the packets.
            let outbound = Arc::clone(&self.outbound);
            tokio::spawn(async move { outbound.drain().await });
        }
    }
}
