//! A short run that fails when Baro became much slower beside the floor than it was, or an idle connection larger.
//!
//! Ratios of one run survive a change of machine; still they waver, so only a half is an alarm, and only when it is one
//! again.

use super::{
    Row,
    measure::{Effort, measure},
    rows::number,
    table::median,
};
use crate::{
    load::most_connections,
    peers::{Kind, Setup},
};
use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::PathBuf};

/// Rows whose ratio to the floor is watched.
const RATIOS: [Row; 4] = [Row::Ws4, Row::WsCpu, Row::SseCpu, Row::PollMost];
/// Rows whose bytes are watched.
const BYTES: [Row; 2] = [Row::WsIdle, Row::SseIdle];
/// A share above this counts as this: beyond it, it wavers with how publishers and slices of readers fall together.
const ENOUGH: f64 = 2.0;
/// How much of what it was is still no alarm.
const HALF: f64 = 0.5;
/// Growth of an idle connection that is still no alarm.
const GROWTH: f64 = 1.3;
const ROUNDS: usize = 3;

/// Options of `guard`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What it was.
    #[arg(long, default_value = "bench/guard.json")]
    known: PathBuf,
    /// Writes down what it is now.
    #[arg(long)]
    write: bool,
}

/// What is written down.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Known {
    /// Share of the floor, by row: more is better.
    of_the_floor: BTreeMap<String, f64>,
    /// Bytes of a connection on which nothing happens, by row.
    bytes: BTreeMap<String, f64>,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<()> {
    let now = look(setup).await?;
    if options.write {
        return Ok(fs::write(&options.known, serde_json::to_string_pretty(&now)? + "\n")?);
    }
    let text =
        fs::read_to_string(&options.known).with_context(|| format!("{} cannot be read", options.known.display()))?;
    let known: Known = serde_json::from_str(&text)?;
    let mut alarms = known.alarms(&now);
    if !alarms.is_empty() {
        // What has become worse is so twice; what had the processor for a moment is not.
        println!("Once more: something else may have been in the way.");
        alarms = known.alarms(&look(setup).await?);
    }
    ensure!(
        alarms.is_empty(),
        "Baro became worse: {}. If that is meant: baro-bench guard --write, and say why in the CHANGELOG.",
        alarms.join("; ")
    );
    Ok(())
}

impl Known {
    /// Tells how things are now, beside what they were; what is too much worse.
    fn alarms(&self, now: &Self) -> Vec<String> {
        let mut alarms = Vec::new();
        for (row, share) in &now.of_the_floor {
            let was = self.of_the_floor.get(row).copied().unwrap_or(*share);
            println!("{row:<10} {:>8} of the floor; it was {}", number(*share), number(was));
            if *share < was * HALF {
                alarms.push(format!("{row} is {} of the floor, and was {}", number(*share), number(was)));
            }
        }
        for (row, bytes) in &now.bytes {
            let was = self.bytes.get(row).copied().unwrap_or(*bytes);
            println!("{row:<10} {:>8} bytes of a connection; it was {}", number(*bytes), number(was));
            if *bytes > was * GROWTH {
                alarms.push(format!("{row} takes {} bytes, and took {}", number(*bytes), number(was)));
            }
        }
        alarms
    }
}

async fn look(setup: &Setup) -> Result<Known> {
    let effort = Effort { seconds: 0.7, idle: most_connections().min(10_000), readers: None, size: 128 };
    let mut now = Known::default();
    for row in RATIOS {
        let mut shares = Vec::new();
        for _ in 0..ROUNDS {
            let baro = value(setup, row, Kind::Baro, effort).await?;
            shares.push(row.share(baro, value(setup, row, Kind::Floor, effort).await?));
        }
        now.of_the_floor.extend(median(shares).map(|share| (row.name(), share.min(ENOUGH))));
    }
    for row in BYTES {
        // The least of some: what an allocator happens to keep of the connecting comes on top, now more, now less.
        let mut least = f64::MAX;
        for _ in 0..ROUNDS {
            least = least.min(value(setup, row, Kind::Baro, effort).await?);
        }
        now.bytes.insert(row.name(), least);
    }
    Ok(now)
}

async fn value(setup: &Setup, row: Row, kind: Kind, effort: Effort) -> Result<f64> {
    let measured = measure(row, kind, setup, effort).await?.map_err(|skipped| anyhow!(skipped.0))?;
    Ok(measured.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_became_much_worse_is_an_alarm() {
        let known = |share: f64, bytes: f64| Known {
            of_the_floor: [("ws-4".to_owned(), share)].into(),
            bytes: [("ws-idle".to_owned(), bytes)].into(),
        };
        let was = known(1.0, 2000.0);
        assert!(was.alarms(&known(0.51, 2590.0)).is_empty());
        assert_eq!(was.alarms(&known(0.49, 2000.0)), ["ws-4 is 0.49 of the floor, and was 1.00"]);
        assert_eq!(was.alarms(&known(1.0, 2610.0)), ["ws-idle takes 2 610 bytes, and took 2 000"]);
    }
}
