//! Measures one row of one server, on a server started for this measurement.

use super::{Measured, Row, durable};
use crate::{
    http::publish_all,
    load::{self, Pace, Plan, Polled, Protocol, Target},
    peers::{self, Kind, Peer, Routes, Setup, Skipped},
};
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// Readers in most rows.
const READERS: usize = 1000;
/// Readers in the row `ws-10k`.
const MANY: usize = 10_000;
/// Concurrent handshakes.
const HANDSHAKES: usize = 64;
/// Messages on the requested page.
const PAGE_MESSAGES: u64 = 50;
/// Connections that request pages.
const PAGE_CONNECTIONS: usize = 8;

/// How long and with how much load a row is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// The measured time, without warm-up.
    pub(crate) seconds: f64,
    /// The number of connections in the rows that measure idle connections.
    pub(crate) idle: usize,
    /// Replaces the number of readers of the row, for development.
    pub(crate) readers: Option<usize>,
    /// The size of a message body in bytes.
    pub(crate) size: usize,
}

impl Effort {
    /// The measured time, without warm-up.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// Starts a server, measures the row and stops the server.
pub(crate) async fn measure(row: Row, kind: Kind, setup: &Setup, effort: Effort) -> Result<Result<Measured, Skipped>> {
    if matches!(row, Row::Durable | Row::DurableLive) {
        return durable::measure(row, kind, setup, effort).await;
    }
    let peer = match peers::start(kind, setup).await? {
        Ok(peer) => peer,
        Err(skipped) => return Ok(Err(skipped)),
    };
    let measured = of_peer(row, &peer, effort).await;
    peer.stop().await?;
    measured.with_context(|| format!("{} of {}", row.name(), kind.name()))
}

/// Measures a row on a running server.
async fn of_peer(row: Row, peer: &Peer, effort: Effort) -> Result<Result<Measured, Skipped>> {
    let cannot = |what: &str| Ok(Err(Skipped(format!("{} {what}", peer.name))));
    if row == Row::Page {
        if !peer.name.starts_with("baro") {
            return cannot("has no pages");
        }
        publish_all(peer.address, "bench", 0..PAGE_MESSAGES).await?;
        let time = effort.time();
        let figures = on_thread(peer, move |peer| load::pages(peer, "/c/bench", PAGE_CONNECTIONS, time)).await?;
        let mut measured = Measured::of_answers(&figures);
        measured.details.push(("page_bytes", figures.deliveries as f64 / figures.published.max(1) as f64));
        return Ok(Ok(measured));
    }
    let Some(protocol) = protocol(row, peer) else { return cannot("does not speak it") };
    match row {
        Row::WsIdle | Row::SseIdle => {
            let bytes = on_thread(peer, move |peer| load::idle(peer, effort.idle, protocol)).await?;
            Ok(Ok(Measured::new(bytes)))
        }
        Row::WsHandshakes => {
            let time = effort.time();
            let figures = on_thread(peer, move |peer| load::handshakes(peer, protocol, HANDSHAKES, time)).await?;
            Ok(Ok(Measured::of_answers(&figures)))
        }
        _ => {
            if peer.routes.publish.is_none() {
                return cannot("takes no publishes over HTTP");
            }
            let plan = plan(row, protocol, effort);
            let figures = on_thread(peer, move |peer| load::run(peer, &plan)).await?;
            Ok(Ok(Measured::of_readers(row, &figures)))
        }
    }
}

fn plan(row: Row, protocol: Protocol, effort: Effort) -> Plan {
    let (readers, pace) = match row {
        Row::Ws4 => (READERS, Pace::InFlight(4)),
        Row::WsCpu | Row::SseCpu | Row::PollCpu => (READERS, Pace::PerSecond(50)),
        Row::Ws10k => (MANY, Pace::PerSecond(5)),
        Row::WsLatency => (1, Pace::PerSecond(500)),
        _ => (READERS, Pace::InFlight(16)),
    };
    let mut plan = Plan::new(Some((effort.readers.unwrap_or(readers), protocol)), pace, effort.time());
    plan.size = effort.size;
    plan
}

/// The protocol that readers of this row use, or `None` if the server does not support it.
pub(crate) fn protocol(row: Row, peer: &Peer) -> Option<Protocol> {
    let Routes { websocket, websocket_json, sse, poll, socketio, .. } = peer.routes.clone();
    let address = peer.address;
    let target = |path: String| Target { address, path };
    match row {
        Row::WsJson16 => websocket_json.map(|path| Protocol::WebSocket(target(path))),
        Row::SseCpu | Row::SseMost | Row::SseIdle => sse.map(|path| Protocol::Sse(target(path))),
        Row::PollCpu | Row::PollMost => poll.map(|poll| Protocol::Poll(Polled { address, poll })),
        _ => websocket
            .map(|path| Protocol::WebSocket(target(path)))
            .or_else(|| socketio.map(|path| Protocol::SocketIo(target(path)))),
    }
}

/// Runs blocking work on another thread, so that a signal can end the program in the meantime.
pub(crate) async fn on_thread<T: Send + 'static>(
    peer: &Peer,
    work: impl FnOnce(&Peer) -> Result<T> + Send + 'static,
) -> Result<T> {
    let view = peer.view();
    spawn_blocking(move || work(&view)).await?
}
