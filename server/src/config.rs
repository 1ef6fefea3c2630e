//! Every option once: a flag, its environment twin, its default and its help.

use crate::{
    engine::{Retention, embedded::Fsync},
    limits::{CONNECTIONS, DRAIN_SECONDS, KEEP_BYTES, KEEP_MESSAGES, KEEP_TOTAL_BYTES},
};
use app::wire::limits::MAX_MESSAGE_BYTES;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// A channel is a URL: watch it, talk in it, curl to it.
#[derive(Debug, Parser)]
#[command(name = "baro", version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `serve`.
    #[command(flatten)]
    pub serve: Serve,
}

/// What `baro` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the default).
    Serve(Serve),
    /// Publish TEXT, or one message per line of standard input.
    Publish(Publish),
    /// Print a channel's messages as they come.
    Tail(TailOptions),
    /// Copy everything kept into one new file, while a server runs or not.
    Backup(Copy),
    /// Put a file that `backup` made in the place of what the data folder has; no server may run on it.
    Restore(Copy),
}

/// How the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// SQLite in the data folder.
    Embedded,
    /// In memory; gone with the process.
    Memory,
}

/// Options of the server.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, env = "BARO_LISTEN", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
    /// Folder that holds everything Baro keeps; used by one process at a time.
    #[arg(long, env = "BARO_DATA", default_value = "./baro-data")]
    pub data: PathBuf,
    /// Secret that signs visitor cookies, of any length. Without one a secret is made once and kept in the
    /// data folder.
    #[arg(long, env = "COOKIE_SECRET", hide_env_values = true)]
    pub cookie_secret: Option<String>,
    /// Another origin whose pages may publish and listen, such as https://app.example. May be repeated, or
    /// given with commas.
    #[arg(long, env = "BARO_ALLOW_ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<String>,
    /// Largest message in bytes.
    #[arg(long, env = "BARO_MAX_MESSAGE", default_value_t = MAX_MESSAGE_BYTES)]
    pub max_message: usize,
    /// How the log is kept.
    #[arg(long, env = "BARO_ENGINE", value_enum, default_value_t = EngineKind::Embedded)]
    pub engine: EngineKind,
    /// How hard an acknowledged message is on the disk. All three survive a killed process.
    #[arg(long, env = "BARO_FSYNC", value_enum, default_value_t = Fsync::Always)]
    pub fsync: Fsync,
    /// What is kept.
    #[command(flatten)]
    pub keep: Keep,
    /// Connections at once; who comes beyond them is turned away. Each takes a file descriptor and some kilobytes.
    #[arg(long, env = "BARO_CONNECTIONS", default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Seconds a stop may take. Every client is told to come back within as many, each at another moment.
    #[arg(long, env = "BARO_DRAIN", default_value_t = DRAIN_SECONDS)]
    pub drain: u64,
    /// Do not publish this computer's load into the channel `this-machine`.
    #[arg(long, env = "BARO_NO_MACHINE_CHANNEL")]
    pub no_machine_channel: bool,
}

/// What is kept of the messages; the oldest go first, and whoever missed them is told.
#[derive(Clone, Debug, Args)]
pub struct Keep {
    /// Messages kept of each channel.
    #[arg(long = "keep-messages", env = "BARO_KEEP_MESSAGES", default_value_t = KEEP_MESSAGES)]
    pub messages: u64,
    /// Bytes kept of each channel.
    #[arg(long = "keep-bytes", env = "BARO_KEEP_BYTES", default_value_t = KEEP_BYTES)]
    pub bytes: u64,
    /// How long messages are kept, such as 30d or 12h; without it age does not matter.
    #[arg(long = "keep-age", env = "BARO_KEEP_AGE", value_parser = humantime::parse_duration)]
    pub age: Option<Duration>,
    /// Bytes kept of all channels together; the file takes up to half as much again.
    #[arg(long = "keep-total", env = "BARO_KEEP_TOTAL", default_value_t = KEEP_TOTAL_BYTES)]
    pub total: u64,
}

impl Keep {
    /// As the engine takes it.
    pub(crate) fn retention(&self) -> Retention {
        Retention {
            messages: self.messages,
            bytes: self.bytes,
            age: self.age,
            total_bytes: self.total,
            shorter: Vec::new(),
        }
    }
}

/// Options of `baro backup` and `baro restore`.
#[derive(Clone, Debug, Args)]
pub struct Copy {
    /// The copy.
    pub file: PathBuf,
    /// The data folder.
    #[arg(long, env = "BARO_DATA", default_value = "./baro-data")]
    pub data: PathBuf,
}

/// Which server a client command talks to.
#[derive(Clone, Debug, Args)]
pub struct Server {
    /// The server.
    #[arg(long, env = "BARO_URL", default_value = "http://127.0.0.1:3000")]
    pub url: String,
}

/// Options of `baro publish`.
#[derive(Clone, Debug, Args)]
pub struct Publish {
    /// Where to.
    pub channel: String,
    /// What; without it every line of standard input is a message.
    pub text: Option<String>,
    /// The program's name.
    #[arg(long, env = "BARO_FROM", default_value = "baro")]
    pub from: String,
    /// The server.
    #[command(flatten)]
    pub server: Server,
}

/// Options of `baro tail`.
#[derive(Clone, Debug, Args)]
pub struct TailOptions {
    /// What to follow.
    pub channel: String,
    /// Begin with the newest N messages.
    #[arg(short = 'n', long, default_value_t = 10)]
    pub last: usize,
    /// Print whole frames as JSON instead of bodies.
    #[arg(long)]
    pub json: bool,
    /// The server.
    #[command(flatten)]
    pub server: Server,
}
