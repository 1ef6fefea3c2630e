//! Measures one Baro on this machine. It starts the server it measures, loads it, prints a table, and ends it.
//!
//! HTTP and WebSocket are spoken by hand: the generator shares the cores with the server, so it has to be light.

#![expect(clippy::print_stdout, reason = "a report is what it is for")]

mod http;
mod idle;
mod publish;
mod reader;
mod report;
mod server;
mod slow;
mod storm;
mod websocket;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use server::Setup;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

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
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.threads as usize)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(unless_stopped(measure(&cli)))
}

async fn measure(cli: &Cli) -> Result<()> {
    let setup = Setup::new(&cli.baro, cli.dir.as_deref())?;
    match &cli.command {
        Command::Publish(options) => publish::run(&setup, options).await,
        Command::Storm(options) => storm::run(&setup, options).await,
        Command::Slow(options) => slow::run(&setup, options).await,
        Command::Idle(options) => idle::run(&setup, options).await,
    }
}

/// A signal drops the work, and with it the server and its folder: nothing stays behind.
async fn unless_stopped(work: impl Future<Output = Result<()>>) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened to")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened to")?;
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}
