//! The command `grow`: measures how cost grows with readers, channels, message size and publishers.

use super::{
    measure::on_thread,
    plot::{Panel, panels},
    rows::number,
};
use crate::{
    load::{self, Figures, Pace, Plan, Protocol, Target},
    peers::{self, Kind, Setup},
};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde_json::json;
use std::{fs, path::PathBuf, time::Duration};

const READERS: [usize; 6] = [100, 300, 1_000, 3_000, 10_000, 18_000];
const CHANNELS: [u32; 4] = [1, 100, 10_000, 100_000];
const SIZES: [usize; 7] = [16, 64, 256, 1_024, 4_096, 16_384, 65_536];
const PUBLISHERS: [usize; 5] = [1, 4, 16, 64, 256];
/// Deliveries per second while the number of readers grows: low enough for every number of readers.
const STEADY: usize = 30_000;

/// Options of `grow`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds that count of each measurement.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Where `grow.json` and `grow.svg` go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<()> {
    let time = Duration::from_secs_f64(options.seconds);
    let mut all = readers(setup, time).await?;
    all.push(sizes(setup, time).await?);
    all.extend(channels(setup).await?);
    all.push(publishers(setup, time).await?);
    fs::create_dir_all(&options.out).with_context(|| format!("{} cannot be made", options.out.display()))?;
    fs::write(options.out.join("grow.svg"), panels(&all)?)?;
    let values: Vec<_> = all
        .iter()
        .map(|panel| json!({ "title": panel.title, "along": panel.along, "measure": panel.measure, "lines": panel.lines }))
        .collect();
    fs::write(options.out.join("grow.json"), serde_json::to_vec_pretty(&values)?)?;
    println!("Plots and values: {}/grow.svg, grow.json", options.out.display());
    Ok(())
}

/// Baro and the floor, for comparison.
const BOTH: [Kind; 2] = [Kind::Baro, Kind::Floor];

async fn readers(setup: &Setup, time: Duration) -> Result<Vec<Panel>> {
    let (mut costs, mut late, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for kind in BOTH {
        let (mut cost, mut p99, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for count in READERS {
            let pace = Pace::PerSecond((STEADY / count).max(2) as u32);
            let figures = once(setup, kind, move |protocol| Plan::new(Some((count, protocol)), pace, time)).await?;
            let x = count as f64;
            cost.push((x, figures.cpu_per_delivery()));
            p99.push((x, figures.latency.percentile(99.0) / 1000.0));
            bytes.push((x, (figures.memory[1] - figures.memory[0]) as f64 / x));
            tell(kind, "readers", count, &figures);
        }
        costs.push((kind.name().to_owned(), cost));
        late.push((kind.name().to_owned(), p99));
        memory.push((kind.name().to_owned(), bytes));
    }
    let panel = |title: &str, measure: &str, lines| Panel {
        title: title.to_owned(),
        along: "WebSocket readers of one channel".to_owned(),
        measure: measure.to_owned(),
        lines,
    };
    Ok(vec![
        panel("Work of one delivery", "CPU µs", costs),
        panel("Until the last readers have it", "p99 ms", late),
        panel("Memory of one reader, while they come", "bytes", memory),
    ])
}

async fn sizes(setup: &Setup, time: Duration) -> Result<Panel> {
    let mut lines = Vec::new();
    for kind in BOTH {
        let mut points = Vec::new();
        for size in SIZES {
            let plan = move |protocol| {
                let mut plan = Plan::new(Some((100, protocol)), Pace::InFlight(16), time);
                plan.size = size;
                plan
            };
            let figures = once(setup, kind, plan).await?;
            points.push((size as f64, figures.rate()));
            tell(kind, "bytes", size, &figures);
        }
        lines.push((kind.name().to_owned(), points));
    }
    Ok(Panel {
        title: "Most deliveries to 100 readers, 16 publishes under way".to_owned(),
        along: "bytes of a message".to_owned(),
        measure: "deliveries/s".to_owned(),
        lines,
    })
}

async fn channels(setup: &Setup) -> Result<Vec<Panel>> {
    let (mut rates, mut memory) = (Vec::new(), Vec::new());
    for kind in [Kind::Baro, Kind::BaroDurable] {
        let (mut rate, mut bytes) = (Vec::new(), Vec::new());
        for count in CHANNELS {
            // Long enough for each channel to get a message.
            let plan = move |_| {
                let mut plan = Plan::new(None, Pace::InFlight(64), Duration::from_secs(6));
                plan.channels = count;
                plan
            };
            let figures = once(setup, kind, plan).await?;
            rate.push((f64::from(count), figures.publish_rate()));
            bytes.push((f64::from(count), figures.memory[2] as f64 / 1_048_576.0));
            tell(kind, "channels", count as usize, &figures);
        }
        rates.push((kind.name().to_owned(), rate));
        memory.push((kind.name().to_owned(), bytes));
    }
    let panel = |title: &str, measure: &str, lines| Panel {
        title: title.to_owned(),
        along: "channels published to in turn".to_owned(),
        measure: measure.to_owned(),
        lines,
    };
    Ok(vec![
        panel("Publishes, 64 under way", "publishes/s", rates),
        panel("Memory of the server after them", "MiB", memory),
    ])
}

async fn publishers(setup: &Setup, time: Duration) -> Result<Panel> {
    let mut lines = Vec::new();
    for kind in [Kind::Baro, Kind::BaroDurable] {
        let mut points = Vec::new();
        for count in PUBLISHERS {
            let figures = once(setup, kind, move |_| Plan::new(None, Pace::InFlight(count), time)).await?;
            points.push((count as f64, figures.publish_rate()));
            tell(kind, "publishers", count, &figures);
        }
        lines.push((kind.name().to_owned(), points));
    }
    Ok(Panel {
        title: "Publishes over HTTP".to_owned(),
        along: "publishers, one request under way each".to_owned(),
        measure: "publishes/s".to_owned(),
        lines,
    })
}

/// Runs one measurement on a newly started server.
async fn once(setup: &Setup, kind: Kind, plan: impl FnOnce(Protocol) -> Plan + Send + 'static) -> Result<Figures> {
    let peer = peers::start(kind, setup).await?.map_err(|skipped| anyhow!(skipped.0))?;
    let path = peer.routes.websocket.clone().with_context(|| format!("{} has no WebSocket", peer.name))?;
    let protocol = Protocol::WebSocket(Target { address: peer.address, path });
    let plan = plan(protocol);
    let figures = on_thread(&peer, move |peer| load::run(peer, &plan)).await;
    peer.stop().await?;
    figures
}

fn tell(kind: Kind, what: &str, count: usize, figures: &Figures) {
    println!(
        "{:<13} {count:>7} {what:<10} {:>11} deliveries/s  {:>8} µs each  p99 {:>6} ms  {:>8} publishes/s  {:>5} MiB",
        kind.name(),
        number(figures.rate()),
        number(if figures.deliveries > 0 { figures.cpu_per_delivery() } else { 0.0 }),
        number(figures.latency.percentile(99.0) / 1000.0),
        number(figures.publish_rate()),
        number(figures.memory[2] as f64 / 1_048_576.0),
    );
}
