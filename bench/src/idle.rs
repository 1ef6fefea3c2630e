//! The command `idle`: measures the memory of WebSockets that carry no messages.

use crate::{
    http::publish_all,
    load::room_for,
    reader::{Bookmark, open_all},
    report::{Table, mib},
    server::{Fsync, Server, Setup},
};
use anyhow::Result;
use clap::Args;
use std::time::Duration;
use tokio::time::sleep;

const CHANNEL: &str = "idle";
/// Connections opened and closed before the measurement, so that one-time allocations of the server are not counted.
const WARM_UP: u32 = 50;

/// Options of `idle`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Idle WebSockets.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Seconds to wait before the second look. After 15 the server has sent each its first heartbeat; after 60 it
    /// closes those that answer nothing, as these do.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=50))]
    settle: u32,
    /// Give each client a name of its own, so that presence has as many to count.
    #[arg(long)]
    named: bool,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<()> {
    room_for(options.clients.max(WARM_UP) as usize)?;
    let server = Server::start(setup, setup.folder()?, Fsync::Never).await?;
    let address = server.address();
    let alone = server.sockets()?;
    publish_all(address, CHANNEL, 0..1).await?;
    drop(open_all(address, CHANNEL, Bookmark::fresh(WARM_UP, options.named)).await?);
    server.left_with(alone).await?;

    let before = server.memory()?.resident;
    let readers = open_all(address, CHANNEL, Bookmark::fresh(options.clients, options.named)).await?;
    let opened = server.memory()?.resident;
    sleep(Duration::from_secs(u64::from(options.settle))).await;
    let settled = server.memory()?.resident;

    let title = format!("{} idle WebSockets", options.clients);
    let mut table = Table::new(title, ["when", "RSS MiB", "KiB per connection"]);
    let grown = |now: u64| (now as f64 - before as f64) / f64::from(options.clients);
    table.row(["before".to_owned(), mib(before), String::new()]);
    table.row(["all open".to_owned(), mib(opened), format!("{:.1}", grown(opened))]);
    table.row([format!("{} s later", options.settle), mib(settled), format!("{:.1}", grown(settled))]);
    table.print();
    drop(readers);
    server.stop().await
}
