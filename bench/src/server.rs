//! Starts and stops the Baro server that is measured, and reads its memory and sockets from `/proc`.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

/// The timeout for the start of the server, and for noticing that its clients have disconnected.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interval between two checks whether all clients have disconnected.
const LOOK: Duration = Duration::from_millis(20);

/// How durable an acknowledged message is: the server's `--fsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fsync {
    /// Survives power loss.
    Always,
    /// Pushed to the disk every second.
    Interval,
    /// Left to the kernel.
    Never,
}

impl Fsync {
    /// The value of the server's flag.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Interval => "interval",
            Self::Never => "never",
        }
    }
}

/// The program of the server, and the folder for its data.
pub(crate) struct Setup {
    baro: PathBuf,
    dir: PathBuf,
}

impl Setup {
    /// Resolves both to absolute paths, because the server runs in another working directory.
    pub(crate) fn new(baro: &Path, dir: Option<&Path>) -> Result<Self> {
        let built = baro.canonicalize().with_context(|| {
            format!("there is no server at {}; build it with cargo make build, or name it with --baro", baro.display())
        })?;
        let dir = dir.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let dir = dir.canonicalize().with_context(|| format!("there is no folder {}", dir.display()))?;
        Ok(Self { baro: built, dir })
    }

    /// A new folder for one server; it is deleted when dropped.
    pub(crate) fn folder(&self) -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix("baro-bench-")
            .tempdir_in(&self.dir)
            .with_context(|| format!("no folder can be made in {}", self.dir.display()))
    }
}

/// The memory of the server in KiB, as the kernel reports it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// The current resident memory (VmRSS).
    pub(crate) resident: u64,
    /// The peak resident memory (VmHWM) since the start or the last [`Server::forget_peak`].
    pub(crate) peak: u64,
}

/// A running server. Fields are dropped in order: the child must end before its folder is deleted.
pub(crate) struct Server {
    child: Child,
    pid: u32,
    address: SocketAddr,
    /// Held open, because the server cannot write to a closed standard output.
    _output: Lines<BufReader<ChildStdout>>,
    _folder: TempDir,
}

impl Server {
    /// Starts a server on a free port, with its data in `folder`.
    pub(crate) async fn start(setup: &Setup, folder: TempDir, fsync: Fsync) -> Result<Self> {
        let mut child = command(setup, folder.path(), fsync)
            .spawn()
            .with_context(|| format!("{} cannot be started", setup.baro.display()))?;
        let pid = child.id().context("the server ended at once")?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut output = BufReader::new(output).lines();
        let line = timeout(PATIENCE, output.next_line())
            .await
            .context("the server did not say where it listens")?
            .context("the server's output cannot be read")?
            .context("the server ended before it listened")?;
        let address = line
            .strip_prefix("Baro is listening on http://")
            .and_then(|address| address.parse::<SocketAddr>().ok())
            .with_context(|| format!("the server said {line:?}, which names no address"))?;
        Ok(Self { child, pid, address, _output: output, _folder: folder })
    }

    /// The address the server listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills the server process and waits until it has ended.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("the server cannot be ended")
    }

    /// The memory the server uses now.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(self.proc("status")).context("the server's memory cannot be read")?;
        let field = |name: &str| -> Result<u64> {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok())
                .with_context(|| format!("the kernel tells no {name} of the server: has it ended?"))
        };
        Ok(Memory { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }

    /// Resets the peak. A kernel without this feature keeps the peak since the start, which can only be higher.
    pub(crate) fn forget_peak(&self) {
        let _ = fs::write(self.proc("clear_refs"), "5");
    }

    /// The number of open sockets: a few of the server's own, and one per connection.
    pub(crate) fn sockets(&self) -> Result<usize> {
        let files = fs::read_dir(self.proc("fd")).context("the server's open files cannot be read")?;
        // A file that was closed after the listing has no link and is not counted.
        let is_socket = |path: PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        Ok(files.flatten().filter(|file| is_socket(file.path())).count())
    }

    /// Waits until the server has noticed that its clients left: at most `sockets` sockets remain open.
    pub(crate) async fn left_with(&self, sockets: usize) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.sockets()? > sockets {
            ensure!(Instant::now() < until, "the server still holds connections of clients that left");
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid))
    }
}

fn command(setup: &Setup, folder: &Path, fsync: Fsync) -> Command {
    let mut command = Command::new(&setup.baro);
    command
        .args(["--listen", "127.0.0.1:0", "--no-machine-channel", "--fsync", fsync.flag()])
        .arg("--data")
        .arg(folder.join("data"))
        // The server must not read a `.env` from the working directory of the benchmark.
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    // Every flag can also be set by an environment variable; a setting for another server must not change this one.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BARO_") {
            command.env_remove(name);
        }
    }
    command.env_remove("COOKIE_SECRET").env("BARO_LOG", "off").env("BARO_LOG_LEVEL", "warn");
    command
}
