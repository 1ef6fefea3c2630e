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

/// All that is held of one direction of a connection.
const CHUNK: usize = 16 * 1024;
/// Longer than a client waits, so that it is the client that has to notice a silence.
const SILENT_LIFE: Duration = Duration::from_secs(4);
/// Answers are held back until so much is there, or more; or for so long.
const GATHER_LEAST: usize = 2 * 1024;
const GATHER_TIME: Duration = Duration::from_millis(300);

/// A bad network: every connection through it is cut within some seconds, whatever else happens to it.
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

/// What a connection suffers before it is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// Each chunk comes late, both ways.
    Delays,
    /// Answers are held back and come in bursts.
    Gathers,
    /// What the client says ends early; answers go on.
    ClosesUp,
    /// Answers end early; what the client says goes on.
    ClosesDown,
    /// After the answer's head nothing comes through any more, and nothing says so.
    GoesSilent,
}

impl Fault {
    fn any(random: &mut Random) -> Self {
        // Silence is rare: it costs a reader more time than all the others, and it has to keep up.
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
    /// The seed decides what the n-th connection suffers; which one is the n-th is up to the scheduler.
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

    /// While it refuses, every second upgrade is answered with 403, and the client has to find another way.
    pub(super) fn refuse_upgrades(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::Relaxed);
    }

    pub(super) fn report(&self) -> String {
        let Shared { cuts, silences, refusals, .. } = &*self.shared;
        let [cuts, silences, refusals] = [cuts, silences, refusals].map(|count| count.load(Ordering::Relaxed));
        format!("the proxy cut {cuts}, silenced {silences} and refused {refusals} connections")
    }
}

/// One connection from its beginning to its cut.
async fn suffer(mut client: TcpStream, server: SocketAddr, mut random: Random, shared: Arc<Shared>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let fault = Fault::any(&mut random);
    let life = if fault == Fault::GoesSilent { SILENT_LIFE } else { random.millis(500, 3500) };
    let resets = random.once_in(2);
    if timeout(life, carry(&mut client, &mut server, fault, random, &shared)).await.is_err() {
        shared.cuts.fetch_add(1, Ordering::Relaxed);
        if resets {
            // An RST, which also throws away what is under way. Else they are dropped: a FIN.
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
    }
}

/// Carries until both directions are done; whoever drops this before holds both ends of a cut line.
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
    // Requests are small: there is nothing to gather of them.
    let up_fault = if fault == Fault::Gathers { Fault::Nothing } else { fault };
    tokio::join!(direction(up, up_fault, up_end, random.fork()), direction(down, fault, down_end, random));
}

/// One way through the proxy.
type Way<'a> = (ReadHalf<'a>, WriteHalf<'a>);

/// Carries one direction until it is over, or until it has to end, and says so to whoever listens there.
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

/// Fills the chunk, or as much of it as comes within a moment.
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

/// Passes the head of the answer, so that the client believes in it, and nothing after that, not even an end.
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

/// What came up to the end of a head, perhaps with what follows it, and the head's length.
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
