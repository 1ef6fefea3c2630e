//! Baro: a channel is a URL.
//!
//! In the order of the arrows (each knows only those before it):
//! - [`engine`]: orders, keeps and spreads messages.
//! - [`hub`]: who listens here, and the recent end of the log in memory.
//! - [`session`]: one connection: frames in, frames out.
//! - [`transport`]: bytes to frames: WebSocket, SSE, polls.
//! - [`http`] and [`web`]: all paths; negotiation; pages and their files.
//! - [`machine`], [`cli`]: a program that publishes this computer's load; `baro publish` and `baro tail`.
//!
//! [`run`] is the server: `main` calls it, and so do tests.

pub mod cli;
mod clock;
pub mod config;
pub mod engine;
pub mod http;
pub mod hub;
mod limits;
mod machine;
mod map;
pub mod session;
pub mod transport;
pub mod web;

use anyhow::Context;
use config::{EngineKind, Serve};
use engine::{Clock, Engine, Options, embedded::Embedded, memory::Memory};
use http::{AccessLog, App, Origins, Parts, Seal, Visitors};
use hub::Hub;
use leptos::prelude::{Env, LeptosOptions};
use limits::{ACCEPT_QUEUE, OTHER_FILES, TASKS_BETWEEN_EVENTS};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::{Builder, Runtime},
    task::JoinHandle,
};
use transport::socket_io::SocketIo;

/// A server that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    hub: Hub,
    serving: JoinHandle<()>,
    drain: Duration,
    log: AccessLog,
}

impl Running {
    /// Says goodbye to every connection, finishes what was taken, and ends within `--drain` seconds.
    pub async fn stop(self) {
        let end = async {
            self.hub.close(self.drain).await;
            let _ = self.serving.await;
        };
        let _ = tokio::time::timeout(self.drain, end).await;
        let _ = tokio::task::spawn_blocking(move || self.log.end()).await;
    }
}

/// What a server runs on: a thread for each processor.
///
/// # Errors
/// The system has no room for threads.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().event_interval(TASKS_BETWEEN_EVENTS).build()
}

/// Starts a server.
///
/// # Errors
/// The address or the data folder cannot be used.
pub async fn run(options: Serve) -> anyhow::Result<Running> {
    // Leptos renders on the runtime that serves; a second start in one process finds it set.
    let _ = any_spawner::Executor::init_tokio();
    let listener = listen(options.listen)
        .with_context(|| format!("cannot listen on {}; choose another address with --listen", options.listen))?;
    let address = listener.local_addr()?;
    let hub = open_hub(&options)?;
    let old = &options.old_cookie_secret;
    let seal = match (&options.cookie_secret, options.engine) {
        (Some(secret), _) if !secret.is_empty() => Seal::new(secret.as_bytes(), old),
        // Nothing is written for a server that keeps nothing.
        (_, EngineKind::Memory) => Seal::new(getrandom::u64()?.to_be_bytes(), old),
        _ => Seal::from_folder(&options.data, old).context("the cookie secret cannot be kept in the data folder")?,
    };
    let log = AccessLog::new(options.log);
    let app = App::from(Parts {
        hub: hub.clone(),
        visitors: Arc::new(Visitors::new(seal)),
        origins: Arc::new(Origins::new(&options.allow_origin, address)),
        trusted: options.trusted_proxy.clone(),
        log: log.clone(),
        max_message: options.max_message,
        socket_io: if options.socketio_suites {
            SocketIo::echoes(options.connections).into()
        } else {
            let (path, max, sessions) = (&options.socketio_path, options.max_message, options.connections);
            vec![SocketIo::new(path.as_str(), hub.clone(), max, sessions)]
        },
        leptos: leptos_options(address),
    });
    make_room(options.connections);
    if !options.no_machine_channel {
        tokio::spawn(machine::publish(hub.clone()));
    }
    tokio::spawn(hub.clone().keep());
    let drain = Duration::from_secs(options.drain);
    let serving = tokio::spawn(http::serve(listener, app, options.connections, drain));
    Ok(Running { address, hub, serving, drain, log })
}

/// Listens, with room for all who come at once. `TcpListener::bind` asks for 128 places: past those the kernel answers with
/// cookies, of which some fail, and lets clients wait for a second or refuses them.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that comes back must not wait for what is left of the connections of the last.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE)
}

/// Lets this process have as many files open as its connections need, as far as the system allows it.
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
        EngineKind::Embedded => Hub::open(|tail| -> anyhow::Result<Arc<dyn Engine>> {
            let engine = Embedded::open(&options.data, options.fsync, kept, tail)?;
            Ok(Arc::new(engine) as Arc<dyn Engine>)
        }),
        EngineKind::Memory => {
            let opened = Hub::open(|tail| Ok::<_, Infallible>(Arc::new(Memory::open(kept, tail)) as Arc<dyn Engine>));
            Ok(opened.unwrap_or_else(|never| match never {}))
        }
    }
}

/// A shipped binary reads no Cargo.toml: what pages need to know of their files is fixed here.
fn leptos_options(address: SocketAddr) -> LeptosOptions {
    LeptosOptions::builder()
        .output_name("baro")
        .site_root("target/site")
        .site_pkg_dir("pkg")
        .site_addr(address)
        .env(if cfg!(debug_assertions) { Env::DEV } else { Env::PROD })
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[tokio::test]
    async fn many_who_come_at_once_all_find_a_place() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        // Nobody accepts. Without a place it would wait: the time only ends a test that fails.
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(20));
        let all: io::Result<Vec<_>> = (0..300).map(connect).collect();
        assert_eq!(all.unwrap().len(), 300);
    }
}
