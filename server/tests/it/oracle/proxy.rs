//! A proxy that behaves like a bad network: it cuts, delays, gathers, half-closes and silences connections.

use super::journal::Random;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::{Instant, sleep, timeout, timeout_at},
};

/// Bytes that the proxy holds of one direction of a connection.
const CHUNK: usize = 16 * 1024;
/// Longer than a client waits, so that the client must notice the silence.
const SILENT_LIFE: Duration = Duration::from_secs(4);
/// Answers are held back until at least this many bytes have arrived, or for [`GATHER_TIME`].
const GATHER_LEAST: usize = 2 * 1024;
const GATHER_TIME: Duration = Duration::from_millis(300);

/// A bad network: it cuts every connection within a few seconds, and some have another [`Fault`] before.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    refusing: AtomicBool,
    cuts: AtomicUsize,
    silences: AtomicUsize,
    refusals: AtomicUsize,
}

/// The fault of a connection before it is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// Each chunk is late, in both directions.
    Delays,
    /// Answers are held back and arrive in bursts.
    Gathers,
    /// The direction from the client ends early; answers continue.
    ClosesUp,
    /// Answers end early; the direction from the client continues.
    ClosesDown,
    /// After the head of the answer nothing passes in either direction, and the connection stays open.
    GoesSilent,
}

impl Fault {
    fn any(random: &mut Random) -> Self {
        // Silence is rare: it costs a reader more time than the other faults, and the reader has to keep up.
        match random.between(0, 24) {
            0..=3 => Self::Delays,
            4..=7 => Self::Gathers,
            8 => Self::ClosesUp,
            9 => Self::ClosesDown,
            10 => Self::GoesSilent,
            _ => Self::Nothing,
        }
    }
}

impl Proxy {
    /// The seed decides the fault of the n-th connection; the scheduler decides which connection is the n-th.
    pub(super) async fn start(server: SocketAddr, mut random: Random) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let shared = Arc::clone(&this.shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(suffer(client, server, random.fork(), Arc::clone(&shared)));
            }
        });
        this
    }

    /// While the proxy refuses, it answers about every second upgrade with 403, as networks without WebSockets do.
    pub(super) fn refuse_upgrades(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::Relaxed);
    }

    pub(super) fn report(&self) -> String {
        let Shared { cuts, silences, refusals, .. } = &*self.shared;
        let [cuts, silences, refusals] = [cuts, silences, refusals].map(|count| count.load(Ordering::Relaxed));
        format!("the proxy cut {cuts}, silenced {silences} and refused {refusals} connections")
    }
}

/// Carries one connection until it ends or is cut.
async fn suffer(mut client: TcpStream, server: SocketAddr, mut random: Random, shared: Arc<Shared>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let fault = Fault::any(&mut random);
    let life = if fault == Fault::GoesSilent { SILENT_LIFE } else { random.millis(500, 3500) };
    let resets = random.once_in(2);
    if timeout(life, carry(&mut client, &mut server, fault, random, &shared)).await.is_err() {
        shared.cuts.fetch_add(1, Ordering::Relaxed);
        if resets {
            // A reset also discards the bytes that are on the way. Otherwise dropping the sockets sends a FIN.
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
    }
}

/// Carries until both directions have ended. The caller keeps both sockets, so that it can cut the connection before.
async fn carry(client: &mut TcpStream, server: &mut TcpStream, fault: Fault, mut random: Random, shared: &Shared) {
    let (mut from_client, mut to_client) = client.split();
    let (from_server, mut to_server) = server.split();
    let Some((request, _)) = head(&mut from_client).await else { return };
    if is_upgrade(&request) && shared.refusing.load(Ordering::Relaxed) && random.once_in(2) {
        shared.refusals.fetch_add(1, Ordering::Relaxed);
        let _ = to_client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        let _ = to_client.shutdown().await;
        return;
    }
    if to_server.write_all(&request).await.is_err() {
        return;
    }
    let (up, down) = ((from_client, to_server), (from_server, to_client));
    if fault == Fault::GoesSilent {
        return go_silent(up, down, random, shared).await;
    }
    let end = random.millis(200, 1500);
    let (up_end, down_end) = match fault {
        Fault::ClosesUp => (Some(end), None),
        Fault::ClosesDown => (None, Some(end)),
        _ => (None, None),
    };
    // Requests are too small to be gathered.
    let up_fault = if fault == Fault::Gathers { Fault::Nothing } else { fault };
    tokio::join!(direction(up, up_fault, up_end, random.fork()), direction(down, fault, down_end, random));
}

/// One direction through the proxy.
type Way<'a> = (ReadHalf<'a>, WriteHalf<'a>);

/// Carries one direction until it ends, at the latest after `end`, and then closes it towards the receiver.
async fn direction((mut from, mut to): Way<'_>, fault: Fault, end: Option<Duration>, random: Random) {
    let carried = pump(&mut from, &mut to, fault, random);
    match end {
        Some(end) => {
            let _ = timeout(end, carried).await;
        }
        None => carried.await,
    }
    let _ = to.shutdown().await;
}

async fn pump(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, fault: Fault, mut random: Random) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let filled = if fault == Fault::Gathers {
            let enough = GATHER_LEAST + random.index(CHUNK - GATHER_LEAST);
            gather(from, &mut chunk[..enough]).await
        } else {
            from.read(&mut chunk).await.unwrap_or(0)
        };
        if filled == 0 {
            return;
        }
        if fault == Fault::Delays {
            sleep(random.millis(0, 150)).await;
        }
        if to.write_all(&chunk[..filled]).await.is_err() {
            return;
        }
    }
}

/// Fills the chunk with what arrives within [`GATHER_TIME`]. Returns the number of bytes.
async fn gather(from: &mut ReadHalf<'_>, chunk: &mut [u8]) -> usize {
    let mut filled = from.read(chunk).await.unwrap_or(0);
    let until = Instant::now() + GATHER_TIME;
    while filled > 0 && filled < chunk.len() {
        match timeout_at(until, from.read(&mut chunk[filled..])).await {
            Ok(Ok(read @ 1..)) => filled += read,
            Ok(_) | Err(_) => break,
        }
    }
    filled
}

/// Passes the head of the answer, so that the client trusts the connection, and nothing after it, not even its end.
async fn go_silent(up: Way<'_>, down: Way<'_>, random: Random, shared: &Shared) {
    let ((mut from_client, mut to_server), (mut from_server, mut to_client)) = (up, down);
    let answer = tokio::select! {
        () = pump(&mut from_client, &mut to_server, Fault::Nothing, random) => return,
        answer = head(&mut from_server) => answer,
    };
    let Some((bytes, length)) = answer else { return };
    if to_client.write_all(&bytes[..length]).await.is_err() {
        return;
    }
    shared.silences.fetch_add(1, Ordering::Relaxed);
    let deaf = async {
        swallow(&mut from_server).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = swallow(&mut from_client) => {}
        () = deaf => {}
    }
}

async fn swallow(from: &mut ReadHalf<'_>) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(1..) = from.read(&mut chunk).await {}
}

/// Reads the head of a request or an answer. Returns its bytes, perhaps with some that follow, and its length.
async fn head(from: &mut ReadHalf<'_>) -> Option<(Vec<u8>, usize)> {
    let mut bytes: Vec<u8> = Vec::with_capacity(CHUNK);
    while bytes.len() < CHUNK {
        if from.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            return Some((bytes, at + 4));
        }
    }
    None
}

fn is_upgrade(request: &[u8]) -> bool {
    String::from_utf8_lossy(request).to_ascii_lowercase().contains("upgrade: websocket")
}
