//! The binary: parse, run, exit code.

use anyhow::Context;
use clap::Parser;
use server::{
    cli,
    config::{Cli, Command, Serve},
    http::LogFormat,
};
use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Answering a request is some dozens of small allocations: the system's allocator would be a fifth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before the options are read: they have environment twins.
    let dotenv = dotenvy::dotenv();
    let cli = Cli::parse();
    let runtime = || server::runtime().context("the threads that serve could not be started");
    match start_log(&cli).and_then(|()| runtime()?.block_on(run(cli, dotenv))) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has gone, as `head` does: that is an end, not an error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "baro: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Begins to log, as the server's options say; other commands have warnings only.
fn start_log(cli: &Cli) -> anyhow::Result<()> {
    let serve = match &cli.command {
        None => Some(&cli.serve),
        Some(Command::Serve(options)) => Some(options),
        Some(_) => None,
    };
    let level = serve.map_or("warn", |options| &options.log_level);
    let filter = EnvFilter::builder().parse(level).with_context(|| {
        format!("--log-level {level:?} is no level: it is error, warn, info or debug, or a filter for some of the code")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if serve.is_some_and(|options| options.log == LogFormat::Json) {
        log.json().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    }
    Ok(())
}

async fn run(cli: Cli, dotenv: dotenvy::Result<PathBuf>) -> anyhow::Result<()> {
    if let Err(error) = dotenv
        && !error.not_found()
    {
        tracing::warn!(%error, "the file .env was not read");
    }
    match cli.command {
        None => serve(cli.serve).await,
        Some(Command::Serve(options)) => serve(options).await,
        Some(Command::Publish(options)) => cli::publish(options).await,
        Some(Command::Tail(options)) => cli::tail(options).await,
        Some(Command::Demo(options)) => cli::demo(options).await,
        Some(Command::Backup(options)) => cli::backup(&options),
        Some(Command::Restore(options)) => cli::restore(&options),
    }
}

async fn serve(options: Serve) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened to")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened to")?;
    let running = server::run(options).await?;
    let mut out = std::io::stdout();
    // For people and for scripts: the address, also when port 0 picked it.
    writeln!(out, "Baro is listening on http://{}", running.address)?;
    out.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    tokio::select! {
        () = running.stop() => {}
        // Asked twice: somebody is in a hurry. What was acknowledged is stored already.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
