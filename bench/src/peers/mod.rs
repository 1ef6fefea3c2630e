//! The servers that are compared. Each is started on a free loopback port and stopped by the code that started it.

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

/// The paths of a server, with their queries. `None` means that the server does not support the protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// WebSocket whose frames contain only the bodies.
    pub(crate) websocket: Option<String>,
    /// WebSocket whose frames are JSON that contains the body.
    pub(crate) websocket_json: Option<String>,
    /// Server-Sent Events whose data contains only the bodies.
    pub(crate) sse: Option<String>,
    /// Long poll.
    pub(crate) poll: Option<Poll>,
    /// Socket.IO with only its WebSocket transport.
    pub(crate) socketio: Option<String>,
    /// Publishing with `POST`.
    pub(crate) publish: Option<Post>,
    /// Baro's commands over WebSocket.
    pub(crate) live: Option<String>,
}

/// How a body is published.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// The path to post to.
    pub(crate) path: String,
    /// The text before and after the body; both are empty if the body is sent bare.
    pub(crate) around: (&'static str, &'static str),
}

impl Post {
    /// Posts only the body.
    pub(crate) fn bare(path: &str) -> Self {
        Self { path: path.to_owned(), around: ("", "") }
    }
}

/// How a long poll continues after a response.
#[derive(Clone, Debug)]
pub(crate) enum Poll {
    /// `GET path` responds at once with the cursor. The next request is `GET path?after=CURSOR&wait=30` (`&` if the
    /// path has a query). The cursor is in the header `x-cursor`, or otherwise in `"cursor"` of the JSON response.
    Cursor(String),
    /// `GET path` waits for a message. The next request repeats it with `If-Modified-Since` and `If-None-Match` from
    /// the previous response.
    Nchan(String),
}

/// A running server. Fields are dropped in order: the children must end before the folder is deleted.
pub(crate) struct Peer {
    /// The name in tables.
    pub(crate) name: &'static str,
    /// The address the server listens on.
    pub(crate) address: SocketAddr,
    /// All processes of the server. Their CPU time and memory are summed.
    pub(crate) pids: Vec<u32>,
    /// The paths the server offers.
    pub(crate) routes: Routes,
    /// The started processes, which are killed when dropped.
    pub(crate) children: Vec<Started>,
    /// The folder for data, which is deleted when dropped.
    pub(crate) _folder: Option<TempDir>,
}

impl Peer {
    /// A copy for the thread that loads the server. The copy does not own the processes and the folder.
    pub(crate) fn view(&self) -> Self {
        let (pids, routes) = (self.pids.clone(), self.routes.clone());
        Self { name: self.name, address: self.address, pids, routes, children: Vec::new(), _folder: None }
    }

    /// Kills the processes that were started for this server and waits until they have ended.
    pub(crate) async fn stop(mut self) -> Result<()> {
        for started in &mut self.children {
            let child: &mut Child = &mut started.child;
            child.kill().await.with_context(|| format!("{} cannot be ended", self.name))?;
        }
        Ok(())
    }
}

/// A server that can be measured.
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
    /// The name on the command line and in tables.
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

/// The settings for starting servers.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The path of Baro's program.
    pub(crate) baro: PathBuf,
    /// The folder in which data folders are created.
    pub(crate) dir: PathBuf,
    /// The core reserved for the server, if the machine has at least two.
    pub(crate) core: Option<usize>,
}

/// The reason why a server is left out, for example because it is not installed.
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
