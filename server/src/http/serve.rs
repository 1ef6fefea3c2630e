//! The accept loop: hyper, with bounds on time and memory that `axum::serve` does not have.

use super::{App, handle::handle, router};
use crate::transport::{Pipe, socket_io::SocketIo};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// Serves until the hub closes, then lets open answers end for at most `drain`.
pub async fn serve(listener: TcpListener, app: App, connections: u32, drain: Duration) {
    let router = router(app.clone());
    let places = Arc::new(Semaphore::new(connections as usize));
    let mut pause = Duration::from_millis(5);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.hub.closed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = Duration::from_millis(5);
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    tracing::warn!(limit = connections, "too many connections; one was turned away");
                    continue;
                };
                // A WebSocket outlives the HTTP connection it began as; its pipe, and with it the place, goes last.
                let pipe = Pipe::new(stream, place);
                tokio::spawn(handle(pipe, peer.ip(), app.clone(), router.clone()));
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
    app.socket_io.iter().for_each(SocketIo::stop);
    let _ = tokio::time::timeout(drain, places.acquire_many(connections)).await;
}
