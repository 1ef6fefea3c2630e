//! Helpers for external servers: finding the program, choosing an address, and waiting until the server listens.

use super::Setup;
use anyhow::{Context, Result, bail, ensure};
use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{net::TcpStream, process::Child, time::sleep};

/// The timeout for the start of a program.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interval between two checks whether the program listens.
const LOOK: Duration = Duration::from_millis(20);
/// Where Debian installs servers. These folders are only on root's PATH.
const SERVERS: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

/// The path of a program: the value of the environment variable `variable` if it is set, otherwise found by `name`.
pub(crate) fn find(name: &str, variable: &str) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return PathBuf::from(path).canonicalize().ok();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SERVERS.map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A new folder for one server; it is deleted when dropped.
pub(crate) fn folder(setup: &Setup) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("baro-bench-")
        .tempdir_in(&setup.dir)
        .with_context(|| format!("no folder can be made in {}", setup.dir.display()))
}

/// A free address for a program that cannot choose a port itself. Another process may take the port before the program
/// does.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}

/// Waits until the program accepts connections.
pub(crate) async fn listens(child: &mut Child, address: SocketAddr) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).await.is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("a server ended before it listened: {status}");
        }
        ensure!(Instant::now() < until, "a server does not listen on {address}");
        sleep(LOOK).await;
    }
    Ok(())
}
