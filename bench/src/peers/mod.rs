//! The servers that are compared: each is started here, on a free port of loopback, and ended by who started it.

mod centrifugo;
pub(crate) mod nats;
mod nginx;
mod node;
mod own;
mod process;
mod spawn;

use anyhow::{Context, Result};
use clap::ValueEnum;
use std::{net::SocketAddr, path::PathBuf};
use tempfile::TempDir;
use tokio::process::Child;

pub(crate) use spawn::{Started, pinned, start_listening};

/// Where a server takes what a row needs; `None` where it cannot do it. Paths with their query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// WebSocket whose frames are the bodies alone.
    pub(crate) websocket: Option<String>,
    /// WebSocket whose frames are JSON with the body in them.
    pub(crate) websocket_json: Option<String>,
    /// Server-Sent Events whose data are the bodies alone.
    pub(crate) sse: Option<String>,
    /// Long poll.
    pub(crate) poll: Option<Poll>,
    /// Socket.IO over WebSocket alone.
    pub(crate) socketio: Option<String>,
    /// `POST` of a body.
    pub(crate) publish: Option<Post>,
    /// Baro's commands over WebSocket.
    pub(crate) live: Option<String>,
}

/// How a body is published.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Where to.
    pub(crate) path: String,
    /// What stands around the body; nothing where it is sent bare.
    pub(crate) around: (&'static str, &'static str),
}

impl Post {
    /// A bare body.
    pub(crate) fn bare(path: &str) -> Self {
        Self { path: path.to_owned(), around: ("", "") }
    }
}

/// How a long poll goes on after an answer.
#[derive(Clone, Debug)]
pub(crate) enum Poll {
    /// `GET path` answers at once and tells the cursor; then `GET path?after=CURSOR&wait=30` (`&` if the path has a
    /// query). The next cursor is the header `x-cursor`, else `"cursor"` of the JSON answer.
    Cursor(String),
    /// `GET path` waits; then the same with `If-Modified-Since` and `If-None-Match` of the answer before.
    Nchan(String),
}

/// A server that runs. Fields are dropped in this order: the folder goes after the children.
pub(crate) struct Peer {
    /// As tables say it.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// All its processes: their times and memory are added up.
    pub(crate) pids: Vec<u32>,
    /// What it serves.
    pub(crate) routes: Routes,
    /// Ended when dropped.
    pub(crate) children: Vec<Started>,
    /// Its data; deleted when dropped.
    pub(crate) _folder: Option<TempDir>,
}

impl Peer {
    /// All but what is ended when dropped: for the thread that loads it.
    pub(crate) fn view(&self) -> Self {
        let (pids, routes) = (self.pids.clone(), self.routes.clone());
        Self { name: self.name, address: self.address, pids, routes, children: Vec::new(), _folder: None }
    }

    /// Kills what was started here and nothing else, and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<()> {
        for started in &mut self.children {
            let child: &mut Child = &mut started.child;
            child.kill().await.with_context(|| format!("{} cannot be ended", self.name))?;
        }
        Ok(())
    }
}

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Baro that keeps messages in memory.
    Baro,
    /// Baro with its log on the disk, synced before each answer.
    BaroDurable,
    /// The least a server can do: one write per reader and turn.
    Floor,
    /// The same with one write per reader and message.
    FloorSingle,
    /// Plain axum.
    Axum,
    /// Node with `ws`.
    Ws,
    /// Node with `socket.io`.
    #[value(name = "socketio")]
    SocketIo,
    /// nginx with nchan.
    Nchan,
    /// NATS.
    Nats,
    /// Centrifugo.
    Centrifugo,
}

impl Kind {
    /// As it is named on the command line and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Baro => "baro",
            Self::BaroDurable => "baro-durable",
            Self::Floor => "floor",
            Self::FloorSingle => "floor-single",
            Self::Axum => "axum",
            Self::Ws => "ws",
            Self::SocketIo => "socketio",
            Self::Nchan => "nchan",
            Self::Nats => "nats",
            Self::Centrifugo => "centrifugo",
        }
    }
}

/// How servers are started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Baro's program.
    pub(crate) baro: PathBuf,
    /// Where folders for data are made.
    pub(crate) dir: PathBuf,
    /// The core the server has for itself, if there are two or more.
    pub(crate) core: Option<usize>,
}

/// Why a server is left out: it is not on this machine.
#[derive(Debug)]
pub(crate) struct Skipped(pub(crate) String);

/// Starts a server.
pub(crate) async fn start(kind: Kind, setup: &Setup) -> Result<Result<Peer, Skipped>> {
    match kind {
        Kind::Baro | Kind::BaroDurable | Kind::Floor | Kind::FloorSingle | Kind::Axum => {
            own::start_own(kind, setup).await
        }
        Kind::Ws => node::ws(setup).await,
        Kind::SocketIo => node::socketio(setup).await,
        Kind::Nchan => nginx::start(setup).await,
        Kind::Centrifugo => centrifugo::start(setup).await,
        Kind::Nats => Ok(Err(Skipped("NATS is compared in the row `durable` only".to_owned()))),
    }
}
