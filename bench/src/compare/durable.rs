//! Measures publishes that are on disk before they are acknowledged, and the disk alone as the limit.

use super::{
    Measured, Row,
    measure::{Effort, on_thread},
};
use crate::{
    load::{self, Pace, Plan, Publish},
    peers::{self, Kind, Setup, Skipped, nats},
};
use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// Publishes in flight.
const IN_FLIGHT: usize = 1024;
/// The number of WebSockets that carry the publishes of the row `durable-live`.
const SOCKETS: usize = 16;
/// The least number of bytes written for a message: its body, sender and time.
const RECORD_BYTES: usize = 256;
/// Batch sizes: the number of messages that share a sync. The last one is the limit, because no more publishes are in
/// flight.
const BATCHES: [(usize, &str); 3] = [(64, "batches_of_64"), (256, "batches_of_256"), (IN_FLIGHT, "batches_of_1024")];

/// Measures a server. Baro runs with its log on disk; the floor is the disk without a server.
pub(crate) async fn measure(row: Row, kind: Kind, setup: &Setup, effort: Effort) -> Result<Result<Measured, Skipped>> {
    match kind {
        Kind::Floor => {
            let (dir, time) = (setup.dir.clone(), effort.time());
            spawn_blocking(move || disk(&dir, time)).await?.map(Ok)
        }
        Kind::Nats => {
            let durable = match nats::durable(setup, IN_FLIGHT, effort.seconds).await? {
                Ok(durable) => durable,
                Err(skipped) => return Ok(Err(skipped)),
            };
            let mut measured = Measured::new(durable.per_second);
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            measured.details = vec![("p50_us", micros(durable.p50)), ("p99_us", micros(durable.p99))];
            Ok(Ok(measured))
        }
        Kind::Baro | Kind::BaroDurable => baro(row, setup, effort).await,
        _ => Ok(Err(Skipped(format!("{} keeps nothing", kind.name())))),
    }
}

async fn baro(row: Row, setup: &Setup, effort: Effort) -> Result<Result<Measured, Skipped>> {
    let peer = match peers::start(Kind::BaroDurable, setup).await? {
        Ok(peer) => peer,
        Err(skipped) => return Ok(Err(skipped)),
    };
    let mut plan = Plan::new(None, Pace::InFlight(IN_FLIGHT), effort.time());
    plan.size = effort.size;
    if row == Row::DurableLive {
        plan.publish = Publish::Live(SOCKETS);
    }
    let figures = on_thread(&peer, move |peer| load::run(peer, &plan)).await;
    peer.stop().await?;
    Ok(Ok(Measured::of_answers(&figures?)))
}

/// Measures the disk alone with each batch size.
fn disk(dir: &Path, time: Duration) -> Result<Measured> {
    let folder = tempfile::Builder::new().prefix("baro-bench-").tempdir_in(dir)?;
    let path = folder.path().join("disk-alone");
    let mut measured = Measured::new(0.0);
    for (batch, name) in BATCHES {
        let rate = batches(&path, batch, time / BATCHES.len() as u32)?;
        measured.value = rate;
        measured.details.push((name, rate));
    }
    Ok(measured)
}

/// Messages per second if `batch` messages share a sync.
fn batches(path: &Path, batch: usize, time: Duration) -> Result<f64> {
    let mut file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    let bytes = vec![b'x'; batch * RECORD_BYTES];
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < time {
        file.write_all(&bytes)?;
        file.sync_data()?;
        count += batch;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(rate)
}
