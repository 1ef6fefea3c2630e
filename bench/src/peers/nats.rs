//! Measures durable publishes per second of NATS JetStream, which syncs each publish before it acknowledges it.
//!
//! The NATS protocol is implemented here without a library. As with the official clients, one connection has many
//! publishes in flight.

use super::{Setup, Skipped, pinned, process};
use crate::report::Sorted;
use anyhow::{Context, Result, bail, ensure};
use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

/// How to install a version that can sync before it acknowledges; Debian's version cannot.
const INSTALL: &str =
    "install with: go install github.com/nats-io/nats-server/v2@v2.12.4, and name it with NATS_SERVER";
/// The name of the stream and of its only subject.
const STREAM: &str = "bench";
/// The prefix of the subjects for answers: `INBOX.<slot>`.
const INBOX: &str = "_INBOX.bench";
/// The size of a body in bytes: the default size of a publish to Baro in this benchmark.
const BODY_BYTES: usize = 128;
/// Publishes in this first part are not counted: the stream's file grows for the first time.
const WARM_UP: Duration = Duration::from_millis(500);
/// The server acknowledges publishes continuously, so no answer for this long means that it is stuck.
const SILENCE: Duration = Duration::from_secs(30);
/// Buffer space reserved for one read.
const READ_BYTES: usize = 64 * 1024;

/// The results of durable publishing.
pub(crate) struct Durable {
    /// Acknowledged publishes per second.
    pub(crate) per_second: f64,
    /// The median duration of a publish.
    pub(crate) p50: Duration,
    /// The 99th percentile of the duration of a publish.
    pub(crate) p99: Duration,
}

/// Publishes for `seconds` with `in_flight` publishes in flight. The server syncs each publish before it acknowledges
/// it.
pub(crate) async fn durable(setup: &Setup, in_flight: usize, seconds: f64) -> Result<Result<Durable, Skipped>> {
    ensure!(in_flight > 0, "nothing is published with nothing under way");
    let server = match Server::start(setup).await? {
        Ok(server) => server,
        Err(skipped) => return Ok(Err(skipped)),
    };
    let mut client = Client::connect(server.address).await?;
    client.create_stream().await?;
    let took = client.publish(in_flight, Duration::from_secs_f64(seconds)).await?;
    server.stop().await?;
    let took = Sorted::new(took);
    let per_second = took.len() as f64 / seconds;
    Ok(Ok(Durable { per_second, p50: took.percentile(50), p99: took.percentile(99) }))
}

/// A running NATS server. Fields are dropped in order: the child must end before its folder is deleted.
struct Server {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Server {
    async fn start(setup: &Setup) -> Result<Result<Self, Skipped>> {
        let Some(program) = process::find("nats-server", "NATS_SERVER") else {
            return Ok(Err(Skipped(format!("there is no nats-server; {INSTALL}"))));
        };
        let folder = process::folder(setup)?;
        let address = process::free_address()?;
        let config = folder.path().join("nats.conf");
        fs::write(&config, configuration(folder.path(), address))
            .context("the configuration of NATS cannot be written")?;
        if let Some(reason) = refuses(&program, &config).await? {
            return Ok(Err(Skipped(format!("nats-server cannot sync before it acknowledges ({reason}); {INSTALL}"))));
        }
        let mut command = pinned(setup, &program);
        command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().context("nats-server cannot be started")?;
        process::listens(&mut child, address).await?;
        Ok(Ok(Self { child, address, _folder: folder }))
    }

    async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("nats-server cannot be ended")
    }
}

fn configuration(folder: &Path, address: SocketAddr) -> String {
    let store = folder.join("jetstream");
    format!("listen: \"{address}\"\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n")
}

/// The reason why this server rejects the configuration, or `None` if the server accepts it.
async fn refuses(program: &Path, config: &Path) -> Result<Option<String>> {
    let output = Command::new(program)
        .arg("-t")
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .await
        .context("nats-server cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Drop the path of the temporary file, which does not help the reader of the report.
    let reason = said.lines().next().unwrap_or_default().rsplit(": ").next().unwrap_or_default().to_owned();
    Ok((!output.status.success()).then_some(reason))
}

/// A connection to NATS.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    /// The number of bytes at the start of `received` that were already parsed.
    taken: usize,
    /// Bytes for the next write.
    out: String,
}

/// A protocol message from the server.
enum Said {
    /// The answer to the publish in this slot, and whether the message was stored.
    Answer {
        slot: usize,
        fine: bool,
    },
    Ping,
    Other,
}

