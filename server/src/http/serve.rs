//! The accept loop: hyper, with bounds on time and memory that `axum::serve` does not have.

use super::{connection::serve_connection, router::router, state::App};
use crate::{net::Connection, transport::socket_io::SocketIo};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// The first pause after an accept that failed; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Serves until the hub closes, then lets open answers end for at most `drain`.
pub async fn serve(listener: TcpListener, app: App, connections: u32, drain: Duration) {
    let router = router(app.clone());
    let places = Arc::new(Semaphore::new(connections as usize));
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.hub.closed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    tracing::warn!(limit = connections, "too many connections; one was turned away");
                    continue;
                };
                // A WebSocket outlives the HTTP connection it began as; its place is the connection's, which is dropped last.
                let connection = Connection::new(stream, place);
                tokio::spawn(serve_connection(connection, peer.ip(), app.clone(), router.clone()));
            }
            Err(error) => {
                // The process is out of file descriptors, most likely.
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    drop(listener);
    app.socket_io.iter().for_each(SocketIo::stop);
    let _ = tokio::time::timeout(drain, places.acquire_many(connections)).await;
}
