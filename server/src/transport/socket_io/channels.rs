//! Handles the packets of a Socket.IO client: it connects to namespaces, leaves them, and sends events.

use super::{
    connect::{ConnectParams, Target},
    handler::{Broken, Protocol},
    namespace::{Namespace, Opening},
    namespaces::{Event, Namespaces},
    opened::Revision,
};
use crate::{
    limits::{CONNECTS_IN_FLIGHT, NAMESPACE_BYTES, NAMESPACES},
    lock::Lock,
    session::Refusal,
};
use app::wire::{
    ErrorCode,
    socket_io::{Packet, PacketKind},
};
use bytes::Bytes;
use engineioxide::DisconnectReason;
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;

/// A connection whose namespaces are channels.
pub(super) struct Channels {
    namespaces: Arc<Namespaces>,
    assembly: Lock<Assembly>,
}

/// A packet that waits for its attachments.
#[derive(Default)]
struct Assembly {
    packet: Option<Packet>,
    attachments: Vec<Vec<u8>>,
    bytes: usize,
}

impl Channels {
    pub(super) fn new(namespaces: Arc<Namespaces>) -> Self {
        Self { namespaces, assembly: Lock::default() }
    }

    fn handle(&self, packet: Packet, attachments: Vec<Vec<u8>>) -> Result<(), Broken> {
        match packet.kind {
            PacketKind::Connect => self.connect(&packet),
            PacketKind::Disconnect => {
                self.namespaces.depart(&packet.namespace);
                Ok(())
            }
            PacketKind::Event | PacketKind::BinaryEvent => self.event(packet, attachments),
            // The server never asks for an acknowledgement.
            PacketKind::Ack | PacketKind::BinaryAck => Ok(()),
            PacketKind::ConnectError => Err(Broken("a client sends no errors")),
        }
    }

    fn connect(&self, packet: &Packet) -> Result<(), Broken> {
        let (namespaces, namespace) = (&self.namespaces, packet.namespace.as_str());
        if namespace.len() > NAMESPACE_BYTES {
            return Err(Broken("the namespace is too long"));
        }
        // A client that connects again before it knows that it is connected starts over.
        namespaces.depart(namespace);
        let backpressure = namespaces.outbound.backpressure();
        let guard = backpressure.taken();
        if backpressure.queued() > CONNECTS_IN_FLIGHT || namespaces.is_refused_too_often() {
            return Err(Broken("more namespaces at once than are looked at"));
        }
        let query = packet.query.as_deref().unwrap_or(&namespaces.opened.query);
        let target = Target::of(namespace);
        let params = ConnectParams::read(packet.data.as_deref(), query);
        match (target, params) {
            _ if namespaces.is_full() => {
                let message = format!("one connection has at most {NAMESPACES} namespaces");
                namespaces.refuse(namespace, &Refusal::new(ErrorCode::TooManyChannels, message));
            }
            // The same title as Socket.IO's own server sends.
            (Err(refusal), _) => namespaces.refuse_as(namespace, "Invalid namespace", &refusal),
            (_, Err(refusal)) => namespaces.refuse(namespace, &refusal),
            (Ok(target), Ok(mut params)) => {
                if namespaces.has_departed(namespace) {
                    params.recovery = None;
                }
                let opening = self.opening(namespace, target, params);
                tokio::spawn(Namespace::open(opening, guard));
            }
        }
        Ok(())
    }

    fn opening(&self, namespace: &str, target: Target, params: ConnectParams) -> Opening {
        let (way_in, events) = self.namespaces.enter(namespace);
        let (namespaces, namespace) = (Arc::clone(&self.namespaces), namespace.to_owned());
        Opening { namespaces, namespace, target, params, way_in, events }
    }

    fn event(&self, packet: Packet, attachments: Vec<Vec<u8>>) -> Result<(), Broken> {
        let namespaces = &self.namespaces;
        let mut found = namespaces.find(&packet.namespace);
        if found.is_none() && packet.namespace == "/" && namespaces.opened.revision == Revision::Four {
            // A 2.x client is in the default namespace from the beginning. Its session begins with its first event.
            let params =
                ConnectParams::read(None, &namespaces.opened.query).map_err(|_| Broken("the query is not valid"))?;
            tokio::spawn(Namespace::open_silently(self.opening("/", Target::Default, params)));
            found = namespaces.find("/");
        }
        let events = found.ok_or(Broken("an event for a namespace the client is not in"))?;
        let guard = namespaces.outbound.backpressure().taken();
        match events.try_send(Box::new(Event { packet, attachments, _guard: guard })) {
            // A namespace that has just ended does not answer.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Broken("more events at once than are taken")),
        }
    }
}

impl Protocol for Channels {
    fn text(&self, text: &str) -> Result<(), Broken> {
        let packet = Packet::parse(text).map_err(|_| Broken("no packet of Socket.IO"))?;
        let mut assembly = self.assembly.lock();
        if assembly.packet.is_some() {
            return Err(Broken("a packet came before the attachments of the last"));
        }
        if packet.attachments > 0 {
            assembly.packet = Some(packet);
            return Ok(());
        }
        drop(assembly);
        self.handle(packet, Vec::new())
    }

    fn binary(&self, bytes: Bytes) -> Result<(), Broken> {
        let mut assembly = self.assembly.lock();
        let wanted = assembly.packet.as_ref().ok_or(Broken("an attachment without a packet"))?.attachments;
        assembly.bytes += bytes.len();
        if assembly.bytes > self.namespaces.opened.max_payload {
            return Err(Broken("the attachments are too large"));
        }
        assembly.attachments.push(bytes.into());
        if assembly.attachments.len() < wanted {
            return Ok(());
        }
        let Assembly { packet, attachments, .. } = std::mem::take(&mut *assembly);
        drop(assembly);
        packet.map_or(Ok(()), |packet| self.handle(packet, attachments))
    }

    fn left(&self) {
        self.namespaces.clear();
    }

    fn stop(&self) {
        // Each namespace ends by itself when the hub closes, and the last one closes the connection.
        if self.namespaces.is_empty() {
            self.namespaces.outbound.close(DisconnectReason::ClosingServer);
        }
    }
}
