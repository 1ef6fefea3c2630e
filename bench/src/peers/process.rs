//! What programs that are not ours need: they are found, told where to listen, and waited for.

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

/// A program starts well within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether it listens.
const LOOK: Duration = Duration::from_millis(20);
/// Where Debian has servers. They are on root's PATH only.
const SERVERS: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

/// The program of this name, or the one that the environment variable names.
pub(crate) fn find(name: &str, variable: &str) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return PathBuf::from(path).canonicalize().ok();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SERVERS.map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A fresh folder for one server; deleted when dropped.
pub(crate) fn folder(setup: &Setup) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("baro-bench-")
        .tempdir_in(&setup.dir)
        .with_context(|| format!("no folder can be made in {}", setup.dir.display()))
}

/// An address for a program that has to be told one. It was free a moment ago.
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
