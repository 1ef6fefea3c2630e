//! Baro: a channel is a URL.
//!
//! The modules, each of which uses only the modules listed before it:
//! - [`engine`]: orders, stores and dispatches messages.
//! - [`net`]: a TCP connection: the socket, its unsent bytes, whether the peer is alive, and its handoff from hyper.
//! - [`hub`]: the readers of this server, their presence, and the recent log in memory.
//! - [`session`]: one client connection: handles its frames and produces the frames to send.
//! - [`transport`]: converts bytes to frames and back: WebSocket, SSE, Socket.IO.
//! - [`pages`]: the pages and their files, from plain values.
//! - [`http`]: all paths, content negotiation, publishing, reading.
//! - [`machine`], [`cli`]: a program that publishes this computer's load; the commands `baro publish` and `baro tail`.
//!
//! [`run`] starts the server; `main` and the tests call it.

pub mod cli;
mod clock;
pub mod config;
pub mod engine;
mod headers;
pub mod http;
pub mod hub;
mod limits;
mod lock;
mod machine;
mod map;
pub mod net;
pub mod pages;
pub mod session;
pub mod transport;

use anyhow::Context;
use config::{EngineKind, Serve};
use engine::{Clock, Engine, Options, embedded::Embedded, memory::Memory};
use http::{AccessLog, App, Counter, Origins, Parts, Seal, Visitors};
use hub::Hub;
use limits::{ACCEPT_QUEUE, OTHER_FILES, TASKS_BETWEEN_EVENTS};
use pages::Renderer;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::{Builder, Runtime},
    task::JoinHandle,
};
use transport::socket_io::SocketIo;

/// A running server.
pub struct Running {
    /// The address it listens on.
    pub address: SocketAddr,
    app: App,
    serving: JoinHandle<()>,
    drain: Duration,
}

impl Running {
    /// Closes every connection with a reason, finishes accepted requests, and ends within `--drain` seconds.
    pub async fn stop(self) {
        let end = async {
            self.app.hub.close(self.drain).await;
            let _ = self.serving.await;
        };
        let _ = tokio::time::timeout(self.drain, end).await;
        let _ = tokio::task::spawn_blocking(move || self.app.log.end()).await;
    }

    /// How many requests the fast path answered. Debug builds only.
    #[cfg(debug_assertions)]
    pub fn fast_answers(&self) -> u64 {
        self.app.fast_answers.counted()
    }
}

/// The runtime of a server, with one worker thread per processor.
///
/// # Errors
/// Returns an error if the system cannot start the threads.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().event_interval(TASKS_BETWEEN_EVENTS).build()
}

/// Starts a server.
///
/// # Errors
/// Returns an error if the address or the data folder cannot be used.
pub async fn run(options: Serve) -> anyhow::Result<Running> {
    // Leptos renders on the runtime of the server. A second start in one process fails here because it is set already.
    let _ = any_spawner::Executor::init_tokio();
    let listener = listen(options.listen)
        .with_context(|| format!("cannot listen on {}; choose another address with --listen", options.listen))?;
    let address = listener.local_addr()?;
    let hub = open_hub(&options)?;
    let old = &options.old_cookie_secret;
    let seal = match (&options.cookie_secret, options.engine) {
        (Some(secret), _) if !secret.is_empty() => Seal::new(secret.as_bytes(), old),
        // A server without a store writes nothing to the disk, not even the secret.
        (_, EngineKind::Memory) => Seal::new(getrandom::u64()?.to_be_bytes(), old),
        _ => Seal::from_folder(&options.data, old).context("the cookie secret cannot be kept in the data folder")?,
    };
    let app = App::from(Parts {
        hub: hub.clone(),
        visitors: Visitors::new(seal),
        origins: Origins::new(&options.allow_origin, address),
        trusted: options.trusted_proxy.clone(),
        log: AccessLog::new(options.log),
        max_message: options.max_message,
        socket_io: if options.socketio_suites {
            SocketIo::echoes(options.connections).into()
        } else {
            let (path, max, sessions) = (&options.socketio_path, options.max_message, options.connections);
            vec![SocketIo::new(path.as_str(), hub.clone(), max, sessions)]
        },
        renderer: Renderer::new(address),
        fast_answers: Counter::default(),
    });
    make_room(options.connections);
    if !options.no_machine_channel {
        tokio::spawn(machine::publish(hub.clone()));
    }
    tokio::spawn(hub.clone().keep());
    let drain = Duration::from_secs(options.drain);
    let serving = tokio::spawn(http::serve(listener, app.clone(), options.connections, drain));
    Ok(Running { address, app, serving, drain })
}

/// Listens with a backlog of [`ACCEPT_QUEUE`] connections, for many clients that connect at once. `TcpListener::bind`
/// sets a backlog of 128: above it the kernel uses SYN cookies, of which some fail, and delays clients by a second or
/// refuses them.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted server must not wait for connections of its predecessor in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE)
}

/// Raises the limit of open files to what the connections need, as far as the system allows it.
fn make_room(connections: u32) {
    let needed = u64::from(connections) + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    let allowed = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    if setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), ..limit }).is_err() || allowed < connections.into()
    {
        tracing::warn!(
            allowed,
            connections,
            "the system allows fewer open files than connections are to be: raise it with ulimit -Hn {needed}, or \
             LimitNOFILE={needed} in a unit of systemd, or ask for fewer with --connections"
        );
    }
}

fn open_hub(options: &Serve) -> anyhow::Result<Hub> {
    let mut retention = options.keep.retention();
    let machine = machine::CHANNEL.parse().expect("the name is one");
    retention.shorter.push((machine, machine::KEPT));
    let kept = Options { retention, clock: Clock::default() };
    match options.engine {
        EngineKind::Embedded => Hub::open(|dispatcher| -> anyhow::Result<Arc<dyn Engine>> {
            let engine = Embedded::open(&options.data, options.fsync, kept, dispatcher)?;
            Ok(Arc::new(engine) as Arc<dyn Engine>)
        }),
        EngineKind::Memory => {
            let opened =
                Hub::open(
                    |dispatcher| Ok::<_, Infallible>(Arc::new(Memory::open(kept, dispatcher)) as Arc<dyn Engine>),
                );
            Ok(opened.unwrap_or_else(|never| match never {}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[tokio::test]
    async fn many_who_come_at_once_all_find_a_place() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        // Nothing accepts the connections. One without a place in the backlog would wait; the timeout ends a failing
        // test.
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(20));
        let all: io::Result<Vec<_>> = (0..300).map(connect).collect();
        assert_eq!(all.unwrap().len(), 300);
    }
}
