//! The `baro` binary: parses the options, runs the command and sets the exit code.

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

/// A request makes dozens of small allocations; the system's allocator would take a fifth of the request's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Loaded before the options are parsed, because options can come from the environment.
    let dotenv = dotenvy::dotenv();
    let cli = Cli::parse();
    let runtime = || server::runtime().context("the threads that serve could not be started");
    match start_log(&cli).and_then(|()| runtime()?.block_on(run(cli, dotenv))) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output closed the pipe, as `head` does: this is a normal end, not an error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "baro: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts logging as the server's options say; the other commands log only warnings.
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
    // Printed for people and scripts: port 0 lets the system pick the port.
    writeln!(out, "Baro is listening on http://{}", running.address)?;
    out.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    tokio::select! {
        () = running.stop() => {}
        // A second signal stops at once. Acknowledged messages are already stored.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
