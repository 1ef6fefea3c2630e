//! Starts the servers built from this repository: Baro, the floor and plain axum.

use super::{Kind, Peer, Poll, Post, Routes, Setup, Skipped, pinned, process, start_listening};
use anyhow::{Context, Result};
use tokio::process::Command;

/// Starts a server built from this repository.
pub(crate) async fn start_own(kind: Kind, setup: &Setup) -> Result<Result<Peer, Skipped>> {
    match kind {
        Kind::Baro | Kind::BaroDurable => start_baro(kind, setup).await,
        Kind::Floor => start_self(kind, setup, &["floor"], floor_routes()).await,
        Kind::FloorSingle => start_self(kind, setup, &["floor", "--single"], floor_routes()).await,
        Kind::Axum => start_self(kind, setup, &["axum"], floor_routes()).await,
        _ => Ok(Err(Skipped(format!("{} is not built here", kind.name())))),
    }
}

fn floor_routes() -> Routes {
    Routes {
        websocket: Some("/ws".to_owned()),
        sse: Some("/sse".to_owned()),
        poll: Some(Poll::Cursor("/poll".to_owned())),
        publish: Some(Post::bare("/pub")),
        ..Routes::default()
    }
}

fn baro_routes() -> Routes {
    Routes {
        websocket: Some("/c/bench?format=body".to_owned()),
        websocket_json: Some("/c/bench".to_owned()),
        sse: Some("/c/bench?as=sse&format=body".to_owned()),
        poll: Some(Poll::Cursor("/c/bench?as=json&limit=1000".to_owned())),
        publish: Some(Post::bare("/c/bench")),
        live: Some("/live?channels=other".to_owned()),
        ..Routes::default()
    }
}

/// Starts this program again as a server.
async fn start_self(kind: Kind, setup: &Setup, args: &[&str], routes: Routes) -> Result<Result<Peer, Skipped>> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let mut command = pinned(setup, program);
    command.args(args);
    let (started, address) = start_listening(command, "listening on ").await?;
    let pids = vec![started.pid()?];
    Ok(Ok(Peer { name: kind.name(), address, pids, routes, children: vec![started], _folder: None }))
}

async fn start_baro(kind: Kind, setup: &Setup) -> Result<Result<Peer, Skipped>> {
    if !setup.baro.exists() {
        return Ok(Err(Skipped(format!(
            "there is no server at {}; build it, or name it with --baro",
            setup.baro.display()
        ))));
    }
    let folder = process::folder(setup)?;
    let mut command = pinned(setup, &setup.baro);
    command.args(["--listen", "127.0.0.1:0", "--no-machine-channel", "--data"]).arg(folder.path().join("data"));
    match kind {
        Kind::BaroDurable => command.args(["--fsync", "always"]),
        _ => command.args(["--engine", "memory"]),
    };
    // The server must not read a `.env` from the working directory of the benchmark.
    command.current_dir(folder.path());
    without_settings(&mut command);
    let (started, address) = start_listening(command, "Baro is listening on http://").await?;
    let pids = vec![started.pid()?];
    let routes = baro_routes();
    Ok(Ok(Peer { name: kind.name(), address, pids, routes, children: vec![started], _folder: Some(folder) }))
}

/// Removes settings from the environment. Every flag can also be set by an environment variable; a setting for another
/// server must not change this one.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BARO_") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("COOKIE_SECRET")
        .env_remove("TOKIO_WORKER_THREADS")
        .env("BARO_LOG", "off")
        .env("BARO_LOG_LEVEL", "warn");
}
