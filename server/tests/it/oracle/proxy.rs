use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, sleep, timeout, timeout_at},
};

/// A bad network: every connection through it is cut within some seconds, whatever else happens to it.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    cuts: Arc<AtomicUsize>,
}

/// What a connection suffers before it is cut.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Nothing,
    /// Each chunk comes late.
    Delays,
    /// Answers are gathered, and come in bursts.
    Gathers,
    /// One direction ends, the other goes on.
    HalfCloses,
    /// After the answer's head nothing comes through any more, both ways, and nothing says so.
    GoesSilent,
    /// Upgrades are refused: the client has to find another way.
    Refuses,
}

impl Fault {
    fn any() -> Self {
        match random(12) {
            0 | 1 => Self::Delays,
            2 | 3 => Self::Gathers,
            4 => Self::HalfCloses,
            5 => Self::GoesSilent,
            6 => Self::Refuses,
            _ => Self::Nothing,
        }
    }
}

pub(super) fn random(bound: u64) -> u64 {
    getrandom::u64().unwrap() % bound
}

impl Proxy {
    pub(super) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self { address: listener.local_addr().unwrap(), cuts: Arc::default() };
        let cuts = Arc::clone(&this.cuts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cuts = Arc::clone(&cuts);
                tokio::spawn(async move {
                    // Two seconds, more or less.
                    let life = Duration::from_millis(500 + random(3000));
                    if timeout(life, carry(client, server, Fault::any())).await.is_err() {
                        cuts.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        this
    }

    pub(super) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// Carries until both ends are done; whoever drops this cuts both.
async fn carry(mut client: TcpStream, server: SocketAddr, fault: Fault) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let mut head = vec![0; 16 * 1024];
    let Ok(read) = client.read(&mut head).await else { return };
    let asks = String::from_utf8_lossy(&head[..read]).to_ascii_lowercase();
    if matches!(fault, Fault::Refuses) && asks.contains("upgrade: websocket") {
        let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        return;
    }
    if server.write_all(&head[..read]).await.is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(forwards(from_client, to_server, fault), backwards(from_server, to_client, fault));
}

async fn forwards(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault) {
    let mut chunk = vec![0; 4096];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        if matches!(fault, Fault::Delays) {
            sleep(Duration::from_millis(random(100))).await;
        }
        // A silent network takes what it is given, and that is the end of it.
        if !matches!(fault, Fault::GoesSilent) && to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

async fn backwards(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault) {
    let mut chunk = vec![0; 16 * 1024];
    let half = Instant::now() + Duration::from_millis(random(1500));
    let mut first = true;
    loop {
        let filled = match fault {
            Fault::Gathers => gather(&mut from, &mut chunk).await,
            _ => from.read(&mut chunk).await.unwrap_or(0),
        };
        if filled == 0 {
            let _ = to.shutdown().await;
            return;
        }
        match fault {
            Fault::Delays => sleep(Duration::from_millis(random(150))).await,
            Fault::HalfCloses if Instant::now() >= half => {
                let _ = to.shutdown().await;
                return;
            }
            Fault::GoesSilent if !first => continue,
            _ => {}
        }
        first = false;
        if to.write_all(&chunk[..filled]).await.is_err() {
            return;
        }
    }
}

/// Fills the chunk, or as much of it as comes within a moment.
async fn gather(from: &mut OwnedReadHalf, chunk: &mut [u8]) -> usize {
    let until = Instant::now() + Duration::from_millis(300);
    let mut filled = from.read(chunk).await.unwrap_or(0);
    while filled > 0 && filled < chunk.len() {
        match timeout_at(until, from.read(&mut chunk[filled..])).await {
            Ok(Ok(read @ 1..)) => filled += read,
            Ok(_) | Err(_) => break,
        }
    }
    filled
}
