//! The command `beside`: measures every row of two builds of Baro alternately, to show what a change costs compared
//! with the earlier build.

use super::{
    Row,
    measure::{Effort, measure},
    rows::number,
    table::median,
};
use crate::{
    peers::{Kind, Setup},
    report::Table,
};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// A row is marked if the new build is worse by more than this fraction.
const TOLERANCE: f64 = 0.03;

/// Options of `beside`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The program of the build before.
    old: PathBuf,
    /// Only these rows; several with commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// How often each is measured; the table has the medians.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that count of each measurement.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Connections of the rows on which nothing happens.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
}

/// What one build reached in each round, for the old build and the new one.
type Rounds = [Vec<f64>; 2];

/// Measures and prints the table.
pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<()> {
    let old = Setup { baro: options.old.clone(), dir: setup.dir.clone(), core: setup.core };
    let all = Row::value_variants().iter().copied();
    let rows: Vec<Row> = all.filter(|row| options.rows.is_empty() || options.rows.contains(row)).collect();
    let values = measure_rounds([&old, setup], &rows, options).await?;
    print_medians(&rows, values);
    Ok(())
}

async fn measure_rounds(builds: [&Setup; 2], rows: &[Row], options: &Options) -> Result<Vec<Rounds>> {
    let effort = Effort { seconds: options.seconds, idle: options.idle, readers: None, size: 128 };
    let mut values = vec![Rounds::default(); rows.len()];
    for round in 0..options.rounds {
        // All rows once, and not one row several times: rows with 10,000 connections would use up the local ports, which the
        // kernel keeps for a minute after their connection.
        for (row, values) in rows.iter().zip(&mut values) {
            // Each build is first in every second round.
            for build in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                let value = value(*row, builds[build], effort).await?;
                let (name, build_name) = (row.name(), ["old", "new"][build]);
                println!("round {}  {name:<13} {build_name} {:>12} {}", round + 1, number(value), row.unit());
                values[build].push(value);
            }
        }
    }
    Ok(values)
}

fn print_medians(rows: &[Row], values: Vec<Rounds>) {
    let columns = ["row", "unit", "old", "new", "share", ""];
    let mut table =
        Table::new("Two builds in turns, the medians; a share above 1 says that the new one is better", columns);
    for (row, values) in rows.iter().zip(values) {
        let [old, new] = values.map(|values| median(values).unwrap_or_default());
        let share = row.share(new, old);
        let mark = if share < 1.0 - TOLERANCE { "worse" } else { "" };
        table.row([
            row.name(),
            row.unit().to_owned(),
            number(old),
            number(new),
            format!("{share:.3}"),
            mark.to_owned(),
        ]);
    }
    table.print();
}

async fn value(row: Row, setup: &Setup, effort: Effort) -> Result<f64> {
    match measure(row, Kind::Baro, setup, effort).await? {
        Ok(measured) => Ok(measured.value),
        Err(skipped) => bail!("{}: {}", row.name(), skipped.0),
    }
}
