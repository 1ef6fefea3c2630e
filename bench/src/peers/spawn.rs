//! Starts a program that prints the address it listens on.

use super::Setup;
use anyhow::{Context, Result};
use std::{ffi::OsStr, net::SocketAddr, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// The timeout for the start of a server.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process started by the benchmark.
pub(crate) struct Started {
    /// The process, which is killed when dropped.
    pub(crate) child: Child,
    /// Held open, because the server cannot write to a closed standard output.
    pub(crate) _output: Option<Lines<BufReader<ChildStdout>>>,
}

impl Started {
    /// The process id. `taskset` replaces itself with the program it starts, so this is the id of the program.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.child.id().context("the server ended at once")
    }
}

/// A command that runs a program on the server's core.
pub(crate) fn pinned(setup: &Setup, program: impl AsRef<OsStr>) -> Command {
    let mut command = match setup.core {
        Some(core) => {
            let mut command = Command::new("taskset");
            command.arg("-c").arg(core.to_string()).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

/// Starts a server and reads its address, which follows `mark` in the first line of output that contains it.
pub(crate) async fn start_listening(mut command: Command, mark: &str) -> Result<(Started, SocketAddr)> {
    let mut child = command.spawn().context("a server cannot be started")?;
    let output = child.stdout.take().context("the server has no output")?;
    let mut output = BufReader::new(output).lines();
    let address = loop {
        let line = timeout(PATIENCE, output.next_line())
            .await
            .context("the server did not say where it listens")?
            .context("the server's output cannot be read")?
            .context("the server ended before it listened")?;
        let Some((_, behind)) = line.split_once(mark) else { continue };
        let address = behind.split_whitespace().next().and_then(|address| address.parse::<SocketAddr>().ok());
        break address.with_context(|| format!("the server said {line:?}, which names no address"))?;
    };
    Ok((Started { child, _output: Some(output) }, address))
}
