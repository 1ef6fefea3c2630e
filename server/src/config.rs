//! The command line: each option is defined here once, with its flag, environment variable, default and help text.

use crate::{
    engine::{Retention, embedded::Fsync},
    http::{LogFormat, Trusted},
    limits::{CONNECTIONS, DRAIN_SECONDS, KEEP_BYTES, KEEP_MESSAGES, KEEP_TOTAL_BYTES},
};
use app::wire::limits::MAX_MESSAGE_BYTES;
use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValue};
use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

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
    /// Publish simulated prices, so that a chart has something to show.
    Demo(Demo),
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

impl ValueEnum for Fsync {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Always, Self::Interval, Self::Never]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Always => ("always", "Every commit: an acknowledged message survives power loss"),
            Self::Interval => ("interval", "Every second: it survives `kill -9`; power loss may take the last second"),
            Self::Never => (
                "never",
                "Never, the operating system decides: it survives `kill -9`; power loss may take the last half minute, \
                 and can damage the store",
            ),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for LogFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Human, Self::Json, Self::Off]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Human => ("human", "Lines for people"),
            Self::Json => ("json", "One JSON object a line"),
            Self::Off => ("off", "No line per request; the rest for people"),
        };
        Some(PossibleValue::new(name).help(help))
    }
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
    /// A secret that signed cookies before: they stay good, and are signed anew. May be repeated, or given with commas.
    #[arg(long, env = "OLD_COOKIE_SECRETS", hide_env_values = true, value_delimiter = ',')]
    pub old_cookie_secret: Vec<String>,
    /// Another origin whose pages may publish and listen, such as https://app.example. May be repeated, or
    /// given with commas.
    #[arg(long, env = "BARO_ALLOW_ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<String>,
    /// A proxy in front, by its address or network (10.0.0.0/8): its X-Forwarded-For says who asks, its
    /// X-Forwarded-Proto whether over TLS. May be repeated, or given with commas.
    #[arg(long, env = "BARO_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<Trusted>,
    /// The log on standard error: a line per request for people or as JSON, or no such lines.
    #[arg(long, env = "BARO_LOG", value_enum, default_value_t = LogFormat::Human)]
    pub log: LogFormat,
    /// What else is logged: error, warn, info or debug, or a filter such as server::transport=debug.
    #[arg(long, env = "BARO_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
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
    /// Where Socket.IO clients come in: the same as their option `path`.
    #[arg(long = "socketio-path", env = "BARO_SOCKETIO_PATH", default_value = "/socket.io/")]
    pub socketio_path: SocketIoPath,
    /// Say back what the official test suites of Engine.IO and Socket.IO say, instead of serving channels there.
    #[arg(long = "socketio-suites", hide = true)]
    pub socketio_suites: bool,
    /// Do not publish this computer's load into the channel `this-machine`.
    #[arg(long, env = "BARO_NO_MACHINE_CHANNEL")]
    pub no_machine_channel: bool,
}

/// The path of the Socket.IO endpoint, without a trailing slash. It does not overlap Baro's own paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketIoPath(String);

/// The error for a path that the Socket.IO endpoint cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a path such as /socket.io/ or /chat/io: letters, digits, '-', '_', '.' and '/', and none of Baro's own")]
pub struct NoPath;

/// The first segments of Baro's own paths.
const OWN_PATHS: [&str; 11] =
    ["c", "favicon.svg", "healthz", "lab", "lang", "live", "metrics", "name", "open", "pkg", "status"];

impl SocketIoPath {
    /// The path without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SocketIoPath {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let mut parts = path.strip_prefix('/').ok_or(NoPath)?.split('/');
        let is_part =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let ours = parts.clone().next().is_none_or(|first| OWN_PATHS.contains(&first));
        if ours || !parts.all(is_part) { Err(NoPath) } else { Ok(Self(path.to_owned())) }
    }
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
    /// The retention for the engine.
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

/// Options of `baro demo`.
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Where to.
    #[arg(long, default_value = "demo-stocks")]
    pub channel: String,
    /// Time between two messages.
    #[arg(long, default_value = "400ms", value_parser = humantime::parse_duration)]
    pub every: Duration,
    /// Messages to publish; without it until it is stopped.
    #[arg(long)]
    pub count: Option<u64>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_socket_io_may_live() {
        for (text, path) in [("/socket.io/", "/socket.io"), ("/socket.io", "/socket.io"), ("/chat/io/", "/chat/io")] {
            assert_eq!(text.parse(), Ok(SocketIoPath(path.into())));
        }
        for text in ["", "/", "socket.io", "//", "/a//b", "/c/io", "/live", "/a b", "/온실", "/a?b"] {
            assert_eq!(text.parse::<SocketIoPath>(), Err(NoPath), "{text}");
        }
    }
}
