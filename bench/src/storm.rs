//! The command `storm`: many readers reconnect at the same moment, and each has missed messages.

use crate::{
    http::publish_all,
    load::room_for,
    reader::{Bookmark, HALF_OPEN, Reader, open_all, open_in_turn},
    report::{Sorted, Table, mib, rate, seconds},
    server::{Fsync, Server, Setup},
};
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

const CHANNEL: &str = "storm";
/// How often one reader retries before the run fails.
const RETRIES: u32 = 20;
/// The pause between two tries of one reader.
const PAUSE: Duration = Duration::from_millis(100);

/// Options of `storm`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// WebSockets that come back at once.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Messages that each of them missed.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    missed: u32,
    /// Give each client a name of its own, so that presence has as many to count.
    #[arg(long)]
    named: bool,
    /// The server's --fsync.
    #[arg(long, value_enum, default_value_t = Fsync::Always)]
    fsync: Fsync,
}

/// A reader that reconnected and received every missed message.
struct Back {
    /// Stays connected until every reader has caught up, as a real client would.
    _reader: Reader,
    /// The time from the start of the storm until the reader's last connection was open.
    connected: Duration,
    /// The time from the start of the storm until the reader had its last missed message.
    caught_up: Duration,
    /// Tries that failed before the connection was open.
    refused: u32,
    /// Connections that ended before the reader had caught up.
    cut: u32,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<()> {
    room_for(options.clients as usize)?;
    let server = Server::start(setup, setup.folder()?, options.fsync).await?;
    let address = server.address();
    let missed = u64::from(options.missed);
    let alone = server.sockets()?;
    let mut memory = Table::new("Memory of the server", ["when", "RSS MiB", "peak MiB"]);
    publish_all(address, CHANNEL, 0..1).await?;
    stage(&mut memory, "before anyone came", &server)?;

    let mut readers = open_all(address, CHANNEL, Bookmark::fresh(options.clients, options.named)).await?;
    publish_all(address, CHANNEL, 0..1).await?;
    for reader in &mut readers {
        reader.next().await?.context("a reader was cut off before the storm")?;
    }
    stage(&mut memory, "all connected", &server)?;

    let bookmarks: Vec<Bookmark> = readers.into_iter().map(Reader::leave).collect();
    server.left_with(alone).await?;
    stage(&mut memory, "all gone", &server)?;

    publish_all(address, CHANNEL, 0..missed).await?;
    server.forget_peak();
    stage(&mut memory, "before the storm", &server)?;

    let back = storm(address, bookmarks, missed).await?;
    stage(&mut memory, "all caught up", &server)?;
    report(&back, missed);
    memory.print();
    drop(back);
    server.stop().await
}

fn stage(memory: &mut Table, when: &str, server: &Server) -> Result<()> {
    let now = server.memory()?;
    memory.row([when.to_owned(), mib(now.resident), mib(now.peak)]);
    Ok(())
}

/// Reconnects all readers at once and waits until each has caught up.
async fn storm(address: SocketAddr, bookmarks: Vec<Bookmark>, missed: u64) -> Result<Vec<Back>> {
    let gate = Arc::new(Semaphore::new(HALF_OPEN));
    let mut coming = JoinSet::new();
    let mut back = Vec::with_capacity(bookmarks.len());
    let start = Instant::now();
    for bookmark in bookmarks {
        coming.spawn(come_back(Arc::clone(&gate), address, bookmark, missed, start));
    }
    while let Some(one) = coming.join_next().await {
        back.push(one??);
    }
    Ok(back)
}

/// Reconnects one reader and reads the messages it missed. Retries when the reader is refused or disconnected.
///
/// # Errors
/// Returns an error if a message is not the next one, or after more than [`RETRIES`] failed tries.
async fn come_back(
    gate: Arc<Semaphore>,
    address: SocketAddr,
    mut bookmark: Bookmark,
    missed: u64,
    start: Instant,
) -> Result<Back> {
    let (mut next, mut refused, mut cut) = (0, 0, 0);
    loop {
        match open_in_turn(Arc::clone(&gate), address, CHANNEL, bookmark.clone()).await {
            Ok(mut reader) => {
                let connected = start.elapsed();
                while next < missed {
                    let Some(number) = reader.next().await? else { break };
                    ensure!(number == next, "the message {number} came where {next} should have");
                    next += 1;
                }
                if next == missed {
                    return Ok(Back { _reader: reader, connected, caught_up: start.elapsed(), refused, cut });
                }
                cut += 1;
                ensure!(refused + cut <= RETRIES, "a reader was cut off again and again");
                bookmark = reader.leave();
            }
            Err(error) => {
                refused += 1;
                if refused + cut > RETRIES {
                    return Err(error.context("a reader was refused again and again"));
                }
            }
        }
        sleep(PAUSE).await;
    }
}

fn report(back: &[Back], missed: u64) {
    let connected = Sorted::new(back.iter().map(|one| one.connected).collect());
    let caught_up = Sorted::new(back.iter().map(|one| one.caught_up).collect());
    let mut times = Table::new(
        format!("{} WebSockets come back at once; each missed {missed} messages", back.len()),
        ["seconds until", "p50", "p99", "all"],
    );
    for (what, took) in [("connected", &connected), ("caught up", &caught_up)] {
        let [half, most, all] = [50, 99, 100].map(|percent| seconds(took.percentile(percent)));
        times.row([what.to_owned(), half, most, all]);
    }
    times.print();

    let messages = back.len() as u64 * missed;
    let per_second = rate(usize::try_from(messages).unwrap_or(usize::MAX), caught_up.percentile(100));
    let (refused, cut) = back.iter().fold((0, 0), |(refused, cut), one| (refused + one.refused, cut + one.cut));
    let mut sums = Table::new("Together", ["what", "count"]);
    sums.row(["messages".to_owned(), messages.to_string()]);
    sums.row(["messages per second".to_owned(), format!("{per_second:.0}")]);
    sums.row(["refused, tried again".to_owned(), refused.to_string()]);
    sums.row(["cut off, came back".to_owned(), cut.to_string()]);
    sums.print();
}
