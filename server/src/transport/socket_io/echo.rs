//! The echo servers that the official test suites of Engine.IO and Socket.IO run against.

use super::{
    handler::{Broken, Protocol},
    outbound::{Out, Outbound},
};
use crate::lock::Lock;
use app::wire::socket_io::{Packet, PacketKind};
use bytes::Bytes;
use engineioxide::DisconnectReason;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Time in which a client must connect to a namespace. The test suite waits longer than this for the close.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Echoes each packet of Engine.IO unchanged.
pub(super) struct Echo(pub(super) Arc<Outbound>);

impl Protocol for Echo {
    fn text(&self, text: &str) -> Result<(), Broken> {
        self.0.put([Out::Text(text.to_owned())]);
        Ok(())
    }

    fn binary(&self, bytes: Bytes) -> Result<(), Broken> {
        self.0.put([Out::Binary(bytes)]);
        Ok(())
    }

    fn left(&self) {}

    fn stop(&self) {
        self.0.close(DisconnectReason::ClosingServer);
    }
}

/// Serves the namespaces `/` and `/custom`. It sends the data of a CONNECT back as `auth`, echoes `message` as
/// `message-back`, and acknowledges `message-with-ack` with its arguments.
pub(super) struct EventEcho {
    outbound: Arc<Outbound>,
    joined: Arc<AtomicBool>,
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    namespaces: HashSet<String>,
    /// Attachments of the echoed packet that have not arrived yet.
    attachments: usize,
}

impl EventEcho {
    pub(super) fn new(outbound: Arc<Outbound>) -> Self {
        let joined = Arc::new(AtomicBool::new(false));
        let (has_joined, to_close) = (Arc::clone(&joined), Arc::clone(&outbound));
        tokio::spawn(async move {
            tokio::time::sleep(CONNECT_WITHIN).await;
            if !has_joined.load(Ordering::Acquire) {
                to_close.close(DisconnectReason::TransportClose);
            }
        });
        Self { outbound, joined, state: Lock::default() }
    }

    fn put(&self, packet: &Packet) {
        self.outbound.put([Out::Text(packet.to_text())]);
    }

    fn connect(&self, state: &mut State, packet: &Packet) {
        let namespace = packet.namespace.as_str();
        if !["/", "/custom"].contains(&namespace) {
            let error = "{\"message\":\"Invalid namespace\"}".to_owned();
            return self.put(&Packet::new(PacketKind::ConnectError, namespace, Some(error)));
        }
        state.namespaces.insert(namespace.to_owned());
        self.joined.store(true, Ordering::Release);
        let connected = serde_json::json!({ "sid": super::connect::fresh_sid() }).to_string();
        self.put(&Packet::new(PacketKind::Connect, namespace, Some(connected)));
        let auth = format!("[\"auth\",{}]", packet.data.as_deref().unwrap_or("{}"));
        self.put(&Packet::new(PacketKind::Event, namespace, Some(auth)));
    }

    fn event(&self, state: &mut State, packet: &Packet) -> Result<(), Broken> {
        if !state.namespaces.contains(&packet.namespace) {
            return Err(Broken("an event for a namespace the client is not in"));
        }
        let (name, arguments) = packet.event();
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.get()).collect();
        let arguments = arguments.join(",");
        let (event, ack) = match packet.kind {
            PacketKind::BinaryEvent => (PacketKind::BinaryEvent, PacketKind::BinaryAck),
            _ => (PacketKind::Event, PacketKind::Ack),
        };
        let (kind, data) = match name.as_deref() {
            Some("message-with-ack") => (ack, format!("[{arguments}]")),
            _ => (event, format!("[\"message-back\",{arguments}]")),
        };
        state.attachments = packet.attachments;
        self.put(&Packet { kind, data: Some(data), ..packet.clone() });
        Ok(())
    }
}

impl Protocol for EventEcho {
    fn text(&self, text: &str) -> Result<(), Broken> {
        let packet = Packet::parse(text).map_err(|_| Broken("no packet of Socket.IO"))?;
        let mut state = self.state.lock();
        match packet.kind {
            PacketKind::Connect => self.connect(&mut state, &packet),
            PacketKind::Disconnect => {
                state.namespaces.remove(&packet.namespace);
            }
            PacketKind::Event | PacketKind::BinaryEvent => self.event(&mut state, &packet)?,
            PacketKind::Ack | PacketKind::BinaryAck | PacketKind::ConnectError => {}
        }
        Ok(())
    }

    fn binary(&self, bytes: Bytes) -> Result<(), Broken> {
        let mut state = self.state.lock();
        state.attachments = state.attachments.checked_sub(1).ok_or(Broken("an attachment without a packet"))?;
        self.outbound.put([Out::Binary(bytes)]);
        Ok(())
    }

    fn left(&self) {}

    fn stop(&self) {
        self.outbound.close(DisconnectReason::ClosingServer);
    }
}
