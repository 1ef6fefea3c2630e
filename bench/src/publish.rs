//! The command `publish`: measures durable publishes per second and compares them with the disk alone.

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
/// Publishes in this first part are not counted: connections open, and the store's file grows for the first time.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long the disk alone is measured.
const DISK_TIME: Duration = Duration::from_secs(2);
/// Bytes appended before each sync when the disk alone is measured: about the size of a small commit.
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

/// The results of several publishers.
#[derive(Default)]
struct Published {
    /// The duration of each counted publish that was answered with 201.
    took: Vec<Duration>,
    /// The number of publishes that were answered with another status.
    failed: usize,
}

/// The period in which publishes are counted.
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
        // Measure the disk in the same folder, immediately before the server starts and while no server uses the disk.
        let folder = setup.folder()?;
        let path = folder.path().to_path_buf();
        let disk = Sorted::new(spawn_blocking(move || sync_alone(&path)).await??);
        let disk_rate = rate(disk.len(), DISK_TIME);
        row(&mut table, ("disk alone", 1), &Measured { took: &disk, time: DISK_TIME, failed: 0 }, disk_rate);

        let server = Server::start(setup, folder, fsync).await?;
        for &publishers in &options.publishers {
            let published = publish(server.address(), publishers, time).await?;
            let took = Sorted::new(published.took);
            let measured = Measured { took: &took, time, failed: published.failed };
            row(&mut table, (fsync.flag(), publishers), &measured, disk_rate);
        }
        server.stop().await?;
    }
    table.print();
    Ok(())
}

/// The measurement with one number of publishers, or of the disk alone.
struct Measured<'a> {
    took: &'a Sorted,
    time: Duration,
    failed: usize,
}

fn row(table: &mut Table, (name, publishers): (&str, u32), measured: &Measured<'_>, disk_rate: f64) {
    let Measured { took, time, failed } = measured;
    let rate = rate(took.len(), *time);
    table.row([
        name.to_owned(),
        publishers.to_string(),
        format!("{rate:.0}"),
        format!("{:.2}", rate / disk_rate),
        millis(took.percentile(50)),
        millis(took.percentile(99)),
        failed.to_string(),
    ]);
}

/// Appends and syncs in a loop, as a single writer would. Returns the duration of each step.
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

/// Runs `publishers` concurrent publishers for `time` after the warm-up.
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

/// Runs one publisher. A stored publish is counted if it begins and ends within the window.
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
