//! `baro-bench` measures a Baro server on this machine. Each command starts the server, loads it, prints a table and
//! stops the server.
//!
//! HTTP and WebSocket are implemented here without a library: the load generator shares the cores with the server, so
//! it must use little CPU.

#![expect(clippy::print_stdout, reason = "a report is what it is for")]

mod compare;
mod floor;
mod http;
mod idle;
mod load;
mod peers;
mod plain;
mod publish;
mod reader;
mod report;
mod server;
mod slow;
mod storm;
mod usage;
mod websocket;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use server::Setup;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Baro's allocator, so that the reference servers in this program use the same one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures one Baro on this machine.
#[derive(Debug, Parser)]
#[command(name = "baro-bench", version, about)]
struct Cli {
    /// The server to measure.
    #[arg(long, global = true, default_value = "target/release/baro")]
    baro: PathBuf,
    /// Folder for the server's data, which is deleted afterwards; the system's folder for temporary files if not
    /// given. Publishing is as fast as the disk under it.
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
    /// Threads of the load generator. The server needs the other cores.
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// What to measure.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Durable publishes per second, beside what the disk alone can do.
    Publish(publish::Options),
    /// Many WebSockets come back at once, and each has missed messages.
    Storm(storm::Options),
    /// A reader that stops reading while others go on.
    Slow(slow::Options),
    /// Memory of a WebSocket on which nothing happens.
    Idle(idle::Options),
    /// The same rows for Baro and others, beside what the machine can do at most.
    Compare(compare::CompareOptions),
    /// One of these rows for one server, with all its figures.
    Row(compare::RowOptions),
    /// Two builds of Baro in turns: what a change costs.
    Beside(compare::BesideOptions),
    /// How Baro does with more readers, channels, bytes and publishers.
    Grow(compare::GrowOptions),
    /// A short run that fails if Baro became much slower beside the floor.
    Guard(compare::GuardOptions),
    /// A server that does the least there is to do: the limit the others are measured by.
    Floor(floor::Options),
    /// A server as the examples of axum show it.
    Axum,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if let Command::Floor(options) = &cli.command {
        return floor::run(options);
    }
    let pinned = if cli.command.compares() { compare::take_core()? } else { None };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.threads as usize)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let result = runtime.block_on(unless_stopped(measure(&cli, pinned)));
    // Do not wait for a thread that still loads a server.
    runtime.shutdown_background();
    result
}

impl Command {
    /// Whether the server and the load generator run on separate cores.
    fn compares(&self) -> bool {
        matches!(self, Self::Row(_) | Self::Compare(_) | Self::Beside(_) | Self::Grow(_) | Self::Guard(_))
    }
}

async fn measure(cli: &Cli, core: Option<usize>) -> Result<()> {
    let peers = || compare::setup(&cli.baro, cli.dir.as_deref(), core);
    match &cli.command {
        Command::Compare(options) => return compare::compare(&peers()?, options).await,
        Command::Row(options) => return compare::row(&peers()?, options).await,
        Command::Beside(options) => return compare::beside(&peers()?, options).await,
        Command::Grow(options) => return compare::grow(&peers()?, options).await,
        Command::Guard(options) => return compare::guard(&peers()?, options).await,
        Command::Floor(options) => return floor::run(options),
        Command::Axum => return plain::run().await,
        _ => {}
    }
    let setup = Setup::new(&cli.baro, cli.dir.as_deref())?;
    match &cli.command {
        Command::Publish(options) => publish::run(&setup, options).await,
        Command::Storm(options) => storm::run(&setup, options).await,
        Command::Slow(options) => slow::run(&setup, options).await,
        Command::Idle(options) => idle::run(&setup, options).await,
        _ => Ok(()),
    }
}

/// Drops the work on SIGINT or SIGTERM, which also stops the server and deletes its folder.
async fn unless_stopped(work: impl Future<Output = Result<()>>) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened to")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened to")?;
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}