impl Client {
    async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("NATS cannot be reached")?;
        stream.set_nodelay(true)?;
        let mut this = Self { stream, received: Vec::new(), taken: 0, out: String::new() };
        this.out.push_str("CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"rust\",\"version\":\"0\"}\r\n");
        write!(this.out, "SUB {INBOX}.* 1\r\n")?;
        Ok(this)
    }

    /// Creates the stream with file storage. The answer arrives in slot 0.
    async fn create_stream(&mut self) -> Result<()> {
        let wish = format!(
            "{{\"name\":\"{STREAM}\",\"subjects\":[\"{STREAM}\"],\"storage\":\"file\",\"retention\":\"limits\",\
             \"discard\":\"old\",\"num_replicas\":1}}"
        );
        let length = wish.len();
        write!(self.out, "PUB $JS.API.STREAM.CREATE.{STREAM} {INBOX}.0 {length}\r\n{wish}\r\n")?;
        self.flush().await?;
        self.answer().await.map(drop)
    }

    /// Publishes for `time` after the warm-up. Returns the duration of each publish that was acknowledged in this time.
    async fn publish(&mut self, in_flight: usize, time: Duration) -> Result<Vec<Duration>> {
        let body = "x".repeat(BODY_BYTES);
        let from = Instant::now() + WARM_UP;
        let until = from + time;
        let mut began = vec![Instant::now(); in_flight];
        let mut took = Vec::new();
        for slot in 0..in_flight {
            self.put(slot, &body)?;
        }
        self.flush().await?;
        loop {
            let slot = self.answer().await?;
            let now = Instant::now();
            let begun = began.get_mut(slot).context("NATS answered what was not asked")?;
            if now >= until {
                return Ok(took);
            }
            if now >= from {
                took.push(now - *begun);
            }
            *begun = now;
            self.put(slot, &body)?;
        }
    }

    fn put(&mut self, slot: usize, body: &str) -> Result<()> {
        write!(self.out, "PUB {STREAM} {INBOX}.{slot} {BODY_BYTES}\r\n{body}\r\n").context("memory is full")
    }

    /// Waits for the next answer and returns its slot. Queued bytes are sent when all received bytes are parsed.
    async fn answer(&mut self) -> Result<usize> {
        loop {
            match read(&self.received[self.taken..])? {
                Some((said, length)) => {
                    self.taken += length;
                    match said {
                        Said::Answer { slot, fine: true } => return Ok(slot),
                        Said::Answer { .. } => bail!("NATS refused: {}", self.last(length)),
                        Said::Ping => self.out.push_str("PONG\r\n"),
                        Said::Other => {}
                    }
                }
                None => self.receive().await?,
            }
        }
    }

    /// The last `length` parsed bytes as text, for an error message.
    fn last(&self, length: usize) -> String {
        String::from_utf8_lossy(&self.received[self.taken - length..self.taken]).into_owned()
    }

    async fn flush(&mut self) -> Result<()> {
        self.stream.write_all(self.out.as_bytes()).await.context("NATS closed the connection")?;
        self.out.clear();
        Ok(())
    }

    async fn receive(&mut self) -> Result<()> {
        self.flush().await?;
        self.received.drain(..self.taken);
        self.taken = 0;
        self.received.reserve(READ_BYTES);
        let read = timeout(SILENCE, self.stream.read_buf(&mut self.received)).await.context("NATS does not answer")?;
        ensure!(read.context("NATS closed the connection")? > 0, "NATS closed the connection");
        Ok(())
    }
}

/// Parses one protocol message. Returns the message and its length in bytes, or `None` if it is not complete yet.
fn read(bytes: &[u8]) -> Result<Option<(Said, usize)>> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[..end]).context("NATS sent what is not UTF-8")?;
    ensure!(!line.starts_with("-ERR"), "NATS refused: {line}");
    let Some(head) = line.strip_prefix("MSG ") else {
        let said = if line == "PING" { Said::Ping } else { Said::Other };
        return Ok(Some((said, end + 2)));
    };
    // `MSG <subject> <subscription> <bytes>`, then the payload and a line break.
    let mut words = head.split(' ');
    let slot = words.next().and_then(|subject| subject.rsplit('.').next()?.parse().ok());
    let length: Option<usize> = words.next_back().and_then(|length| length.parse().ok());
    let (Some(slot), Some(length)) = (slot, length) else { bail!("NATS sent {line:?}") };
    let start = end + 2;
    let Some(payload) = bytes.get(start..start + length) else { return Ok(None) };
    if bytes.len() < start + length + 2 {
        return Ok(None);
    }
    let fine = !payload.windows(7).any(|part| part == b"\"error\"");
    Ok(Some((Said::Answer { slot, fine }, start + length + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let bytes = b"MSG _INBOX.bench.17 1 8\r\n{\"seq\":1\r\nPING\r\n";
        assert!(read(&bytes[..bytes.len() - 7]).unwrap().is_none(), "not complete");
        let Some((Said::Answer { slot: 17, fine: true }, length)) = read(bytes).unwrap() else { panic!("an answer") };
        assert!(matches!(read(&bytes[length..]).unwrap(), Some((Said::Ping, 6))));
        let refused = b"MSG _INBOX.bench.0 1 11\r\n{\"error\":1}\r\n";
        assert!(matches!(read(refused).unwrap(), Some((Said::Answer { fine: false, .. }, _))));
        assert!(read(b"-ERR 'no'\r\n").is_err());
    }
}
