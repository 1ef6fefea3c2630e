//! Starts the Node servers: `ws` with Server-Sent Events, and Socket.IO.

use super::{Kind, Peer, Post, Routes, Setup, Skipped, pinned, process, start_listening};
use anyhow::Result;
use std::path::Path;

/// The folder of the servers and their packages.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// Starts the server that uses the package `ws`.
pub(crate) async fn ws(setup: &Setup) -> Result<Result<Peer, Skipped>> {
    let routes = Routes {
        websocket: Some("/ws".to_owned()),
        sse: Some("/sse".to_owned()),
        publish: Some(Post::bare("/pub")),
        ..Routes::default()
    };
    start(setup, Kind::Ws, ("ws.mjs", "ws"), routes).await
}

/// Starts the Socket.IO server. Readers use only its WebSocket transport.
pub(crate) async fn socketio(setup: &Setup) -> Result<Result<Peer, Skipped>> {
    let routes = Routes {
        socketio: Some("/socket.io/?EIO=4&transport=websocket".to_owned()),
        publish: Some(Post::bare("/pub")),
        ..Routes::default()
    };
    start(setup, Kind::SocketIo, ("socketio.mjs", "socket.io"), routes).await
}

async fn start(
    setup: &Setup,
    kind: Kind,
    (script, package): (&str, &str),
    routes: Routes,
) -> Result<Result<Peer, Skipped>> {
    let Some(node) = process::find("node", "NODE") else {
        return Ok(Err(Skipped("there is no node; install Node 18 or later".to_owned())));
    };
    let folder = Path::new(FOLDER);
    if !folder.join("node_modules").join(package).is_dir() {
        return Ok(Err(Skipped(format!("the package {package} is missing; install with: npm ci in bench/peers"))));
    }
    let mut command = pinned(setup, node);
    command.arg(folder.join(script)).env("NODE_ENV", "production");
    let (started, address) = start_listening(command, "listening on ").await?;
    let pids = vec![started.pid()?];
    Ok(Ok(Peer { name: kind.name(), address, pids, routes, children: vec![started], _folder: None }))
}
