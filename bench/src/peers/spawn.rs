//! Starting a program that says where it listens.

use super::Setup;
use anyhow::{Context, Result};
use std::{ffi::OsStr, net::SocketAddr, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// A server starts well within this.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that was started here.
pub(crate) struct Started {
    /// Killed when dropped.
    pub(crate) child: Child,
    /// Held: a server whose output is closed could not write to it any more.
    pub(crate) _output: Option<Lines<BufReader<ChildStdout>>>,
}

impl Started {
    /// Its process. `taskset` becomes the program it starts, so this is the program itself.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.child.id().context("the server ended at once")
    }
}

/// The command for a program, which runs on the server's core.
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

/// Starts a server and reads where it listens: the first line that has the `mark`, and the address behind it.
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
