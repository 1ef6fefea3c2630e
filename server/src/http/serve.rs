//! The accept loop: hyper, with bounds on time and memory that `axum::serve` does not have.

use crate::{
    hub::Hub,
    limits::{CONNECTIONS, HEAD_TIMEOUT, HTTP_BUFFER},
    transport::{Guarded, Pipe},
};
use axum::{Router, extract::Request};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::ServiceExt;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

impl Default for Peer {
    fn default() -> Self {
        Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// Serves until the hub closes, then lets open answers end for at most `drain`.
pub async fn serve(listener: TcpListener, router: Router, hub: Hub, drain: Duration) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut pause = Duration::from_millis(5);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = hub.closed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = Duration::from_millis(5);
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    tracing::warn!(limit = CONNECTIONS, "too many connections; one was turned away");
                    continue;
                };
                // A WebSocket outlives the HTTP connection it began as; its pipe, and with it the place, goes last.
                let pipe = Pipe::new(stream, place);
                tokio::spawn(handle(pipe, Peer(peer.ip()), router.clone(), hub.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait a little longer each time.
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
    drop(listener);
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(drain, places.acquire_many(all)).await;
}

async fn handle(pipe: Arc<Pipe>, peer: Peer, router: Router, hub: Hub) {
    let stream = Guarded::new(Arc::clone(&pipe));
    let service = router.map_request(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(Arc::clone(&pipe));
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HTTP_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = hub.closed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
