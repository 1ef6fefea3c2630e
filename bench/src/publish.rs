//! Durable publishes per second, beside what the disk alone can do.

use crate::{
    http::{CREATED, Http},
    reader::body,
    report::{Sorted, Table, millis, rate},
    server::{Fsync, Server, Setup},
};
use anyhow::{Context, Result};
use clap::Args;
use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};
use tokio::task::{JoinSet, spawn_blocking};

const CHANNEL: &str = "publish";
/// Publishes before this are not counted: connections open, and the store's file grows for the first time.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long the disk alone is measured.
const DISK_TIME: Duration = Duration::from_secs(2);
/// What the disk alone appends before each sync: about what a small commit writes.
const DISK_BYTES: usize = 4096;

/// Options of `publish`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many publish at once, each with one request in flight; several with commas.
    #[arg(long, value_delimiter = ',', default_values_t = [1_u32, 16, 128],
        value_parser = clap::value_parser!(u32).range(1..))]
    publishers: Vec<u32>,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// The server's --fsync; several with commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Fsync::Always])]
    fsync: Vec<Fsync>,
}

/// What some publishers did together.
#[derive(Default)]
struct Published {
    /// How long each publish took that was answered with 201.
    took: Vec<Duration>,
    /// Publishes that were answered with something else.
    failed: usize,
}

/// The time in which publishes count.
#[derive(Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<()> {
    let time = Duration::from_secs(u64::from(options.seconds));
    let columns = ["fsync", "publishers", "per second", "per sync of the disk", "p50 ms", "p99 ms", "failed"];
    let mut table = Table::new("Publishes of 128 bytes, acknowledged with 201", columns);
    for &fsync in &options.fsync {
        // In the same folder and just before, while no server uses the disk.
        let folder = setup.folder()?;
        let path = folder.path().to_path_buf();
        let disk = Sorted::new(spawn_blocking(move || sync_alone(&path)).await??);
        let disk_rate = rate(disk.len(), DISK_TIME);
        row(&mut table, "disk alone", 1, &disk, DISK_TIME, disk_rate, 0);

        let server = Server::start(setup, folder, fsync).await?;
        for &publishers in &options.publishers {
            let published = publish(server.address(), publishers, time).await?;
            let took = Sorted::new(published.took);
            row(&mut table, fsync.flag(), publishers, &took, time, disk_rate, published.failed);
        }
        server.stop().await?;
    }
    table.print();
    Ok(())
}

fn row(table: &mut Table, name: &str, who: u32, took: &Sorted, time: Duration, disk_rate: f64, failed: usize) {
    let rate = rate(took.len(), time);
    table.row([
        name.to_owned(),
        who.to_string(),
        format!("{rate:.0}"),
        format!("{:.2}", rate / disk_rate),
        millis(took.percentile(50)),
        millis(took.percentile(99)),
        failed.to_string(),
    ]);
}

/// Appends and syncs, over and over: what one writer gets out of this disk, and how long each time took.
fn sync_alone(folder: &Path) -> Result<Vec<Duration>> {
    let path = folder.join("disk-alone");
    let mut file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let bytes = [b'x'; DISK_BYTES];
    let mut took = Vec::new();
    let until = Instant::now() + DISK_TIME;
    loop {
        let began = Instant::now();
        if began >= until {
            break;
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        took.push(began.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(took)
}

/// Lets so many publish at once for so long.
async fn publish(address: SocketAddr, publishers: u32, time: Duration) -> Result<Published> {
    let from = Instant::now() + WARM_UP;
    let window = Window { from, until: from + time };
    let mut all = JoinSet::new();
    for _ in 0..publishers {
        all.spawn(publish_in(window, address));
    }
    let mut sum = Published::default();
    while let Some(published) = all.join_next().await {
        let published = published??;
        sum.took.extend(published.took);
        sum.failed += published.failed;
    }
    Ok(sum)
}

/// One publisher. What begins and ends within the window counts.
async fn publish_in(window: Window, address: SocketAddr) -> Result<Published> {
    let mut http = Http::connect(address).await?;
    let text = body(0);
    let mut published = Published::default();
    loop {
        let began = Instant::now();
        if began >= window.until {
            return Ok(published);
        }
        let status = http.publish(CHANNEL, &text).await?;
        let ended = Instant::now();
        if status != CREATED {
            published.failed += 1;
        } else if began >= window.from && ended <= window.until {
            published.took.push(ended - began);
        }
    }
}
