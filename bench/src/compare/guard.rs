//! The command `guard`: a short run that fails if Baro became much slower relative to the floor, or if an idle
//! connection uses much more memory.
//!
//! Ratios within one run are comparable between machines, but they vary. Only a drop below half is an alarm, and only
//! if a second measurement confirms it.

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

/// Rows whose ratio to the floor is checked.
const RATIOS: [Row; 4] = [Row::Ws4, Row::WsCpu, Row::SseCpu, Row::PollMost];
/// Rows whose bytes per connection are checked.
const BYTES: [Row; 2] = [Row::WsIdle, Row::SseIdle];
/// Shares are capped at this value, because larger shares vary with the timing of publishers and slices of readers.
const ENOUGH: f64 = 2.0;
/// A share below this fraction of the recorded share is an alarm.
const HALF: f64 = 0.5;
/// An idle connection that grew by more than this factor is an alarm.
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

/// The recorded measurements.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Known {
    /// The share of the floor by row; more is better.
    of_the_floor: BTreeMap<String, f64>,
    /// The bytes per idle connection by row.
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
        // A regression shows up in both measurements; a short disturbance by another process does not.
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
    /// Prints the new values next to the recorded ones, and returns a message for each value that is too much worse.
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
        // Use the minimum of several rounds: the allocator keeps a varying amount of memory from opening connections.
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
